"""The fixtures of the emulator's tests."""

from tests.support.slack_fixtures import app, client, person

__all__ = ["app", "client", "person"]
