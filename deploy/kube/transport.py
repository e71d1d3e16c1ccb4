"""HTTP to one API server, over the official client's connection pool and credentials.

It is imported only when a cluster is first used: kubernetes and urllib3 take a third of a second.
Every request has its own connect and read timeout, and urllib3's retries are off: with them a
timeout of one second takes four, and a PATCH is repeated without anybody's knowledge. What is
repeated here is only what may be: reads, and server-side apply, which is idempotent.
"""

import email.utils
import json
import math
import random
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

import urllib3
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from kubernetes.config.config_exception import ConfigException

from deploy.errors import GatewayBotError, InvalidInput, Unavailable
from deploy.flight import Flight
from deploy.kube.api_errors import error_from, is_schema_error, message_of
from deploy.kube.connection import Query, Timeouts
from deploy.kube.http_errors import in_words, is_tls
from deploy.kube.http_stream import HttpStream
from deploy.kube.warnings import warnings_in
from deploy.waits import Waits

# The package has type hints, its loaders of credentials have none.
_load: Any = config

T = TypeVar("T")

_REPEATED_STATUS = frozenset({429, 503, 504})
_LONGEST_PAUSE = 2.0
_POOL_SIZE = 32
_PIECE = 65_536
"""Bytes of an answer that are read at once."""
_CREDENTIALS_SECONDS = 10.0
_CLOCK_SECONDS = 10.0
_CLOCK_TOLERANCE = 5.0


class Clock:
    """A server's clock against this machine's, by the Date of its answers."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self._read_at = -math.inf

    def told(self, date: str) -> None:
        """Take a Date in; one every few seconds is enough, for clocks drift slowly.

        It has whole seconds and was on its way, so a small difference is none.
        """
        now = time.monotonic()
        if not date or now - self._read_at < _CLOCK_SECONDS:
            return
        try:
            moment = email.utils.parsedate_to_datetime(date)
        except ValueError:
            return
        self._read_at = now
        ahead = moment.timestamp() - time.time()
        self.ahead = ahead if abs(ahead) > _CLOCK_TOLERANCE else 0.0


@dataclass(frozen=True)
class _Taken(Generic[T]):
    """A successful answer, and what was made of its body."""

    status: int
    headers: Mapping[str, str]
    result: T


@dataclass(frozen=True)
class _Failed:
    """Another one."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpConnection:
    """A Connection over the official client's ApiClient."""

    def __init__(
        self, cluster: str, api: client.ApiClient, timeouts: Timeouts, waits: Waits
    ) -> None:
        self._cluster = cluster
        self._api = api
        self._waits = waits
        self._timeouts = timeouts
        self._clock = Clock()

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
        data = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        return self._repeated(
            lambda: self._once(method, path, query, data, content_type, take=b"".join),
            what=what,
            namespace=namespace,
            repeat=repeat,
            before=before,
            doubtful=doubtful,
            warned=warned,
        )

    def read(
        self,
        path: str,
        *,
        what: str,
        namespace: str | None,
        query: Query,
        take: Callable[[Iterator[bytes]], T],
    ) -> T:
        return self._repeated(
            lambda: self._once("GET", path, query, None, "application/json", take=take),
            what=what,
            namespace=namespace,
            repeat=True,
        )

    def _repeated(
        self,
        once: Callable[[], _Taken[T] | _Failed],
        *,
        what: str,
        namespace: str | None,
        repeat: bool,
        before: Callable[[], None] | None = None,
        doubtful: Callable[[], None] | None = None,
        warned: Callable[[tuple[str, ...]], None] | None = None,
    ) -> T:
        give_up = time.monotonic() + self._timeouts.repeat
        pause = 0.1
        while True:
            if before is not None:
                before()
            try:
                answer = once()
                if isinstance(answer, _Taken):
                    if warned is not None and (texts := _warnings(answer.headers)):
                        warned(texts)
                    return answer.result
                again = answer.status in _REPEATED_STATUS and not is_schema_error(
                    answer.status, message_of(answer.body)[0]
                )
                after = _retry_after(answer.headers)
                failure: GatewayBotError = error_from(
                    self._cluster,
                    answer.status,
                    answer.body,
                    what=what,
                    namespace=namespace,
                    retry_after=after,
                )
            except Unavailable as error:
                again, after, failure = True, None, error
            if doubtful is not None and not failure.untouched:
                doubtful()
            # Half to full length, so that many requests that failed at once do not return at once.
            wait = after if after is not None else pause * random.uniform(0.5, 1.0)
            if not (repeat and again) or time.monotonic() + wait >= give_up:
                raise failure
            time.sleep(wait)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def stream(
        self, path: str, *, what: str, namespace: str | None, query: Query, silence: float
    ) -> HttpStream:
        response = self._open("GET", path, query, None, "application/json", read=silence)
        if response.status >= 300:
            answer = self._read(response, b"".join)
            raise error_from(
                self._cluster,
                response.status,
                answer,
                what=what,
                namespace=namespace,
                retry_after=_retry_after(response.headers),
            )
        return HttpStream(self._cluster, what, response)

    def answer(self, path: str) -> tuple[int, bytes]:
        answer = self._once("GET", path, None, None, "application/json", take=b"".join)
        return answer.status, answer.result if isinstance(answer, _Taken) else answer.body

    def ahead(self) -> float:
        return self._clock.ahead

    def close(self) -> None:
        self._api.rest_client.pool_manager.clear()

    def _once(
        self,
        method: str,
        path: str,
        query: Query | None,
        data: bytes | None,
        content_type: str,
        *,
        take: Callable[[Iterator[bytes]], T],
    ) -> _Taken[T] | _Failed:
        with self._waits.on(f"cluster “{self._cluster}”"):
            response = self._open(
                method, path, query, data, content_type, read=self._timeouts.read, whole=True
            )
            self._clock.told(response.headers.get("Date", ""))
            if 200 <= response.status < 300:
                return _Taken(response.status, response.headers, self._read(response, take))
            return _Failed(response.status, response.headers, self._read(response, b"".join))

    def _open(
        self,
        method: str,
        path: str,
        query: Query | None,
        data: bytes | None,
        content_type: str,
        *,
        read: float,
        whole: bool = False,
    ) -> urllib3.BaseHTTPResponse:
        """`whole`: the answer is not read as it comes."""
        headers = {"User-Agent": "gateway-bot", "Accept": "application/json, */*"}
        if whole:
            # Where a list is large; uncompressed the API server writes each object by itself.
            headers["Accept-Encoding"] = "gzip"
        if data is not None:
            headers["Content-Type"] = content_type
        url = self._api.configuration.host + path
        try:
            # Also renews credentials that run out: a token file, an exec plugin's answer.
            self._api.update_params_for_auth(headers, [], ["BearerToken"], path, method, data)
        except (ApiException, ConfigException, OSError) as error:
            raise Unavailable(
                f"The credentials for cluster “{self._cluster}” cannot be renewed: "
                f"{type(error).__name__}.",
                remedy="Ask whoever runs the bot to look at its kubeconfig.",
                untouched=True,
            ) from None
        try:
            return self._api.rest_client.pool_manager.request(
                method,
                url + _query_text(query or {}),
                body=data,
                headers=headers,
                timeout=urllib3.Timeout(connect=self._timeouts.connect, read=read),
                retries=False,
                preload_content=False,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._unreachable(error) from None

    def _read(self, response: urllib3.BaseHTTPResponse, take: Callable[[Iterator[bytes]], T]) -> T:
        try:
            return take(response.stream(_PIECE, decode_content=True))
        except (urllib3.exceptions.HTTPError, OSError) as error:
            response.close()
            raise self._unreachable(error) from None
        except GatewayBotError:
            response.close()
            raise
        finally:
            response.release_conn()

    def _unreachable(self, error: Exception) -> Unavailable:
        cause = getattr(error, "reason", error)
        if is_tls(error) or is_tls(cause):
            return Unavailable(
                f"Cluster “{self._cluster}” cannot be trusted: {in_words(error)}.",
                remedy="Ask whoever runs the bot to look at the certificate authority in its "
                "kubeconfig.",
            )
        return Unavailable(
            f"Cluster “{self._cluster}” does not answer: {in_words(error)}.",
            untouched=isinstance(cause, urllib3.exceptions.ConnectTimeoutError),
        )


def connect_with_kubeconfig(
    name: str, path: Path | None, context: str | None, timeouts: Timeouts, waits: Waits
) -> HttpConnection:
    """A connection as the kubeconfig says. InvalidInput when it cannot be used."""
    settings = client.Configuration()
    try:
        _load.load_kube_config(
            config_file=str(path) if path else None,
            context=context,
            client_configuration=settings,
            persist_config=False,
        )
    except (ConfigException, OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidInput(
            f"The kubeconfig of cluster “{name}” cannot be used: {error}.",
            field=f"clusters.{name}.kubeconfig",
            remedy="Check the path and the context in the settings.",
        ) from None
    return _connection(name, settings, timeouts, waits)


def connect_in_cluster(name: str, timeouts: Timeouts, waits: Waits) -> HttpConnection:
    """A connection with the pod's own ServiceAccount. InvalidInput outside a cluster."""
    settings = client.Configuration()
    try:
        _load.load_incluster_config(client_configuration=settings)
    except (ConfigException, OSError) as error:
        raise InvalidInput(
            f"Cluster “{name}” is set to be the one the bot runs in, but the bot does not run "
            f"in one: {error}.",
            field=f"clusters.{name}.in_cluster",
            remedy="Give a kubeconfig instead.",
        ) from None
    return _connection(name, settings, timeouts, waits)


def _connection(name: str, settings: Any, timeouts: Timeouts, waits: Waits) -> HttpConnection:
    if settings.refresh_api_key_hook is not None:
        settings.refresh_api_key_hook = _bounded(name, settings.refresh_api_key_hook)
    settings.retries = False
    settings.connection_pool_maxsize = _POOL_SIZE
    settings.socket_options = _socket_options()
    return HttpConnection(name, client.ApiClient(settings), timeouts, waits)


def _bounded(name: str, renew: Callable[[Any], None]) -> Callable[[Any], None]:
    """The official client's renewal of credentials, which runs a plugin or asks a provider without any
    time limit: TimeoutError where it takes too long."""
    settings: list[Any] = []
    flight = Flight(lambda: renew(settings[-1]), f"credentials of {name}")

    def renewed(current: Any) -> None:
        settings[:] = [current]
        flight.wait(_CREDENTIALS_SECONDS)

    return renewed


def _socket_options() -> Sequence[tuple[int, int, int]]:
    """No delay for small writes, and TCP keep-alive so that a dead peer is noticed.

    Within 35 seconds where the system lets that be set: an idle connection of the pool that a
    firewall has forgotten is then found dead before a request is sent into it.
    """
    probes = (("TCP_KEEPIDLE", 20), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))
    return (
        (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        *(
            (socket.IPPROTO_TCP, int(getattr(socket, name)), seconds)
            for name, seconds in probes
            if hasattr(socket, name)
        ),
    )


def _query_text(query: Query) -> str:
    given = {
        key: str(value).lower() if isinstance(value, bool) else str(value)
        for key, value in query.items()
        if value is not None and value != ""
    }
    return f"?{urlencode(given)}" if given else ""


def _retry_after(headers: Mapping[str, str]) -> float | None:
    value = headers.get("Retry-After", "")
    return float(value) if value.isdigit() else None


def _warnings(headers: Mapping[str, str]) -> tuple[str, ...]:
    # Each is a header of its own, which a plain mapping joins.
    every = getattr(headers, "getlist", lambda name: [headers.get(name, "")])
    return warnings_in(every("Warning"))
