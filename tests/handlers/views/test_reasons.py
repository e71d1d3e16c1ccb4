"""The reasons that people give, as messages print them."""

import datetime
import json
import re
from typing import Any

import pytest
from hypothesis import given as over
from hypothesis import strategies as st

from deploy.access import Environment, Freeze, Frozen
from deploy.actions.action import State
from deploy.actions.pauses import CLUSTER, Pause
from deploy.gateway import GatewayRef
from deploy.policy import People, Policy, Requirement
from handlers.views import action as action_view
from handlers.views import errors, freezes, pauses, request_line
from handlers.views.words.form import frozen
from handlers.views.words.reasons import given
from tests.handlers.views.test_notifications import action, where

TYPED = [
    "restoring the link",
    "restoring the link.",
    "“restoring the link”",
    '"restoring the link."',
]
PROD = Environment("production-east", production=True)
NOW = datetime.datetime(2026, 11, 30, tzinfo=datetime.UTC)


def frozen_for(reason: str) -> Freeze:
    return Freeze(reason, NOW, NOW + datetime.timedelta(days=3))


def of_action(reason: str) -> str:
    one = Policy((Requirement("production", People(groups=("S1",))),), break_glass=reason)
    asked = action("deploy", State.PENDING, why=reason, policy=one)
    denied = action("deploy", State.DENIED, reason=reason, decided_by="U2")
    done = action("deploy", State.SUCCEEDED, why=reason)
    shown = [action_view.render(each, where)[1] for each in (asked, denied, done)]
    return json.dumps([*shown, request_line.text_of(asked, None)], ensure_ascii=False)


def of_freeze(reason: str) -> str:
    error = Frozen(PROD, frozen_for(reason), GatewayRef("east", "prod", "edge-2"), "Ask again.")
    told: Any = errors.trouble(error)
    form = frozen(PROD, frozen_for(reason), "/gateway", overridden=False)
    return f"{told.blocks} {form} {freezes.line(PROD, frozen_for(reason), NOW.timestamp())}"


def of_pause(reason: str) -> str:
    return pauses.line(Pause(CLUSTER, "west", reason))


@pytest.mark.parametrize("reason", TYPED)
@pytest.mark.parametrize("said_of", [of_action, of_freeze, of_pause])
def test_a_reason_has_one_full_stop_and_no_quotation_marks(said_of: Any, reason: str) -> None:
    said = said_of(reason)
    assert said.count("restoring the link") == said.count("restoring the link.") > 0
    assert "link.." not in said
    assert not re.search(r"[“\"]restoring|link\.?”", said)


def test_a_question_an_exclamation_and_what_was_cut_need_no_full_stop() -> None:
    ended = ("Why not?", "Now!", "cut of…", "see (the ticket)", "done;", "as told:", "重要。", "")
    assert [given(each) for each in ended] == list(ended)


def test_a_reason_of_nothing_but_full_stops_or_quotation_marks_stays() -> None:
    assert [given(each) for each in (".", " ... ", '""', '"."', "  ")] == [
        ".",
        "...",
        '""',
        '"."',
        "",
    ]


def test_quotation_marks_within_a_reason_stay() -> None:
    assert given('"a" or "b"') == '"a" or "b".'


@over(st.text(max_size=60))
def test_a_reason_is_said_the_same_when_it_is_said_again(reason: str) -> None:
    assert given(given(reason)) == given(reason)
    assert not given(reason).endswith("..") or not reason.strip(" .")
