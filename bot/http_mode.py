"""HTTP mode: Slack's signed requests, let in by their signature and handed to the listeners.

What is not signed is refused before it is parsed, and never logged.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus

from slack_bolt import BoltRequest

from bot.dispatch import Connections, Dispatch
from bot.http_server import Answer, Head, HttpServer, refusal
from bot.slack_signatures import SIGNATURE, plausible, signed
from deploy.deadline import Deadline
from handlers.slack.acks import Acks
from handlers.slack.shapes import is_sound

_ANSWER_SECONDS = 4.0
"""Slack waits three for an answer."""
_FORMS = ("application/json", "application/x-www-form-urlencoded")
_HEADERS = (
    *("content-type", "x-slack-request-timestamp", "x-slack-signature"),
    *("x-slack-retry-num", "x-slack-retry-reason"),
)
"""What the listeners are given of the headers. Some others, which no signature covers, steer a Bolt
app."""
_JSON = {"Content-Type": "application/json;charset=utf-8"}
_REFUSED = b'{"error": "invalid request"}'


class HttpMode:
    """An HTTP server for commands, interactions, options and events on one path.

    Told to stop, it serves on for `drain_seconds`, in which load balancers learn of it. `acks` counts
    requests without an answer. `signing_secret` is asked for at each request. ValueError without one.
    """

    def __init__(
        self,
        app: Dispatch,
        signing_secret: Callable[[], str],
        *,
        host: str,
        port: int,
        path: str,
        drain_seconds: float = 0.0,
        threads: int = 64,
        acks: Acks | None = None,
    ) -> None:
        if not signing_secret().strip():
            raise ValueError("HTTP mode needs a signing secret")
        self._app = app
        self._secret = signing_secret
        self._path = path
        self._drain = drain_seconds
        self._replays = _Replays()
        self._server = HttpServer(
            "http-mode",
            host,
            port,
            self._admit,
            self._answer,
            prove=self._prove,
            answering=(acks or Acks()).waiting,
            threads=threads,
        )

    @property
    def port(self) -> int:
        """The port listened on, also where any free one was asked for."""
        return self._server.port

    def start(self) -> None:
        """Serve; the socket is bound already."""
        self._server.start()

    def stop(self, deadline: Deadline) -> None:
        """Serve for the drain time, then stop accepting, and answer what was asked."""
        self._server.leave()
        if self._server.live:
            threading.Event().wait(deadline.within(self._drain).left)
        self._server.stop(deadline.within(_ANSWER_SECONDS))

    @property
    def live(self) -> bool:
        """Whether the server's thread runs."""
        return self._server.live

    @property
    def connected(self) -> bool:
        """Whether Slack can reach it, as far as the bot can know."""
        return self.live

    @property
    def connections(self) -> Connections | None:
        """None: it has none."""
        return None

    @property
    def detail(self) -> Mapping[str, str]:
        """Nothing more."""
        return {}

    def _admit(self, head: Head) -> Answer | None:
        if head.path != self._path:
            return refusal(HTTPStatus.NOT_FOUND, "another path")
        if head.method != "POST":
            return refusal(HTTPStatus.METHOD_NOT_ALLOWED, "another method", {"Allow": "POST"})
        if not plausible(head.headers, time.time()):
            return _unsigned()
        form = head.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if form not in _FORMS:
            return refusal(HTTPStatus.BAD_REQUEST, "malformed")
        return None

    def _prove(self, head: Head, body: bytearray) -> Answer | None:
        return None if signed(self._secret(), head.headers, body) else _unsigned()

    def _answer(self, head: Head, body: bytes) -> Answer:
        request = _read(head, body)
        if request is None:
            return refusal(HTTPStatus.BAD_REQUEST, "malformed")
        # Slack may ask for the same suggestions twice in a second; they change nothing.
        if request.body.get("type") != "block_suggestion" and not self._replays.is_new(
            head.headers[SIGNATURE]
        ):
            return Answer(HTTPStatus.OK, refused="sent before")
        response = self._app.dispatch(request)
        if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            # It has had no effect, and may be sent again.
            self._replays.forget(head.headers[SIGNATURE])
        headers = {name: values[0] for name, values in response.headers.items() if values}
        return Answer(response.status, response.body.encode(), headers)


def _unsigned() -> Answer:
    return Answer(HTTPStatus.UNAUTHORIZED, _REFUSED, _JSON, refused="not signed by Slack")


def _read(head: Head, body: bytes) -> BoltRequest | None:
    """The request, parsed; None where it is nothing that Slack sends."""
    headers: dict[str, str | Sequence[str]] = {
        name: head.headers[name] for name in _HEADERS if name in head.headers
    }
    try:
        request = BoltRequest(body=body.decode(), query=head.query, headers=headers)
    except (ValueError, TypeError, AttributeError, LookupError, RecursionError):
        return None
    return request if is_sound(request.body) else None


class _Replays:
    """Signatures of the last minutes. A signature is of one body in one second, so the same one again
    was recorded, or is a repetition of which the first is under way."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[str, float] = {}
        self._lock = threading.Lock()

    def is_new(self, signature: str) -> bool:
        """Whether it is seen for the first time."""
        now = self._clock()
        with self._lock:
            while self._seen and self._seen[first := next(iter(self._seen))] < now - _KEPT_SECONDS:
                del self._seen[first]
            if signature in self._seen:
                return False
            self._seen[signature] = now
            return True

    def forget(self, signature: str) -> None:
        """Take it as never seen."""
        with self._lock:
            self._seen.pop(signature, None)


_KEPT_SECONDS = 660.0
"""A timestamp may be five minutes off either way."""
