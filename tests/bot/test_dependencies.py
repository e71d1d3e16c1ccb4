"""What readiness says of the bot's dependencies is what is so now."""

from types import SimpleNamespace
from typing import Any

from bot.dependencies import Dependencies, Shared
from bot.service_probes import Limits, ServiceProbe
from deploy.actions.replicas import Agreement
from deploy.errors import NotGranted, Unavailable
from deploy.health.standing import Standing
from deploy.waits import Service

WEST = Service("cluster", "west")


def asked(service: Service = WEST, refusal: Exception | None = None) -> ServiceProbe:
    """A service that has been asked once, and answered or failed so."""

    def ask() -> None:
        if refusal is not None:
            raise refusal

    probe = ServiceProbe(service, ask, Limits(), clock=lambda: 0.0, now=lambda: 1_000_000.0)
    probe.turn()
    return probe


def detail(
    *, probe: ServiceProbe | None = None, west: Standing | None = None, agreement: Any = None
) -> dict[str, str]:
    """Of a bot of which that is so, and else nothing is wrong."""
    shared: Any = SimpleNamespace(agreement=agreement)
    caches: Any = {"west": SimpleNamespace(standing=west or Standing(1.0, ""))}
    return Dependencies(shared, [probe or asked()], caches).detail()


def test_a_cluster_whose_namespaces_are_all_watched_is_well() -> None:
    assert detail()["cluster west"] == "ok"


def test_a_namespace_that_is_not_read_is_named_with_the_reason() -> None:
    unread = (("closed", "it may not be read"), ("later", "it has not answered yet"))
    assert detail(west=Standing(1.0, "", unread))["cluster west"] == (
        "namespace closed (1 more): it may not be read"
    )
    assert detail(west=Standing(1.0, "it is away", unread))["cluster west"] == "it is away"


def test_what_a_cluster_answered_last_goes_before_what_its_watches_say() -> None:
    refuses = asked(refusal=NotGranted("Cluster “west” rejected the bot's credentials."))
    assert detail(probe=refuses, west=Standing(1.0, "it is away"))["cluster west"] == (
        "refusing since 1970-01-12 13:46 UTC: Cluster “west” rejected the bot's credentials."
    )


def test_each_service_has_a_field_and_says_since_when_it_is_away() -> None:
    away = asked(Service("azure", "contoso"), Unavailable("It cannot be reached."))
    assert detail(probe=away)["azure contoso"] == (
        "unavailable since 1970-01-12 13:46 UTC: It cannot be reached."
    )
    assert detail(probe=asked(Service("slack")))["slack api"] == "ok"


def test_settings_that_differ_are_counted_and_unknown_ones_are_said_to_be() -> None:
    assert detail(agreement=Agreement(2, 1))["settings"] == "ok"
    assert detail(agreement=Agreement(3, 2))["settings"] == "3 bots have 2 different settings"
    replicas: Any = SimpleNamespace(report=lambda: Agreement(1, 1))
    shared = Shared(replicas)
    shared.report()
    assert shared.agreement == Agreement(1, 1)
    assert detail()["settings"].startswith("unknown")
