"""The buttons of a warning answer whoever clicked, also where something is wrong."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from slack_sdk import WebClient

from bot.sandbox.valkey import Valkey
from deploy.access import Approval, Environment, Verdict
from deploy.actions.audit import AuditLog
from deploy.actions.connection import connect
from deploy.errors import Unavailable
from deploy.expiry.autopilot import Stop
from deploy.expiry.record import Facts
from deploy.expiry.thresholds import DEFAULT
from deploy.expiry.tracker import Tracker
from deploy.gateway import GatewayRef
from deploy.policy import People
from handlers.slack.payloads import Click, Request
from handlers.verbs import expiring
from handlers.views import expiry as view
from tests.support.redis_servers import started
from tests.support.slack_workspace import ANA, OPS, Person

ENVIRONMENT = Environment("production", approval=Approval(People(("U0BEN",))))


def click(value: str, ts: str = "1.0", message: Mapping[str, Any] | None = None) -> Click:
    body = {"container": {"message_ts": ts}, "message": message or {}}
    return Click(ANA, OPS, "trigger", "", value, body)


def away(*_: Any) -> Any:
    raise Unavailable("Redis cannot be used just now.")


def services(client: WebClient, **more: Any) -> Any:
    """As much of the services as these buttons use."""
    allowed = SimpleNamespace(may_resume=lambda environment, user: Verdict(True, "an approver"))
    return SimpleNamespace(
        slack=client,
        environments=(ENVIRONMENT,),
        **{"gatekeeper": allowed, "resume": lambda *_: True, **more},
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
    anybody = SimpleNamespace(may_ask=lambda ref, user: Verdict(True, "open to all"))
    made = services(client, caches={}, gatekeeper=anybody, tracker=tracker, audit=audit)
    for number in range(2):
        soon = float(redis.time()[0]) + 86_400
        tracker.note(Facts(ref, "edge-1", "dev", soon, "annotation", DEFAULT, (OPS,)))
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
    expiring.rotate(services(client, accept=away), click(value))
    assert told in said(person)[-1]


def test_resuming_is_shown_in_the_message_of_the_stop(client: WebClient, person: Person) -> None:
    text, blocks = view.stopped(Stop("production", 1, 2, "west/prod/edge-1 ended failed."))
    posted = client.chat_postMessage(channel=OPS, text=text, blocks=blocks)
    ts = str(posted["ts"])
    clicked = click("production", ts, posted["message"])
    expiring.resume(services(client), clicked)
    (told,) = [m for m in person.messages(OPS) if m["ts"] == ts]
    assert [block["type"] for block in told["blocks"]] == ["section", "context"]
    assert "in a row" in told["blocks"][0]["text"]["text"], "why it had stopped stays"
    assert told["blocks"][1]["elements"][0]["text"] == f"Resumed by <@{ANA}>."


def test_its_end_is_a_message_for_every_channel(client: WebClient, person: Person) -> None:
    text, blocks = view.goes_on(Stop("production", 1, 0, "", ANA))
    client.chat_postMessage(channel=OPS, text=text, blocks=blocks)
    (told,) = person.messages(OPS)
    assert told["text"] == "Automatic rotation goes on in production"
    said_by = f":arrow_forward: <@{ANA}> resumed automatic rotation in production."
    assert told["blocks"][0]["text"]["text"] == said_by


def test_who_may_not_resume_it_is_told_so_and_nothing_goes_on(
    client: WebClient, person: Person
) -> None:
    refusing = SimpleNamespace(may_resume=lambda environment, user: Verdict(False, "no approver"))
    expiring.resume(services(client, gatekeeper=refusing, resume=away), click("production"))
    assert said(person)[-1] == "You may not resume it in production: no approver."


def test_a_second_click_and_an_environment_that_is_gone_are_told(
    client: WebClient, person: Person
) -> None:
    expiring.resume(services(client, resume=lambda *_: False), click("production"))
    assert said(person)[-1] == "It goes on already."
    expiring.resume(services(client), click("staging"))
    assert "no such environment" in said(person)[-1]
    expiring.resume(services(client, resume=away), click("production"))
    assert "Redis cannot be used" in said(person)[-1]
