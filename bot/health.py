"""The health port: `/livez`, `/readyz` and `/healthz` for Kubernetes' probes, `/metrics` for Prometheus."""

import json
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus

from bot.http_server import Answer, Bounds, Head, HttpServer, refusal
from deploy.deadline import Deadline

States = Callable[[], Mapping[str, bool | str]]
"""By name, whether each of several things is as it should be. A text is shown, and changes nothing."""

METRICS = "/metrics"
_BOUNDS = Bounds(connections=64, body=0)
_THREADS = 4
_SCRAPES = 2
"""At once: a scrape may wait a moment for Redis, and a probe never waits for that."""
_ANSWER_SECONDS = 1.0
_JSON = {"Content-Type": "application/json"}
_METHODS = ("GET", "HEAD")


class HealthServer:
    """Answers a path 200 while everything is as it should be, and otherwise 503; what is not is
    named in the answer."""

    def __init__(
        self,
        host: str,
        port: int,
        paths: Mapping[str, States],
        *,
        metrics: Callable[[], tuple[str, bytes]] | None = None,
    ) -> None:
        """`metrics` gives what a scrape gets, and its media type."""
        self._paths = paths
        self._metrics = metrics
        self._scrapes = threading.BoundedSemaphore(_SCRAPES)
        self._server = HttpServer(
            "health", host, port, self._admit, self._answer, threads=_THREADS, bounds=_BOUNDS
        )

    @property
    def port(self) -> int:
        """The port listened on, also where any free one was asked for."""
        return self._server.port

    def start(self) -> None:
        """Serve on a thread of its own."""
        self._server.start()

    def stop(self, deadline: Deadline) -> None:
        """Stop serving."""
        self._server.stop(deadline.within(_ANSWER_SECONDS))

    @property
    def live(self) -> bool:
        """Whether it serves."""
        return self._server.live

    def _admit(self, head: Head) -> Answer | None:
        scraped = head.path == METRICS and self._metrics is not None
        if head.path not in self._paths and not scraped:
            return refusal(HTTPStatus.NOT_FOUND, "another path")
        if head.method not in _METHODS:
            allowed = {"Allow": ", ".join(_METHODS)}
            return refusal(HTTPStatus.METHOD_NOT_ALLOWED, "another method", allowed)
        return None

    def _answer(self, head: Head, body: bytes) -> Answer:
        if head.path not in self._paths:
            return self._scraped()
        state = self._paths[head.path]()
        status = HTTPStatus.SERVICE_UNAVAILABLE if False in state.values() else HTTPStatus.OK
        return Answer(status, json.dumps(state).encode(), _JSON)

    def _scraped(self) -> Answer:
        if self._metrics is None or not self._scrapes.acquire(blocking=False):
            return Answer(HTTPStatus.SERVICE_UNAVAILABLE, headers={"Retry-After": "1"})
        try:
            media, text = self._metrics()
        finally:
            self._scrapes.release()
        return Answer(HTTPStatus.OK, text, {"Content-Type": media})
