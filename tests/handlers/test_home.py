"""What the Home tab reads of tokens that expire soon."""

import datetime
import time
from types import SimpleNamespace
from typing import Any

import pytest

from deploy.access import Environment
from deploy.errors import Unavailable
from deploy.expiry.automatic import Automatic
from deploy.expiry.prospects import Prospect
from deploy.gateway import GatewayRef
from deploy.health.heartbeat import Heartbeat
from deploy.health.levels import Seen
from deploy.health.status import GatewaySummary
from handlers import home
from handlers.verbs import pending
from handlers.views.renewals import Rotation
from tests.support.needs import needs

DAY = 86_400.0
NOW = time.time()


def summary(name: str, namespace: str, days: float | None) -> GatewaySummary:
    at = None if days is None else NOW + days * DAY
    ref = GatewayRef("west", namespace, name)
    return GatewaySummary(
        ref,
        name,
        "2.11.1",
        1,
        1,
        1,
        1,
        0.0,
        "gateway-bot",
        token_expires_at=at,
        token_source="token",
    )


class Known:
    """What keeps tokens from being rotated, and of which it was asked."""

    def __init__(self) -> None:
        self.asked: dict[str, Any] = {}
        self.away = False

    def of(self, environment: str, tokens: Any) -> Prospect:
        self.asked[environment] = dict(tokens)
        if self.away:
            raise Unavailable("Redis cannot be used now.")
        return Prospect(stopped=True)


def test_it_is_read_what_keeps_the_tokens_that_expire_soon_from_being_rotated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    soon = summary("edge-1", "dev", 2)
    running = (
        soon,
        summary("edge-2", "dev", 20),
        summary("edge-3", "dev", None),
        summary("edge-4", "prod", 2),
    )
    found = SimpleNamespace(summaries=running, gateways=running, failed={}, unseen=(), left_out=())
    monkeypatch.setattr(home, "found_everywhere", lambda caches, wait: found)
    monkeypatch.setattr(pending, "decidable", lambda needs, actions, user: ())
    known, ahead = Known(), list[float]()

    def freezes(within: datetime.timedelta) -> tuple[Any, ...]:
        ahead.append(within.total_seconds())
        return ()

    given = needs(
        home.Needs,
        store=SimpleNamespace(listing=lambda: SimpleNamespace(actions=(), unreadable=(), more=0)),
        caches={},
        levels=SimpleNamespace(last=lambda gateway: Seen(Heartbeat("unknown", ""), NOW)),
        environments=(Environment("production", namespaces=("prod",)), Environment("development")),
        audit=SimpleNamespace(read=lambda *args, **more: ()),
        windows=SimpleNamespace(all_open=tuple),
        authority=SimpleNamespace(pauses=tuple, freezes=freezes),
        rotations={"development": Rotation(Automatic("auto"), "C1"), "production": Rotation()},
        prospects=known,
    )
    assert home.read(given, "U1", NOW).prospects == {"development": Prospect(stopped=True)}
    assert known.asked == {"development": {soon.ref: soon.token_expires_at}}
    assert ahead == [7 * DAY], "a freeze may postpone any of these"
    known.away = True
    assert home.read(given, "U1", NOW).prospects is None
