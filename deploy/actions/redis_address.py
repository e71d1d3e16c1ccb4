"""Which server, Sentinels or cluster a Redis URL names, and how they are reached. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from deploy.errors import InvalidInput

Topology = Literal["one", "sentinel", "cluster"]
_SCHEMES: Mapping[str, tuple[Topology, bool]] = MappingProxyType(
    {
        "redis": ("one", False),
        "rediss": ("one", True),
        "unix": ("one", False),
        "redis+sentinel": ("sentinel", False),
        "rediss+sentinel": ("sentinel", True),
        "redis+cluster": ("cluster", False),
        "rediss+cluster": ("cluster", True),
    }
)
_PORTS = {"one": 6379, "sentinel": 26379, "cluster": 6379}
_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_SENTINEL = ("sentinel_username", "sentinel_password")
_PLAIN = ("tls", "db", "tls_name", "ssl_check_hostname", *_FILES, *_SENTINEL)
_TRUE = ("true", "1", "yes")
_PORT_LIMIT = 65536


@dataclass(frozen=True)
class RedisAddress:
    """`hosts` are Sentinels, or any nodes of a cluster; none where redis-py reads `url` itself.

    `tls` holds for the servers, `sentinel_tls` for the Sentinels; `ssl` are redis-py's options of
    certificates. `tls_name` is what the certificates of all nodes are issued for, where nodes are
    announced by addresses.
    """

    topology: Topology
    url: str = field(repr=False)
    hosts: tuple[tuple[str, int], ...] = ()
    service: str = ""
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    sentinel_tls: bool = False
    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)
    db: int = 0
    tls_name: str = ""
    ssl: Mapping[str, str | bool] = field(default_factory=dict)


@dataclass(frozen=True)
class _Parts:
    """Of a URL with any number of hosts, which Python's urlsplit checks as if they were one."""

    scheme: str
    netloc: str
    path: str
    query: str

    @classmethod
    def of(cls, url: str) -> Self:
        scheme, _, rest = url.partition("://")
        before, _, query = rest.partition("?")
        netloc, _, path = before.partition("/")
        return cls(scheme.lower(), netloc, path, query)


def address_of(url: str) -> RedisAddress:
    """What the URL names. InvalidInput where it is of no known kind or one of its parts is wrong;
    it is never quoted, since it may hold a password."""
    parts = _Parts.of(url)
    if parts.scheme not in _SCHEMES:
        raise _wrong(
            "The Redis URL is of no known kind.",
            "It starts with redis://, rediss://, unix://, redis+sentinel://, rediss+sentinel://, "
            "redis+cluster:// or rediss+cluster://.",
        )
    topology, tls = _SCHEMES[parts.scheme]
    options = dict(parse_qsl(parts.query))
    _check_files(options)
    if topology == "one":
        return RedisAddress(topology, url, tls=tls)
    _check_names(options)
    credentials, _, hosts = parts.netloc.rpartition("@")
    user, _, password = credentials.partition(":")
    certificates: dict[str, str | bool] = {k: v for k, v in options.items() if k in _FILES}
    if "ssl_check_hostname" in options:
        certificates["ssl_check_hostname"] = options["ssl_check_hostname"].lower() in _TRUE
    return RedisAddress(
        topology,
        url,
        hosts=tuple(_host(each, _PORTS[topology]) for each in hosts.split(",")),
        service=unquote(parts.path.strip("/")) or "mymaster",
        username=unquote(user) or None,
        password=unquote(password) or None,
        tls=tls or options.get("tls", "").lower() in _TRUE,
        sentinel_tls=tls and topology == "sentinel",
        sentinel_username=options.get("sentinel_username"),
        sentinel_password=options.get("sentinel_password"),
        db=_db(topology, parts, options),
        tls_name=options.get("tls_name", ""),
        ssl=certificates,
    )


def without_login(address: RedisAddress) -> RedisAddress:
    """The same for whoever signs in by other means."""
    login = _Parts.of(address.url).netloc.rpartition("@")[0]
    bare = address.url.replace(f"://{login}@", "://", 1) if login else address.url
    return replace(address, url=bare, username=None, password=None)


def _host(text: str, usual: int) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text.strip()}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host:
        raise _wrong(
            "A host in the Redis URL is wrong.",
            f"Write HOST:PORT,HOST:PORT; ports are below {_PORT_LIMIT}, and a password's special "
            "characters are percent-encoded.",
        )
    return host, port or usual


def _db(topology: Topology, parts: _Parts, options: Mapping[str, str]) -> int:
    text = options.get("db", "0")
    if not text.isdecimal():
        raise _wrong("“db” in the Redis URL is not a number.", "Write db=0, or leave it out.")
    if topology == "cluster" and (int(text) or parts.path.strip("/") not in ("", "0")):
        raise _wrong("A Redis Cluster has one database, 0.", "Leave the database out of the URL.")
    return int(text)


def _check_files(options: Mapping[str, str]) -> None:
    for name in _FILES:
        if name in options and not Path(options[name]).is_file():
            raise _wrong(
                f"The file of “{name}” in the Redis URL is missing or cannot be read.",
                "Name a file in PEM format that the bot may read.",
            )


def _check_names(options: Mapping[str, str]) -> None:
    if unknown := sorted(set(options) - set(_PLAIN)):
        raise _wrong(
            f"“{unknown[0]}” is not an option of this kind of Redis URL.",
            f"Known are {', '.join(_PLAIN)}.",
        )


def _wrong(happened: str, remedy: str) -> InvalidInput:
    return InvalidInput(happened, field="redis.url", remedy=remedy)
