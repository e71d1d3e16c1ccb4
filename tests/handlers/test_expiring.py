"""The buttons of a warning answer whoever clicked, also where something is wrong."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from slack_sdk import WebClient

from deploy.access import Approval, Environment, Verdict
from deploy.errors import Unavailable
from deploy.expiry.autopilot import Stop
from deploy.policy import People
from handlers import expiring
from handlers.verb import Click
from handlers.views import expiry as view
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


def test_resuming_is_told_in_the_thread_of_the_stop(client: WebClient, person: Person) -> None:
    text, blocks = view.stopped(Stop("production", 1, 2, "west/prod/edge-1 ended failed."))
    posted = client.chat_postMessage(channel=OPS, text=text, blocks=blocks)
    ts = str(posted["ts"])
    clicked = click("production", ts, posted["message"])
    expiring.resume(services(client), clicked)
    (reply,) = [m for m in person.messages(OPS) if m.get("thread_ts") == ts != m["ts"]]
    assert reply["text"] == f":arrow_forward: <@{ANA}> resumed automatic rotation in production."
    (told,) = [m for m in person.messages(OPS) if m["ts"] == ts]
    assert [block["type"] for block in told["blocks"]] == ["section", "context"]
    assert "in a row" in told["blocks"][0]["text"]["text"], "why it had stopped stays"
    assert told["blocks"][1]["elements"][0]["text"] == f"Resumed by <@{ANA}>."


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
