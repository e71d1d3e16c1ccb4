"""Clients of one server, of a primary that Sentinels name, and of a cluster, by TLS or without."""

import logging
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeout
from redis.retry import Retry
from redis.sentinel import MasterNotFoundError, Sentinel, SentinelManagedSSLConnection

from deploy.actions.redis_address import RedisAddress, wrong_option

log = logging.getLogger(__name__)


class Renewed(Protocol):
    """A user name and password that are renewed, and with which connections are signed in again."""

    def get_credentials(self, seconds: float) -> tuple[str, str]:
        """For a new connection, within so many seconds."""

    def signs_in(self, pools: Callable[[], Iterable[Any]]) -> None:
        """Those pools of connections too, whatever they are by then."""


def pools_of(client: Any) -> list[Any]:
    """The pools of connections that a client has now; one for each node of a cluster."""
    if not isinstance(client, redis.RedisCluster):
        return [client.connection_pool]
    connected = [node.redis_connection for node in client.get_nodes()]
    return [each.connection_pool for each in connected if each is not None]


def single(address: RedisAddress, options: dict[str, Any]) -> Any:
    """A client of one server. InvalidInput where redis-py does not know an option of the URL."""
    try:
        client = redis.Redis.from_url(address.url, **options)
        pool = client.connection_pool
        # It connects to nothing yet, and shows whether the options fit.
        pool.connection_class(**pool.connection_kwargs)
    except (ValueError, TypeError, RedisError):
        raise wrong_option() from None
    return client


def by_sentinel(address: RedisAddress, options: dict[str, Any]) -> Any:
    """A client of the primary that the Sentinels name."""
    _warn(address)
    limits = {name: options[name] for name in ("socket_timeout", "socket_connect_timeout")}
    of_sentinels = {
        # Each is asked once in its time; what hung up meanwhile, as one that restarted, once more.
        "retry": Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
        "driver_info": None,
        "username": address.sentinel_username,
        "password": address.sentinel_password,
        **(_tls(address) if address.sentinel_tls else {}),
    }
    of_servers: dict[str, Any] = {"db": address.db, **_login(address)}
    if address.tls:
        of_servers |= _tls(address)
        of_servers["connection_class"] = _named(SentinelManagedSSLConnection, address.tls_name)
        of_servers.pop("ssl")
    made: Any = _Sentinels  # redis-py's are not typed
    sentinels = made(address.hosts, sentinel_kwargs={**limits, **of_sentinels})
    return sentinels.master_for(address.service, **options, **of_servers)


class _Sentinels(Sentinel):
    """Raises why no Sentinel answered, where none did. redis-py puts the causes into the text of its
    error alone, and repeats a search that took its time in vain."""

    def discover_master(self, service_name: str) -> tuple[str, int]:
        """The primary's address. MasterNotFoundError, or a timeout where a Sentinel took one and none
        answered."""
        serves: Any = self.check_master_state
        causes: list[RedisError] = []
        for number, sentinel in enumerate(self.sentinels):
            try:
                masters: Any = sentinel.sentinel_masters()
            except (RedisConnectionError, RedisTimeout) as error:
                causes.append(error)
                continue
            found = masters.get(service_name)
            if found and serves(found, service_name):
                first = self.sentinels[0]
                self.sentinels[0], self.sentinels[number] = sentinel, first
                return found["ip"], found["port"]
        if not causes or len(causes) < len(self.sentinels):
            raise MasterNotFoundError(f"No master found for {service_name!r}")
        if hung := next((each for each in causes if isinstance(each, RedisTimeout)), None):
            raise hung
        raise MasterNotFoundError("No Sentinel answers") from causes[0]


def cluster(address: RedisAddress, options: dict[str, Any]) -> Any:
    """A client of all nodes, which the first seed that answers names."""
    _warn(address)
    (host, port), *others = address.hosts
    shown = f"[{host}]" if ":" in host else host
    more = _login(address)
    if address.tls:
        # By a URL without TLS, since redis-py's own class of connections would go before ours.
        more |= {"connection_class": _named(redis.SSLConnection, address.tls_name), **_tls(address)}
        more.pop("ssl")
    return redis.RedisCluster(
        url=f"redis://{shown}:{port}{'?' if address.options else ''}{address.options}",
        startup_nodes=[ClusterNode(*each) for each in others],
        **options,
        **more,
    )


def _warn(address: RedisAddress) -> None:
    for name in address.ignored:
        what = f"“{name}”" if name else "an unknown option"
        more = "; the database follows the name there: /NAME/1" if name == "db" else ""
        log.warning("%s in the Redis URL has no effect with %s%s", what, address.topology, more)


def _login(address: RedisAddress) -> dict[str, Any]:
    return {"username": address.username, "password": address.password}


def _tls(address: RedisAddress) -> dict[str, Any]:
    return {"ssl": True, **address.ssl}


def _named(connections: type[Any], name: str) -> type[Any]:
    """Connections whose servers show a certificate for `name`, however they are announced: the nodes
    of Azure Managed Redis are announced by addresses, which its certificates do not have."""
    if not name:
        return connections

    class Named(connections):  # type: ignore[misc]  # redis-py's, by argument
        host: Any

        def _wrap_socket_with_ssl(self, sock: Any) -> Any:
            announced, self.host = self.host, name
            try:
                return super()._wrap_socket_with_ssl(sock)
            finally:
                self.host = announced

    return Named
