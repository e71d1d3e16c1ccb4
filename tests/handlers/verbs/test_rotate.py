"""Which gateways a rotation of several is about."""

import time

from deploy.gateway import GatewayRef
from deploy.health.status import GatewaySummary
from handlers.verbs.rotate import soonest

DAY = 86_400.0


def summary(name: str, days: float | None, source: str = "annotation") -> GatewaySummary:
    return GatewaySummary(
        GatewayRef("west", "dev", name), name, "2.11.1", 1, 1, 1, 1, 0.0, "gateway-bot",
        token_source=source, token_expires_at=None if days is None else time.time() + days * DAY,
    )  # fmt: skip


def test_a_token_that_azure_refuses_is_among_those_that_expire_soon_and_is_the_first() -> None:
    late, soon, sooner = summary("late", 29), summary("soon", 5), summary("sooner", 2)
    entra, unknown = summary("entra", None, "none"), summary("unknown", None, "unknown")
    found = [entra, soon, late, sooner, unknown]
    assert [ref.name for ref in soonest(found, "7d", ())] == ["sooner", "soon"]
    assert [ref.name for ref in soonest(found, "7d", {late.ref})] == ["late", "sooner", "soon"]
    everything = soonest(found, "", {late.ref})
    assert everything[0] == late.ref
    assert entra.ref not in everything
