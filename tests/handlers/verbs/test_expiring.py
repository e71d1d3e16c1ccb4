"""The buttons of a warning answer whoever clicked, also where something is wrong."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from slack_sdk import WebClient

from bot.sandbox.valkey import Valkey
from deploy.access import Approval, Environment
from deploy.actions.audit import AuditLog
from deploy.actions.connection import connect
from deploy.errors import Unavailable
from deploy.expiry.thresholds import DEFAULT
from deploy.expiry.tracked import ExpiryFacts
from deploy.expiry.tracker import Tracker
from deploy.gateway import GatewayRef
from deploy.policy import People as Approvers
from handlers.slack.payloads import Click, Request
from handlers.verbs import expiring
from tests.support.authority import People, authority
from tests.support.clicks import clicked, heard
from tests.support.needs import needs
from tests.support.redis_servers import started
from tests.support.slack_workspace import ANA, OPS

ENVIRONMENT = Environment("production", approval=Approval(Approvers(groups=("S0APP",))))


def click(value: str) -> Click:
    return clicked(ANA, value, channel=OPS)


def away(*_: Any) -> Any:
    raise Unavailable("Redis cannot be used now.")


def given(client: WebClient, **more: Any) -> expiring.Needs:
    """As much as these buttons use."""
    approvers = People({"S0APP": (ANA,)})
    fields: dict[str, Any] = {
        "authority": authority(ENVIRONMENT, people=approvers),
        "resume": lambda *_: True,
    }
    return needs(
        expiring.Needs, slack=client, environments=(ENVIRONMENT,), caches={}, **(fields | more)
    )


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path / "redis")


def test_a_snooze_is_on_record_also_where_the_gateway_was_gone_for_long(
    client: WebClient, server: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = GatewayRef("west", "dev", "edge-1")
    redis = connect(server.url)
    tracker, audit = Tracker(redis, "one"), AuditLog(redis)
    monkeypatch.setattr(expiring, "find", lambda caches, name: ref)
    made = given(client, tracker=tracker, audit=audit)
    for number in range(2):
        soon = float(redis.time()[0]) + 86_400
        tracker.note(ExpiryFacts(ref, "edge-1", "dev", soon, "annotation", DEFAULT, (OPS,)))
        tracker.tick()
        options = {"snooze": "1d", "reason": f"reason {number}"}
        expiring.run(made, Request(f"r{number}", "expiring", ANA, OPS, "", "edge-1", options))
        # As Redis does a month after it was gone.
        redis.delete(*redis.keys("gateway-bot:{w:*"))
    assert [e.event for e in audit.of(str(ref))] == ["snoozed", "snoozed"]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("west/dev/edge-1", "Redis cannot be used"),
        ("nonsense", "does not say where a gateway runs"),
    ],
)
def test_a_rotation_that_cannot_be_asked_for_is_told(
    client: WebClient, value: str, told: str
) -> None:
    assert told in heard(lambda: expiring.rotate(given(client, accept=away), click(value)))


def test_who_may_not_resume_it_is_told_so_and_nothing_goes_on(client: WebClient) -> None:
    refusing = authority(ENVIRONMENT)
    made = given(client, authority=refusing, resume=away)
    told = heard(lambda: expiring.resume(made, click("production")))
    assert "You are not allowed to resume automatic rotation in production." in told


def test_whoever_resumes_it_gets_no_words_as_the_message_shows_it(client: WebClient) -> None:
    resumed: list[tuple[str, str]] = []

    def resume(environment: str, user: str) -> bool:
        resumed.append((environment, user))
        return True

    assert expiring.resume(given(client, resume=resume), click("production")) is None
    assert resumed == [("production", ANA)]


def test_a_second_click_and_an_environment_that_is_gone_are_told(client: WebClient) -> None:
    for made, environment, told in (
        (
            given(client, resume=lambda *_: False),
            "production",
            "Automatic rotation continues already.",
        ),
        (given(client), "staging", "no longer have this environment"),
        (given(client, resume=away), "production", "Redis cannot be used"),
    ):
        assert told in heard(partial(expiring.resume, made, click(environment)))


def test_a_gateway_whose_record_cannot_be_read_is_named_and_hides_no_other(server: Valkey) -> None:
    redis = connect(server.url)
    tracker = Tracker(redis, "one")
    soon = float(redis.time()[0]) + 86_400
    refs = [GatewayRef("west", "dev", f"edge-{n}") for n in (1, 2)]
    for ref in refs:
        tracker.note(ExpiryFacts(ref, ref.name, "dev", soon, "annotation", DEFAULT, (OPS,)))
    made = needs(expiring.Needs, caches={}, tracker=tracker)
    for broken in refs:
        redis.hset(f"gateway-bot:{{w:{broken}}}:gw", "format", 3)
        reply = expiring.run(made, Request("r", "expiring", ANA, OPS))
        assert reply is not None
        shown = str(reply.blocks)
        assert f"cannot read the records of `{refs[0]}`" in shown
        assert refs[1].name in shown
        assert "No gateway is known" not in shown
