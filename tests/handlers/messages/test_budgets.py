"""What Slack allows is never exceeded, however the calls come."""

from types import SimpleNamespace
from typing import Any

import pytest

from deploy.actions.action import Outcome, State
from deploy.observed.causes import Cause
from handlers.messages.action_messages import NAME, ActionMessages
from handlers.messages.budgets import Order, buckets_of
from handlers.messages.family import Message
from handlers.messages.store import MessageRecord
from handlers.views import notes
from handlers.views.action import render
from tests.support.shown import NOW, shown_action

ALLOWED = {"chat.update": 50, "conversations.history": 50, "chat.postMessage": 300}


@pytest.mark.parametrize("method", ALLOWED)
def test_no_minute_has_more_calls_than_slack_allows(method: str) -> None:
    (bucket,) = buckets_of(method, Order.PERSON)
    assert bucket.burst + 60 * bucket.per_second <= ALLOWED[method]


def test_no_minute_has_more_than_sixty_messages_in_one_channel() -> None:
    _, bucket = buckets_of("chat.postMessage", Order.PERSON, "C1")
    assert bucket.burst + 60 * bucket.per_second <= 60


def test_something_is_always_left_to_what_a_person_waits_for() -> None:
    for bucket in buckets_of("chat.postMessage", Order.FINAL, "C1"):
        assert 1 <= bucket.reserve < bucket.burst
    for bucket in buckets_of("chat.postMessage", Order.PERSON, "C1"):
        assert bucket.reserve == 0


ROLLING = {"desired": 1, "ready": 0, "pods": []}
STUCK = {"cause": Cause.PULL.value, "said": "so", "since": NOW, "until": None}


def message_of(state: State, **more: Any) -> Message:
    store: Any = SimpleNamespace(told=lambda key: (shown_action(state, **more), ()))
    family, record = ActionMessages(store, render, notes.notes), MessageRecord(NAME, "7K3MAB")
    return family.render(family.load("7K3MAB", record), record)


def test_a_rollout_that_is_stuck_comes_before_the_progress_of_others() -> None:
    usual = message_of(State.RUNNING, progress=ROLLING)
    stuck = message_of(State.RUNNING, progress={**ROLLING, "stuck": STUCK})
    assert (usual.order, stuck.order) == (Order.PROGRESS, Order.PERSON)
    assert not usual.whole
    assert not stuck.whole
    ended = message_of(State.FAILED, outcome=Outcome(State.FAILED, "It did not finish."))
    assert (ended.order, ended.whole) == (Order.FINAL, True)
