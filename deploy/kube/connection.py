"""What a cluster's client needs of its connection: requests, streams and how long to wait.

Kept apart from the transport, whose libraries are loaded only when a cluster is first used.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from deploy.errors import Unavailable

T = TypeVar("T")

Query = Mapping[str, str | int | bool | None]
"""Parameters of a URL; those that are None or empty are left out."""


@dataclass(frozen=True)
class Timeouts:
    """How long to wait, in seconds: to connect, for the next byte of an answer, and in all for
    the repetitions of one request."""

    connect: float = 3.0
    read: float = 15.0
    repeat: float = 5.0


class Connection(Protocol):
    """What a cluster needs of its transport."""

    def request(
        self,
        method: str,
        path: str,
        *,
        what: str,
        namespace: str | None = None,
        query: Query | None = None,
        body: Any = None,
        content_type: str = "application/json",
        repeat: bool = False,
        before: Callable[[], None] | None = None,
        doubtful: Callable[[], None] | None = None,
        warned: Callable[[tuple[str, ...]], None] | None = None,
    ) -> bytes:
        """The body of a successful answer, else one of deploy.errors.

        `before` is called right before each attempt; what it raises ends the request. `doubtful` is
        called after each that failed and may have been carried out all the same, `warned` with what
        the server warns of beside a successful answer.
        """

    def read(
        self,
        path: str,
        *,
        what: str,
        namespace: str | None,
        query: Query,
        take: Callable[[Iterator[bytes]], T],
    ) -> T:
        """What `take` makes of the body of a GET while it arrives, in pieces of any size; called
        anew for each attempt. Else one of deploy.errors."""

    def stream(
        self,
        path: str,
        *,
        what: str,
        namespace: str | None,
        query: Query,
        silence: float,
        watch: bool = False,
    ) -> "Stream":
        """An open answer that is read as it comes. The server ends a `watch` before it is silent for
        so long: if it is, what forgot that connection may have forgotten idle ones too."""

    def answer(self, path: str) -> tuple[int, bytes]:
        """The HTTP status and body a GET answers with, whatever they are."""

    def ahead(self) -> float:
        """By how many seconds the server's clock is ahead of this machine's, as it last said."""

    def close(self) -> None:
        """Drop the connections."""


class Stream(Protocol):
    """Lines that come as the server sends them."""

    def lines(self, longest: int | None = None) -> Iterator[bytes]:
        """Each line without its end, of one longer than `longest` bytes only the beginning.

        Returns when the server ends. Unavailable when it broke, Silent when nothing came for the
        time agreed."""

    def close(self) -> None:
        """End it, from any thread: a reader that waits returns at once."""


class Unanswered(Unavailable):
    """No byte of an answer came in its time: the connection may be dead."""


class Silent(Unavailable):
    """A stream on which nothing came for too long: the connection may be dead."""
