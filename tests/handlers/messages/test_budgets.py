"""What Slack allows is never exceeded, however the calls come."""

import pytest

from handlers.messages.budgets import Order, buckets_of

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
