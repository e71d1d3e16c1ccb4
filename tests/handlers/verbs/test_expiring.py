"""The buttons of a warning answer whoever clicked, also where something is wrong."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from slack_sdk import WebClient

from bot.sandbox.valkey import Valkey
from deploy.access import Approval, Environment
from deploy.actions.audit import AuditLog
from deploy.actions.connection import connect
from deploy.errors import Unavailable
from deploy.expiry.autopilot import RotationStop
from deploy.expiry.thresholds import DEFAULT
from deploy.expiry.tracked import ExpiryFacts
from deploy.expiry.tracker import Tracker
from deploy.gateway import GatewayRef
from deploy.policy import People as Approvers
from handlers.slack.payloads import Click, Request
from handlers.verbs import expiring
from handlers.views import expiry as view
from tests.support.authority import People, authority
from tests.support.needs import needs
from tests.support.redis_servers import started
from tests.support.slack_workspace import ANA, OPS, Person

ENVIRONMENT = Environment("production", approval=Approval(Approvers(groups=("S0APP",))))


def click(value: str, ts: str = "1.0", message: Mapping[str, Any] | None = None) -> Click:
    body = {"container": {"message_ts": ts}, "message": message or {}}
    return Click(ANA, OPS, "trigger", "", value, body)


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
    assert [e.event for e in audit.read(ref)] == ["snoozed", "snoozed"]


def said(person: Person) -> list[str]:
    return [m["text"] for m in person.messages(OPS, "ana")]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("west/dev/edge-1", "Redis cannot be used"),
        ("nonsense", "does not say where a gateway runs"),
    ],
)
def test_a_rotation_that_cannot_be_asked_for_is_told(
    client: WebClient, person: Person, value: str, told: str
) -> None:
    expiring.rotate(given(client, accept=away), click(value))
    assert told in said(person)[-1]


def test_resuming_is_shown_in_the_message_of_the_stop(client: WebClient, person: Person) -> None:
    text, blocks = view.stopped(RotationStop("production", 1, 2, "west/prod/edge-1 ended failed."))
    posted = client.chat_postMessage(channel=OPS, text=text, blocks=blocks)
    ts = str(posted["ts"])
    clicked = click("production", ts, posted["message"])
    expiring.resume(given(client), clicked)
    (told,) = [m for m in person.messages(OPS) if m["ts"] == ts]
    assert [block["type"] for block in told["blocks"]] == ["section", "context"]
    assert "in a row" in told["blocks"][0]["text"]["text"], "why it had stopped stays"
    assert told["blocks"][1]["elements"][0]["text"] == f"Resumed by <@{ANA}>."


def test_its_end_is_a_message_for_every_channel(client: WebClient, person: Person) -> None:
    text, blocks = view.goes_on(RotationStop("production", 1, 0, "", ANA))
    client.chat_postMessage(channel=OPS, text=text, blocks=blocks)
    (told,) = person.messages(OPS)
    assert told["text"] == "Automatic rotation goes on in production"
    said_by = f":arrow_forward: <@{ANA}> resumed automatic rotation in production."
    assert told["blocks"][0]["text"]["text"] == said_by


def test_who_may_not_resume_it_is_told_so_and_nothing_goes_on(
    client: WebClient, person: Person
) -> None:
    refusing = authority(ENVIRONMENT)
    expiring.resume(given(client, authority=refusing, resume=away), click("production"))
    assert "You may not resume automatic rotation in production." in said(person)[-1]


def test_a_second_click_and_an_environment_that_is_gone_are_told(
    client: WebClient, person: Person
) -> None:
    expiring.resume(given(client, resume=lambda *_: False), click("production"))
    assert said(person)[-1] == "It goes on already."
    expiring.resume(given(client), click("staging"))
    assert "no longer have this environment" in said(person)[-1]
    expiring.resume(given(client, resume=away), click("production"))
    assert "Redis cannot be used" in said(person)[-1]


def test_a_gateway_whose_record_cannot_be_read_is_named_and_hides_no_other(server: Valkey) -> None:
    redis = connect(server.url)
    tracker = Tracker(redis, "one")
    soon = float(redis.time()[0]) + 86_400
    refs = [GatewayRef("west", "dev", f"edge-{n}") for n in (1, 2)]
    for ref in refs:
        tracker.note(ExpiryFacts(ref, ref.name, "dev", soon, "annotation", DEFAULT, (OPS,)))
    made = needs(expiring.Needs, caches={}, tracker=tracker)
    for broken in refs:
        redis.hset(f"gateway-bot:{{w:{broken}}}:gw", "format", 2)
        reply = expiring.run(made, Request("r", "expiring", ANA, OPS))
        assert reply is not None
        shown = str(reply.blocks)
        assert f"cannot read the records of `{refs[0]}`" in shown
        assert f"`{refs[1]}`" in shown
        assert "No gateway is known" not in shown
