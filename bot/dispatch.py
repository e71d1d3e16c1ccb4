"""What a transport hands Slack's payloads to."""

from dataclasses import dataclass
from typing import Protocol

from slack_bolt import BoltRequest, BoltResponse


class Dispatch(Protocol):
    """The bot's listeners, or a Bolt app."""

    def dispatch(self, req: BoltRequest, /) -> BoltResponse:
        """What Slack is answered; called on a thread that Slack's other payloads do not need."""


@dataclass(frozen=True)
class Connections:
    """How many Socket Mode connections stand of those that are `wanted` of this bot; how many all
    bots have, how many Slack counts and how many of those no bot has, as far as that is known."""

    standing: int
    wanted: int
    of_bots: int | None = None
    at_slack: int | None = None
    lost: int | None = None
