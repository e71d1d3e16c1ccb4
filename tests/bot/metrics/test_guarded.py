"""Whatever fails while something is measured, the work that is measured continues."""

import logging
from typing import Any

import pytest

from bot.metrics.events import Events
from bot.metrics.guarded import guarded
from bot.wiring.measuring import counting_of
from deploy.waits import Service

SERVICE = Service("slack", "chat.update")


def fail(self: Events, *args: Any) -> None:
    raise ValueError("not a label")


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """No event can be counted."""
    for name in ("acked", "took", "called", "refused", "audited"):
        monkeypatch.setattr(Events, name, fail)


def test_metrics_that_cannot_be_counted_fail_no_work(
    broken: None, caplog: pytest.LogCaptureFixture
) -> None:
    counting = counting_of(["deploy"])
    with counting.hearing.acks.waiting():
        counting.hearing.took("command", "status", 0.1)
    with counting.waits.on("Slack", service=SERVICE) as call:
        call.error = "ratelimited"
    counting.refused(SERVICE, "ratelimited")
    counting.audited("deploy", "succeeded")
    assert counting.hearing.acks.unacked == 0
    assert counting.answers.of("slack") == "ratelimited"
    assert len(caplog.records) == 5


def test_an_observer_that_fails_again_and_again_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    seen: list[int] = []

    def observe(number: int) -> None:
        seen.append(number)
        raise ValueError("no")

    noting = guarded(observe)
    for number in range(3):
        noting(number)
    assert seen == [0, 1, 2]
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
