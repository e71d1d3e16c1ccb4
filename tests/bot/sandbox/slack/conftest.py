"""The fixtures of the emulator's tests."""

import pytest

from bot.sandbox.slack import httpmode, socketmode, tokens
from tests.support.slack_fixtures import app, client, person

__all__ = ["app", "client", "person"]


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slack's three seconds are ten: a busy machine may hold an app up for longer than three."""
    for module in (httpmode, socketmode):
        monkeypatch.setattr(module, "DEADLINE_SECONDS", 10.0)
    monkeypatch.setattr(tokens, "TRIGGER_SECONDS", 10.0)
