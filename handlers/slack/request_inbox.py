"""Where requests are made safe: before Slack gets its ack, and when the bot asks something of itself."""

from collections.abc import Callable

from deploy.actions.inbox import Inbox
from handlers.slack.payloads import Request, request_to_mapping


class RequestInbox:
    """`arrived` is called with the id of each request that was not there before."""

    def __init__(self, inbox: Inbox, arrived: Callable[[str], None]) -> None:
        self._inbox = inbox
        self._arrived = arrived

    def accept(self, request: Request) -> None:
        """Write it down, and have it worked on. Unavailable when it could not be written down."""
        if self._inbox.accept(request.id, request_to_mapping(request)) == "new":
            self._arrived(request.id)
