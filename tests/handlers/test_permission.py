"""No verb runs before the authority has allowed it."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from deploy.access import Approval, Environment, Standing
from deploy.changes.refusal import NotAllowed
from deploy.errors import Unavailable
from deploy.gateway import GatewayRef
from deploy.policy import People as Approvers
from handlers import home, permission
from handlers.intake import Intake, Work
from handlers.slack.payloads import (
    Request,
    Submission,
    request_of_click,
    request_of_form,
    request_to_mapping,
)
from handlers.verbs.table import VERBS
from handlers.verbs.verb import AnyVerb
from tests.support.authority import People, authority
from tests.support.clicks import clicked
from tests.support.needs import needs
from tests.support.waiting import until

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
    inbox: Any = SimpleNamespace(
        claim=lambda *_: stored,
        renew=lambda *_: True,
        done=lambda _, text: shown.append(text),
    )
    guarded = permission.guarded(verb.bound(needs(verb.needs)), JUDGING)
    made = Intake(slack, inbox, {verb.name: Work(verb.lane, guarded)}, "bot-1")
    assert made.take_up(asked)
    until(lambda: len(shown) == 2, "its end")
    assert len(shown) == 2
    assert all("You are a guest in this workspace" in text for text in shown)


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


def test_no_button_and_no_form_works_for_a_guest() -> None:
    done: list[object] = []
    click = clicked("U0GUS")
    with pytest.raises(NotAllowed, match="You are a guest in this workspace"):
        permission.clicked(lambda click: done.append(click), JUDGING)(request_of_click(click))
    sent = Submission("f1", "form", "U0GUS", "{}", {})
    with pytest.raises(NotAllowed, match="You are a guest in this workspace"):
        permission.filled(lambda sent: done.append(sent), JUDGING)(request_of_form(sent))
    assert done == []


def test_the_home_tab_shows_a_guest_nothing_but_why() -> None:
    drawn = home.drawn(needs(home.Needs, authority=AUTHORITY), "U0GUS")
    assert "You are a guest in this workspace" in str(drawn.view["blocks"])
    assert drawn.closed, "and nothing is kept true of it"


def test_a_home_tab_stays_as_it_is_while_nobody_can_say_who_its_reader_is() -> None:
    unsure = authority(PRODUCTION, people=People(away=True))
    with pytest.raises(Unavailable):
        home.drawn(needs(home.Needs, authority=unsure), "U0ANA")
