"""Handlers meet a running Slack workspace."""

from tests.support.slack_fixtures import client, person

__all__ = ["client", "person"]
