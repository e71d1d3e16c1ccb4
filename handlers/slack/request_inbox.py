"""Where requests are made safe: before Slack gets its ack, and when the bot asks something of itself."""

from collections.abc import Callable

from deploy.actions.inbox import Inbox
from deploy.errors import GatewayBotError, Unavailable
from handlers.slack.in_time import InTime, Late
from handlers.slack.payloads import Request, request_to_mapping


class RequestInbox:
    """`arrived` is called with each request that was not there before."""

    def __init__(self, inbox: Inbox, arrived: Callable[[Request], object]) -> None:
        self._inbox = inbox
        self._arrived = arrived

    def accept(self, request: Request) -> None:
        """Write it down, and have it worked on. Unavailable when it could not be written down."""
        if self._inbox.accept(request.id, request_to_mapping(request)) == "new":
            self._arrived(request)


def admitting(
    accept: Callable[[Request], None],
    busy: Callable[[Request], GatewayBotError | None],
    knows: Callable[[str], bool],
    in_time: InTime,
) -> Callable[[Request], None]:
    """`accept` for what people ask: it raises what `busy` says of a request that cannot be accepted
    now. One that `knows` from an earlier delivery is not refused at a later one, where that is known
    in time. What the bot asks of itself is always accepted."""

    def known(request: Request) -> bool:
        try:
            return in_time.result(lambda: knows(request.id))
        except Late:
            return False

    def admit(request: Request) -> None:
        refused = busy(request)
        if refused is None:
            accept(request)
        elif not known(request):
            raise refused

    return admit


def accepting(inbox: RequestInbox, in_time: InTime) -> Callable[[Request], None]:
    """`accept` for when Slack waits: Unavailable too where Redis takes longer than that."""

    def accept(request: Request) -> None:
        try:
            in_time.result(lambda: inbox.accept(request))
        except Late as late:
            raise _begun() if late.begun else _busy() from None

    return accept


def _begun() -> Unavailable:
    return Unavailable(
        "Redis cannot be used now (it does not answer).",
        meaning="Whether this was recorded is not known; if it was, it continues automatically.",
    )


def _busy() -> Unavailable:
    return Unavailable(
        "Redis cannot be used now (too much waits for its answer).",
        meaning="Nothing was done.",
        untouched=True,
    )
