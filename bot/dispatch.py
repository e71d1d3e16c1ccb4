"""What a transport hands Slack's payloads to."""

from typing import Protocol

from slack_bolt import BoltRequest, BoltResponse


class Dispatch(Protocol):
    """The bot's listeners, or a Bolt app."""

    def dispatch(self, req: BoltRequest, /) -> BoltResponse:
        """What Slack is answered; called on a thread that Slack's other payloads do not need."""
