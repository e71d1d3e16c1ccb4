"""The name that an installation gives the command, in place of the usual one in what is shown.

Sentences are written with `/gateway` and a verb between backticks, also those in records of other bots.
Without those it is something else: a path in a plan, or in the log of a gateway.
"""

import re
from collections.abc import Mapping
from typing import Any

from slack_sdk import WebClient
from slack_sdk.web import SlackResponse

from deploy.commands import USUAL

_NAMED = re.compile(rf"(?<!`)`{re.escape(USUAL)}(?= [a-z])")


def renamed(value: Any, command: str) -> Any:
    """The same text, or the same in all texts of a payload, with the command's own name."""
    if command == USUAL:
        return value
    if isinstance(value, str):
        return _NAMED.sub(f"`{command}", value)
    if isinstance(value, Mapping):
        return {key: renamed(inner, command) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [renamed(inner, command) for inner in value]
    return value


class OwnCommandClient(WebClient):
    """A client whose messages name the command as the installation does."""

    def __init__(self, command: str = USUAL, **options: Any) -> None:
        super().__init__(**options)
        self.command = command

    def api_call(self, *arguments: Any, **named: Any) -> SlackResponse:
        """Each method of the client calls this one."""
        for part in ("json", "params", "data"):
            if named.get(part) is not None:
                named[part] = renamed(named[part], self.command)
        return super().api_call(*arguments, **named)


def command_of(slack: WebClient) -> str:
    """What the command is called for those who read what this client sends."""
    return slack.command if isinstance(slack, OwnCommandClient) else USUAL
