"""Whatever fails while something is measured, the work that is measured continues."""

from types import SimpleNamespace
from typing import Any

import pytest
from slack_bolt import BoltRequest, BoltResponse

from bot.metrics.events import Events
from bot.metrics.heard import Heard
from bot.wiring.measuring import counting_of
from deploy.waits import Service
from handlers.verbs.table import VERBS

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
    listeners = SimpleNamespace(dispatch=lambda request: BoltResponse(status=200))
    heard = Heard(listeners, VERBS, "/gateway", counting.hearing.took)
    with counting.hearing.acks.waiting():
        heard.dispatch(BoltRequest(mode="socket_mode", body={"command": "/gateway", "text": ""}))
    with counting.waits.on("Slack", service=SERVICE) as call:
        call.error = "ratelimited"
    counting.refused(SERVICE, "ratelimited")
    counting.audited("deploy", "succeeded")
    assert counting.hearing.acks.unacked == 0
    assert len(caplog.records) == 5
