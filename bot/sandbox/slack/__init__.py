"""A Slack workspace in one process: Web API, Socket Mode, signed HTTP, and a page for people."""

from bot.sandbox.slack.model import AppConfig, Channel, Command, Team, User, UserGroup
from bot.sandbox.slack.workspace import SlackWorkspace

__all__ = ["AppConfig", "Channel", "Command", "SlackWorkspace", "Team", "User", "UserGroup"]
