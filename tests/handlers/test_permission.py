"""No verb runs before the authority has allowed it."""

import json
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from deploy.access import Approval, Environment, Right, Standing
from deploy.changes.refusal import NotAllowed
from deploy.errors import Unavailable
from deploy.gateway import GatewayRef
from deploy.policy import People as Approvers
from handlers import home, listeners, permission
from handlers.actions import decisions, fix
from handlers.intake import Intake
from handlers.slack.payloads import Request, request_to_mapping
from handlers.verbs.table import VERBS
from handlers.verbs.verb import AnyVerb
from tests.support.authority import People, authority
from tests.support.needs import needs

REF = GatewayRef("west", "prod", "edge-1")
PRODUCTION = Environment(
    "production",
    namespaces=("prod",),
    production=True,
    requesters=Approvers(("U0ANA",)),
    approval=Approval(Approvers(("U0BEN",))),
)


AUTHORITY = authority(PRODUCTION, people=People(standings={"U0GUS": Standing.GUEST}))
JUDGING = permission.Needs(AUTHORITY, {})


def listening(shown: list[str]) -> listeners.Listeners:
    """The listeners of a bot whose verbs and buttons have nothing of what they need."""
    slack = SimpleNamespace(chat_postEphemeral=lambda **message: shown.append(message["text"]))
    nothing: Any = None
    return listeners.Listeners(
        needs(listeners.Needs, slack=slack, authority=AUTHORITY),
        [verb.bound(needs(verb.needs)) for verb in VERBS],
        dict.fromkeys({**decisions.CLICKS, **fix.CLICKS}, nothing),
        nothing,
        nothing,
    )


def request(verb: AnyVerb, user: str, **options: Any) -> Request:
    return Request("r1", verb.name, user, "C1", gateway="edge-1", options=options)


@pytest.fixture(autouse=True)
def found(monkeypatch: pytest.MonkeyPatch) -> None:
    """edge-1 runs in production."""
    monkeypatch.setattr(permission, "find", lambda caches, name: REF)


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_a_guest_is_refused_by_every_verb_before_it_looks_at_anything(verb: AnyVerb) -> None:
    shown: list[str] = []
    slack: Any = SimpleNamespace(chat_postEphemeral=lambda **message: shown.append(message["text"]))
    asked = request(verb, "U0GUS")
    stored = json.dumps(request_to_mapping(asked))
    inbox: Any = SimpleNamespace(claim=lambda *_: stored, done=lambda _, text: shown.append(text))
    with ThreadPoolExecutor(1) as pool:
        guarded = permission.guarded(verb.bound(needs(verb.needs)), JUDGING)
        made = Intake(slack, inbox, {verb.name: guarded}, pool, "bot-1")
        made._work("r1")
    assert len(shown) == 2
    assert all("You are a guest of this workspace" in text for text in shown)


@pytest.mark.parametrize("name", ["logs", "diff", "check", "export"])
def test_a_gateway_is_looked_at_closely_by_those_who_request_or_approve_its_changes(
    name: str,
) -> None:
    verb = next(verb for verb in VERBS if verb.name == name)
    for user in ("U0ANA", "U0BEN"):
        allowed = permission.permitted(JUDGING, verb, request(verb, user))
        assert allowed.gateway == "west/prod/edge-1", "the one that was judged is the one meant"
    with pytest.raises(NotAllowed, match="Only those who request or approve changes in production"):
        permission.permitted(JUDGING, verb, request(verb, "U0DAN"))


@pytest.mark.parametrize(
    ("name", "options", "allowed"),
    [
        ("window", {}, {"U0BEN"}),
        ("window", {"close": True}, {"U0BEN"}),
        ("expiring", {}, {"U0ANA", "U0BEN", "U0DAN"}),
        ("expiring", {"snooze": "3d"}, {"U0ANA", "U0BEN"}),
        ("status", {}, {"U0ANA", "U0BEN", "U0DAN"}),
    ],
)
def test_an_option_may_take_another_right(
    name: str, options: dict[str, Any], allowed: set[str]
) -> None:
    verb = next(verb for verb in VERBS if verb.name == name)
    for user in ("U0ANA", "U0BEN", "U0DAN"):
        asked = request(verb, user, **options)
        if user in allowed:
            permission.permitted(JUDGING, verb, asked)
            continue
        with pytest.raises(NotAllowed):
            permission.permitted(JUDGING, verb, asked)


def test_no_button_works_for_a_guest() -> None:
    shown: list[str] = []
    acked: list[bool] = []
    made = listening(shown)
    for name in made._clicks:
        body = {
            "user": {"id": "U0GUS"},
            "channel": {"id": "C1"},
            "actions": [{"action_id": name, "value": "x"}],
        }
        ack: Any = lambda: acked.append(True)  # noqa: E731
        made.click(ack, body)
        assert "You are a guest of this workspace" in shown.pop()
    assert len(acked) == len(made._clicks)


def test_the_home_tab_shows_a_guest_nothing_but_why() -> None:
    published: list[Any] = []
    slack = SimpleNamespace(views_publish=lambda **view: published.append(view["view"]["blocks"]))
    home.publish(needs(home.Needs, slack=slack, authority=AUTHORITY), "U0GUS")
    (blocks,) = published
    assert "You are a guest of this workspace" in str(blocks)


def test_the_form_of_a_command_does_not_open_for_a_guest() -> None:
    shown: list[str] = []
    acked: list[bool] = []
    body = {"text": "deploy", "trigger_id": "t", "user_id": "U0GUS", "channel_id": "C1"}
    ack: Any = lambda: acked.append(True)  # noqa: E731
    listening(shown).command(ack, body)
    assert acked == [True]
    assert "You are a guest of this workspace" in shown[0]


def test_while_slack_does_not_say_who_somebody_is_their_command_is_answered_with_that() -> None:
    away = permission.Needs(authority(PRODUCTION, people=People(away=True)), {})
    verb = VERBS[0]
    with pytest.raises(Unavailable, match="Slack does not say"):
        permission.permitted(away, verb, request(verb, "U0ANA"))


def test_every_right_that_a_gateway_decides_on_is_asked_of_its_environment() -> None:
    """The others are judged where the change is proposed, or the action decided on."""
    later = {Right.SEE, Right.ASK, Right.RESUME, Right.DECIDE, Right.CONFIRM, Right.CANCEL}
    assert set(Right) == permission._OF_A_GATEWAY | later | {Right.STOP}
