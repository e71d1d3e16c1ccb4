"""HTTP to one API server, over the official client's connection pool.

It is imported only when a cluster is first used: kubernetes and urllib3 take a third of a second.
Every request has its own connect and read timeout, and urllib3's retries are off: with them a
timeout of one second takes four, and a PATCH is repeated without anybody's knowledge. What is
repeated here is only what may be: reads, and server-side apply, which is idempotent.
"""

import json
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import urllib3
from kubernetes import client
from kubernetes.config import incluster_config
from kubernetes.config.config_exception import ConfigException

from deploy.errors import GatewayBotError, InvalidInput, Unavailable
from deploy.kube import kubeconfig
from deploy.kube.api_errors import error_from, is_schema_error, message_of
from deploy.kube.connection import Query, Timeouts, Unanswered
from deploy.kube.credentials import Credential, Source
from deploy.kube.http_parts import query_text, retry_after, warnings_of
from deploy.kube.http_pools import Pools, settings_for
from deploy.kube.http_stream import HttpStream
from deploy.kube.server_clock import Clock
from deploy.kube.sources import files_of, source_of
from deploy.link_faults import CERTIFICATE, Place, fault_of
from deploy.waits import Call, Service, Waits

# The package has type hints, its loaders of credentials have none.
_incluster: Any = incluster_config

T = TypeVar("T")

_PLACE = Place("`server` of its kubeconfig", "`certificate-authority` of its kubeconfig")

_REPEATED_STATUS = frozenset({429, 503, 504})
_UNAUTHORIZED, _FORBIDDEN = 401, 403
_SERVERS_FAULT = 500
_RENEWALS = 2
"""How often one request is tried anew because its credentials were refused."""
_LONGEST_PAUSE = 2.0
_PIECE = 65_536
"""Bytes of an answer that are read at once."""
_DEFAULT_LOCATION = "~/.kube/config"


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


class _Renewed(Unavailable):
    """The server refused the credentials, and there are others now: it is to be asked again."""


class HttpConnection:
    """A Connection over the official client's pools."""

    def __init__(
        self,
        cluster: str,
        pools: Pools,
        credentials: Source,
        impersonation: tuple[tuple[str, str], ...],
        timeouts: Timeouts,
        waits: Waits,
    ) -> None:
        self._cluster = cluster
        self._service = Service("cluster", cluster)
        self._pools = pools
        self._credentials = credentials
        self._impersonation = impersonation
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
            lambda credential: self._once(
                credential, method, path, query, data, content_type, take=b"".join
            ),
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
            lambda credential: self._once(
                credential, "GET", path, query, None, "application/json", take=take
            ),
            what=what,
            namespace=namespace,
            repeat=True,
        )

    def _repeated(
        self,
        once: Callable[[Credential], _Taken[T] | _Failed],
        *,
        what: str,
        namespace: str | None,
        repeat: bool,
        before: Callable[[], None] | None = None,
        doubtful: Callable[[], None] | None = None,
        warned: Callable[[tuple[str, ...]], None] | None = None,
    ) -> T:
        give_up = time.monotonic() + self._timeouts.repeat
        pause, renewals = 0.1, 0
        failure: GatewayBotError
        while True:
            try:
                credential = self._credential()
            except Unavailable as error:
                again, after, failure = True, error.retry_after, error
            else:
                # Only now: what it checks may change while credentials are waited for.
                if before is not None:
                    before()
                try:
                    answer = once(credential)
                    if isinstance(answer, _Taken):
                        if warned is not None and (texts := warnings_of(answer.headers)):
                            warned(texts)
                        return answer.result
                    again, after, failure = self._judged(answer, what, namespace)
                except Unavailable as error:
                    if isinstance(error, _Renewed) and renewals < _RENEWALS:
                        renewals += 1
                        continue
                    again, after, failure = True, error.retry_after, error
            if doubtful is not None and not failure.untouched:
                doubtful()
            # Half to full length, so that many requests that failed at once do not return at once.
            wait = after if after is not None else pause * random.uniform(0.5, 1.0)
            if not (repeat and again) or time.monotonic() + wait >= give_up:
                raise failure
            time.sleep(wait)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _judged(
        self, answer: _Failed, what: str, namespace: str | None
    ) -> tuple[bool, float | None, GatewayBotError]:
        """Whether to ask again, after how many seconds, and the error else."""
        again = answer.status in _REPEATED_STATUS and not is_schema_error(
            answer.status, message_of(answer.body)[0]
        )
        after = retry_after(answer.headers)
        return (
            again,
            after,
            error_from(
                self._cluster,
                answer.status,
                answer.body,
                what=what,
                namespace=namespace,
                retry_after=after,
                tried=self._credentials.tried,
            ),
        )

    def stream(
        self,
        path: str,
        *,
        what: str,
        namespace: str | None,
        query: Query,
        silence: float,
        watch: bool = False,
    ) -> HttpStream:
        def silent() -> None:
            if watch:
                self._pools.doubt(silence)

        try:
            response = _renewing(
                lambda: self._open(
                    self._credential(), "GET", path, query, None, "application/json", read=silence
                )
            )
        except Unanswered:
            silent()
            raise
        if response.status >= 300:
            body = self._read(response, b"".join)
            answer = _Failed(response.status, response.headers, body)
            raise self._judged(answer, what, namespace)[2]
        return HttpStream(self._cluster, what, response, silent)

    def answer(self, path: str) -> tuple[int, bytes]:
        answer: _Taken[bytes] | _Failed = _renewing(
            lambda: self._once(
                self._credential(), "GET", path, None, None, "application/json", take=b"".join
            )
        )
        return answer.status, answer.result if isinstance(answer, _Taken) else answer.body

    def ahead(self) -> float:
        return self._clock.ahead

    def close(self) -> None:
        self._credentials.close()
        self._pools.close()

    def _once(
        self,
        credential: Credential,
        method: str,
        path: str,
        query: Query | None,
        data: bytes | None,
        content_type: str,
        *,
        take: Callable[[Iterator[bytes]], T],
    ) -> _Taken[T] | _Failed:
        with self._waits.on(f"cluster “{self._cluster}”", service=self._service) as call:
            response = self._open(
                credential,
                method,
                path,
                query,
                data,
                content_type,
                read=self._timeouts.read,
                whole=True,
            )
            self._clock.told(response.headers.get("Date", ""))
            _note(call, response.status)
            if 200 <= response.status < 300:
                return _Taken(response.status, response.headers, self._read(response, take))
            return _Failed(response.status, response.headers, self._read(response, b"".join))

    def _credential(self) -> Credential:
        with self._waits.on(f"the credentials of cluster “{self._cluster}”"):
            return self._credentials.current()

    def _open(
        self,
        credential: Credential,
        method: str,
        path: str,
        query: Query | None,
        data: bytes | None,
        content_type: str,
        *,
        read: float,
        whole: bool = False,
    ) -> urllib3.BaseHTTPResponse:
        """`whole`: the answer is not read as it comes. _Renewed where to ask anew."""
        headers = urllib3.HTTPHeaderDict(self._impersonation)
        headers.update({"User-Agent": "gateway-bot", "Accept": "application/json, */*"})
        if credential.authorization:
            headers["Authorization"] = credential.authorization
        if whole:
            # Where a list is large; uncompressed the API server writes each object separately.
            headers["Accept-Encoding"] = "gzip"
        if data is not None:
            headers["Content-Type"] = content_type
        try:
            response = self._pools.of(credential).request(
                method,
                self._pools.host + path + query_text(query or {}),
                body=data,
                headers=headers,
                timeout=urllib3.Timeout(connect=self._timeouts.connect, read=read),
                retries=False,
                preload_content=False,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._unreachable(error) from None
        if response.status == _UNAUTHORIZED:
            self._renew(credential, response)
        elif response.status < _SERVERS_FAULT:
            self._credentials.accepted(credential)
        return response

    def _renew(self, refused: Credential, response: urllib3.BaseHTTPResponse) -> None:
        """_Renewed where there is something else to try than what the answer refuses."""
        try:
            renewed = self._credentials.after_refusal(refused)
        except Unavailable:
            response.close()
            raise
        if renewed is not None:
            response.drain_conn()
            response.release_conn()
            raise _Renewed(
                f"Cluster “{self._cluster}” refused the bot's credentials, which have been renewed.",
                untouched=True,
            )

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
        fault = fault_of(error, _PLACE, self._pools.host)
        silent = isinstance(cause, urllib3.exceptions.ReadTimeoutError)
        how = "cannot be trusted" if fault.kind in CERTIFICATE else "does not answer"
        return (Unanswered if silent else Unavailable)(
            f"Cluster “{self._cluster}” {how}: {fault.what}.",
            remedy=fault.remedy,
            untouched=isinstance(cause, urllib3.exceptions.ConnectTimeoutError),
            lasts=fault.lasts,
        )


def _note(call: Call, status: int) -> None:
    """Keep what is wrong with the cluster by its answer; that an object is not there is not."""
    if status in (_UNAUTHORIZED, _FORBIDDEN, 429) or status >= _SERVERS_FAULT:
        call.error = str(status)


def connect_with_kubeconfig(
    name: str, path: Path | None, context: str | None, timeouts: Timeouts, waits: Waits
) -> HttpConnection:
    """A connection as the kubeconfig says, which runs no plugin yet. InvalidInput when it cannot be
    used."""
    location = str(path) if path else os.environ.get("KUBECONFIG") or _DEFAULT_LOCATION
    try:
        server, user = kubeconfig.read(location, context)
        pools = Pools(settings_for(server))
        source = source_of(name, user, server, location, context)
    except (kubeconfig.Unusable, ValueError) as error:
        raise InvalidInput(
            f"The kubeconfig of cluster “{name}” cannot be used: {error}.",
            field=f"clusters.{name}.kubeconfig",
            remedy="Check the path and the context in the settings.",
        ) from None
    return HttpConnection(name, pools, source, user.impersonation, timeouts, waits)


def connect_in_cluster(name: str, timeouts: Timeouts, waits: Waits) -> HttpConnection:
    """A connection with the pod's own ServiceAccount. InvalidInput outside a cluster."""
    settings = client.Configuration()
    try:
        _incluster.load_incluster_config(client_configuration=settings, try_refresh_token=False)
    except (ConfigException, OSError) as error:
        raise InvalidInput(
            f"Cluster “{name}” has `in_cluster: true` in the settings, but the bot does not run "
            f"in a cluster: {str(error).rstrip('.')}.",
            field=f"clusters.{name}.in_cluster",
            remedy="Set `kubeconfig` for this cluster instead.",
        ) from None
    user = kubeconfig.User(token_file=Path(_incluster.SERVICE_TOKEN_FILENAME))
    return HttpConnection(name, Pools(settings), files_of(name, user), (), timeouts, waits)


def _renewing(call: Callable[[], T]) -> T:
    """What a read gives, asked again where its credentials have been renewed."""
    for _ in range(_RENEWALS):
        try:
            return call()
        except _Renewed:
            continue
    return call()
