"""The official client's pools of connections to one API server, one for each client certificate."""

import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import urllib3
from kubernetes import client
from urllib3.util.ssl_ import create_urllib3_context

from deploy.kube.credentials import Credential, certified
from deploy.kube.kubeconfig import Server

_POOL_SIZE = 32


def settings_for(server: Server) -> client.Configuration:
    """The official client's settings, which also take a proxy from the environment. ValueError where the
    certificate authority's file is not there."""
    settings = client.Configuration()
    settings.host = server.url
    settings.verify_ssl = server.verified
    if server.name:
        settings.tls_server_name = server.name
    if server.proxy:
        settings.proxy = server.proxy
    if server.url.startswith("https"):
        path = server.authority.path
        if path is not None and not path.is_file():
            raise ValueError(f"there is no file {path}")
        settings.ssl_ca_cert = str(path) if path else None
        settings.ca_cert_data = server.authority.data or None
    return settings


@dataclass(frozen=True)
class _Made:
    """A pool, for which certificate, and since when (seconds of the monotonic clock)."""

    certificate: str
    pool: urllib3.PoolManager
    since: float


class Pools:
    """Connections that show the client certificate of a credential. Safe to use from many threads."""

    def __init__(self, settings: client.Configuration) -> None:
        self.host = settings.host
        settings.retries = False
        settings.connection_pool_maxsize = _POOL_SIZE
        settings.socket_options = _socket_options()
        self._settings = settings
        self._lock = threading.Lock()
        self._made: tuple[_Made, ...] = ()

    def of(self, credential: Credential) -> urllib3.PoolManager:
        """The pool for it. ValueError where its certificate cannot be used."""
        found = self._found(credential)
        if found is not None:
            return found
        with self._lock:
            found = self._found(credential)
            if found is not None:
                return found
            made = _Made(credential.certificate, self._make(credential), time.monotonic())
            # One more is kept for requests that have started with it. It is not cleared under them:
            # its connections close when nobody holds it any longer.
            self._made = (made, *self._made[:1])
            return made.pool

    def doubt(self, seconds: float) -> None:
        """Nothing came on a connection for so many seconds. What forgot it may have forgotten those
        that are idle as well, so none of them is used again."""
        before = time.monotonic() - seconds
        with self._lock:
            self._made = tuple(each for each in self._made if each.since > before)

    def close(self) -> None:
        """Drop the connections."""
        with self._lock:
            for each in self._made:
                each.pool.clear()

    def _found(self, credential: Credential) -> urllib3.PoolManager | None:
        for each in self._made:
            if each.certificate == credential.certificate:
                return each.pool
        return None

    def _make(self, credential: Credential) -> urllib3.PoolManager:
        pool: urllib3.PoolManager = client.ApiClient(self._settings).rest_client.pool_manager
        if credential.certificate:
            known = pool.connection_pool_kw
            context = create_urllib3_context(cert_reqs=known.get("cert_reqs"))
            if not (known.get("ca_certs") or known.get("ca_cert_data")):
                context.load_default_certs()
            certified(context, credential)
            known["ssl_context"] = context
        return pool


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
