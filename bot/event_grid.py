"""The endpoint that Event Grid delivers to: on a port of its own, and only for who proves itself.

A delivery proves itself by a shared secret, in the subscription's URL (`?key=`) or a header, or by a
token of Entra ID. The handshakes are those of "Webhook event delivery" in Event Grid's documentation.
"""

import hmac
import json
import logging
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol
from urllib.parse import parse_qs

from waitress.server import create_server

from deploy.deadline import Deadline
from deploy.errors import GatewayBotError, InvalidInput, Unavailable
from deploy.expiry.event_grid import TokenEvent, read

log = logging.getLogger(__name__)

_LARGEST = 1024 * 1024
"""Event Grid delivers a megabyte at most in a request."""
_ORIGIN = re.compile(r"[A-Za-z0-9.:/-]{1,200}")
_CLOSING_SECONDS = 1.0
KEY_HEADER = "HTTP_X_EVENT_GRID_KEY"

StartResponse = Callable[[str, list[tuple[str, str]]], Any]
Answer = tuple[str, list[tuple[str, str]], bytes]


class TokenCheck(Protocol):
    """Whether a bearer token is one with which Event Grid may deliver here."""

    def __call__(self, token: str) -> bool: ...


class EventGrid:
    """`take` is given each event, and must be quick; what it raises makes Azure deliver again."""

    def __init__(
        self,
        host: str,
        port: int,
        path: str,
        take: Callable[[TokenEvent], None],
        *,
        secret: str = "",
        token_check: TokenCheck | None = None,
    ) -> None:
        self._path = path
        self._take = take
        self._secret = secret
        self._token_check = token_check
        self._server = create_server(
            self._application,
            host=host,
            port=port,
            threads=4,
            ident="gateway-bot",
            max_request_body_size=_LARGEST,
        )
        self._thread = threading.Thread(target=self._server.run, name="event-grid", daemon=True)

    @property
    def port(self) -> int:
        """The port listened on, also where any free one was asked for."""
        server: Any = self._server
        return int(server.effective_port)

    def start(self) -> None:
        """Serve on a thread of its own."""
        self._thread.start()
        log.info("Event Grid is listened to at port %s", self.port)

    def stop(self, deadline: Deadline) -> None:
        """Stop accepting. A kept-alive connection would hold the thread, so it is left."""
        self._server.close()
        deadline.within(_CLOSING_SECONDS).join([self._thread])

    @property
    def live(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def _application(
        self, environ: Mapping[str, Any], start_response: StartResponse
    ) -> Iterable[bytes]:
        try:
            status, headers, body = self._answer(environ)
        except Exception:  # Azure delivers again; the log keeps what was wrong with it
            log.exception("a delivery of Event Grid failed")
            status, headers, body = "500 Internal Server Error", [], b""
        start_response(status, [*headers, ("Content-Length", str(len(body)))])
        return [body]

    def _answer(self, environ: Mapping[str, Any]) -> Answer:
        if environ.get("PATH_INFO") != self._path:
            return "404 Not Found", [], b""
        method = environ.get("REQUEST_METHOD")
        if method == "OPTIONS":
            return _handshake(environ)
        if method != "POST":
            return "405 Method Not Allowed", [("Allow", "OPTIONS, POST")], b""
        try:
            if not self._proven(environ):
                log.warning("a delivery to the Event Grid endpoint did not prove itself")
                return "401 Unauthorized", [], b""
            delivery = read(environ["wsgi.input"].read(_LARGEST + 1), time.time())
        except InvalidInput as error:
            log.warning("a delivery of Event Grid was refused: %s", error.happened)
            return "400 Bad Request", [], b""
        except Unavailable as error:
            log.warning("a delivery of Event Grid cannot be checked: %s", error)
            return "503 Service Unavailable", [("Retry-After", "30")], b""
        if delivery.validation_code:
            answer = json.dumps({"validationResponse": delivery.validation_code}).encode()
            return "200 OK", [("Content-Type", "application/json")], answer
        try:
            for event in delivery.events:
                self._take(event)
        except GatewayBotError as error:
            log.warning("a delivery of Event Grid could not be kept: %s", error)
            return "503 Service Unavailable", [("Retry-After", "30")], b""
        return "200 OK", [], b""

    def _proven(self, environ: Mapping[str, Any]) -> bool:
        shown = parse_qs(str(environ.get("QUERY_STRING", ""))).get("key", [""])[0]
        shown = str(environ.get(KEY_HEADER, "")) or shown
        if self._secret and hmac.compare_digest(shown.encode(), self._secret.encode()):
            return True
        scheme, _, token = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
        if self._token_check is None or scheme.lower() != "bearer":
            return False
        return self._token_check(token.strip())


def _handshake(environ: Mapping[str, Any]) -> Answer:
    """CloudEvents' protection of who did not ask for deliveries. It tells nothing and lets nobody
    in: each delivery proves itself."""
    origin = str(environ.get("HTTP_WEBHOOK_REQUEST_ORIGIN", ""))
    if not _ORIGIN.fullmatch(origin):
        return "400 Bad Request", [], b""
    allowed = [("WebHook-Allowed-Origin", origin), ("WebHook-Allowed-Rate", "120")]
    return "200 OK", [*allowed, ("Allow", "OPTIONS, POST")], b""
