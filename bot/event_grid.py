"""The endpoint that Event Grid delivers to: on a port of its own, and only for senders that prove themselves.

A delivery proves itself by a shared secret, in the subscription's URL (`?key=`) or a header, or by a
token of Entra ID. The handshakes are those of "Webhook event delivery" in Event Grid's documentation.
"""

import hmac
import json
import logging
import re
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Protocol
from urllib.parse import parse_qs

from bot.http_server import Answer, Head, HttpServer, refusal
from deploy.deadline import Deadline
from deploy.errors import GatewayBotError, InvalidInput, Unavailable
from deploy.expiry.event_grid import TokenEvent, read

log = logging.getLogger(__name__)

_ORIGIN = re.compile(r"[A-Za-z0-9.:/-]{1,200}")
_ANSWER_SECONDS = 1.0
_KEY_HEADER = "X-Event-Grid-Key"
_LATER = {"Retry-After": "30"}


class TokenCheck(Protocol):
    """Whether a bearer token is one with which Event Grid may deliver here."""

    def __call__(self, token: str) -> bool: ...


class EventGrid:
    """`take` is given each event, and must be quick; what it raises makes Azure deliver again. `secret` is
    asked for at each delivery; empty, it lets nobody in."""

    def __init__(
        self,
        host: str,
        port: int,
        path: str,
        take: Callable[[TokenEvent], None],
        *,
        secret: Callable[[], str] = str,
        token_check: TokenCheck | None = None,
    ) -> None:
        self._path = path
        self._take = take
        self._secret = secret
        self._token_check = token_check
        self._server = HttpServer("event-grid", host, port, self._admit, self._answer, threads=4)

    @property
    def port(self) -> int:
        """The port listened on, also where any free one was asked for."""
        return self._server.port

    def start(self) -> None:
        """Serve on a thread of its own."""
        self._server.start()
        log.info("Event Grid is listened to at port %s", self.port)

    def stop(self, deadline: Deadline) -> None:
        """Answer what was delivered, and close. Azure delivers later what found nobody."""
        self._server.stop(deadline.within(_ANSWER_SECONDS))

    @property
    def live(self) -> bool:
        """Whether the thread runs."""
        return self._server.live

    def _admit(self, head: Head) -> Answer | None:
        if head.path != self._path:
            return refusal(HTTPStatus.NOT_FOUND, "another path")
        if head.method == "OPTIONS":
            return _handshake(head)
        if head.method != "POST":
            allowed = {"Allow": "OPTIONS, POST"}
            return refusal(HTTPStatus.METHOD_NOT_ALLOWED, "another method", allowed)
        if not (self._knows_secret(head) or self._token(head)):
            return _unproven()
        return None

    def _answer(self, head: Head, body: bytes) -> Answer:
        try:
            if not (self._knows_secret(head) or self._good_token(head)):
                return _unproven()
            delivery = read(body, time.time())
        except InvalidInput:
            return refusal(HTTPStatus.BAD_REQUEST, "malformed")
        except Unavailable as error:
            log.warning("a delivery of Event Grid cannot be checked: %s", error)
            return Answer(HTTPStatus.SERVICE_UNAVAILABLE, headers=_LATER)
        if delivery.validation_code:
            answer = json.dumps({"validationResponse": delivery.validation_code}).encode()
            return Answer(HTTPStatus.OK, answer, {"Content-Type": "application/json"})
        try:
            for event in delivery.events:
                self._take(event)
        except GatewayBotError as error:
            log.warning("a delivery of Event Grid could not be kept: %s", error)
            return Answer(HTTPStatus.SERVICE_UNAVAILABLE, headers=_LATER)
        return Answer(HTTPStatus.OK)

    def _knows_secret(self, head: Head) -> bool:
        shown = parse_qs(head.query, errors="replace").get("key", [""])[0]
        shown = head.headers.get(_KEY_HEADER, "") or shown
        given, secret = shown.encode(errors="replace"), self._secret()
        return bool(secret) and hmac.compare_digest(given, secret.encode())

    def _good_token(self, head: Head) -> bool:
        token = self._token(head)
        return bool(token) and self._token_check is not None and self._token_check(token)

    def _token(self, head: Head) -> str:
        """The bearer token that is shown, empty where none would count."""
        scheme, _, token = head.headers.get("Authorization", "").partition(" ")
        return token.strip() if self._token_check and scheme.lower() == "bearer" else ""


def _unproven() -> Answer:
    return refusal(HTTPStatus.UNAUTHORIZED, "did not prove itself")


def _handshake(head: Head) -> Answer:
    """CloudEvents' protection of who did not ask for deliveries. It tells nothing and lets nobody
    in: each delivery proves itself."""
    origin = head.headers.get("WebHook-Request-Origin", "")
    if not _ORIGIN.fullmatch(origin):
        return refusal(HTTPStatus.BAD_REQUEST, "malformed")
    allowed = {"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "120"}
    return Answer(HTTPStatus.OK, headers={**allowed, "Allow": "OPTIONS, POST"})
