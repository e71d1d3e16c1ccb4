"""Which server, Sentinels or cluster a Redis URL names, and how they are reached."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Self
from urllib.parse import parse_qsl, unquote, unquote_plus, urlencode, urlsplit

from redis.connection import URL_QUERY_ARGUMENT_PARSERS

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
_LOGIN = ("username", "password")
_REDIS_PY = (
    *_LOGIN,
    *("client_name", "lib_name", "lib_version", "protocol", "legacy_responses", "max_connections"),
    *("read_from_replicas", "health_check_interval", "retry_on_timeout", "retry_on_error"),
    *("socket_timeout", "socket_connect_timeout", "socket_keepalive", "socket_read_size"),
    *("encoding", "encoding_errors", "decode_responses"),
    *("ssl_cert_reqs", "ssl_ca_path", "ssl_ca_data", "ssl_password"),
)
"""redis-py's other options; what may be any other word, such as a part of a password, is not quoted."""
_READ: Mapping[str, Any] = MappingProxyType(URL_QUERY_ARGUMENT_PARSERS)
_OF_SENTINEL = ("tls", "tls_name", "ssl_check_hostname", *_FILES, *_SENTINEL)
_TRUE = ("true", "1", "yes")
_PORT_LIMIT = 65536
_DIGITS = 9
_MAY_HAVE_AT = re.compile(r"(sentinel_)?(username|password)|client_name|(ssl|tls)_[a-z_]+")
"""Options whose values may have an @; elsewhere behind the hosts it is the end of a password."""


@dataclass(frozen=True)
class RedisAddress:
    """`hosts` are Sentinels, any nodes of a cluster, or the one server; none of a Unix socket. Of
    one server redis-py reads `url` itself, its login included.

    `tls` holds for the servers, `sentinel_tls` for the Sentinels; `ssl` are redis-py's options of
    certificates. `tls_name` is what the certificates of all nodes are issued for, where nodes are
    announced by addresses. `options` are redis-py's own for a cluster, as a query; `ignored` those
    that have no effect, “” for an unknown one.
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
    options: str = field(default="", repr=False)
    ignored: tuple[str, ...] = ()


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


def address_of(url: str, *, check_files: bool = True) -> RedisAddress:
    """What the URL names. InvalidInput where it is of no known kind or one of its parts is wrong;
    it is never quoted, since it may hold a password. Without `check_files` the files that it names
    may be on another machine."""
    parts = _Parts.of(url)
    if parts.scheme not in _SCHEMES:
        raise _wrong(
            "The Redis URL is of no known kind.",
            "It starts with redis://, rediss://, unix://, redis+sentinel://, rediss+sentinel://, "
            "redis+cluster:// or rediss+cluster://.",
        )
    topology, tls = _SCHEMES[parts.scheme]
    options = dict(parse_qsl(parts.query))
    _check_end_of_password(parts)
    if check_files:
        _check_files(options)
    if topology == "one":
        # redis-py knows its schemes in lower case alone.
        url = f"{parts.scheme}://{url.partition('://')[2]}"
        return RedisAddress(topology, url, hosts=_server(url, parts), tls=tls)
    ignored = _check_names(topology, tls, options)
    credentials, _, hosts = parts.netloc.rpartition("@")
    addresses = _hosts(hosts, _PORTS[topology])
    user, _, password = credentials.partition(":")
    certificates: dict[str, str | bool] = {k: v for k, v in options.items() if k in _FILES}
    if "ssl_check_hostname" in options:
        certificates["ssl_check_hostname"] = options["ssl_check_hostname"].lower() in _TRUE
    return RedisAddress(
        topology,
        url,
        hosts=addresses,
        service=unquote(parts.path.strip("/").partition("/")[0]) or "mymaster",
        username=unquote(user) or None,
        password=unquote(password) or None,
        tls=tls or options.get("tls", "").lower() in _TRUE,
        sentinel_tls=tls and topology == "sentinel",
        sentinel_username=options.get("sentinel_username"),
        sentinel_password=options.get("sentinel_password"),
        db=_db(topology, parts, options),
        tls_name=options.get("tls_name", ""),
        ssl=certificates,
        options=_options(topology, options, ignored),
        ignored=ignored,
    )


def passwords_in(url: str) -> tuple[str, ...]:
    """Everything in the URL that may be a password, as it is written and decoded, however wrong the
    URL is; the whole URL where there is one."""
    found = set(_passwords(url))
    return tuple(sorted({url, *found, *map(unquote, found)})) if found else ()


def holds_login(url: str) -> bool:
    """Whether a user or a password may be in the URL, however wrong it is."""
    names = [name.lower() for name, _ in parse_qsl(url.partition("?")[2], keep_blank_values=True)]
    return "@" in url or any("password" in name or "username" in name for name in names)


def _passwords(url: str) -> Iterator[str]:
    rest = url.partition("://")[2] or url
    for part in (rest, _Parts.of(url).netloc):
        yield from filter(None, [part.rpartition("@")[0].partition(":")[2]])
    for option in re.split("[&?]", rest.partition("?")[2]):
        name, _, value = option.partition("=")
        if "password" in unquote(name).lower() and value:
            yield from (value, unquote_plus(value))


def without_login(address: RedisAddress) -> RedisAddress:
    """The same for whoever signs in by other means."""
    login = _Parts.of(address.url).netloc.rpartition("@")[0]
    bare = address.url.replace(f"://{login}@", "://", 1) if login else address.url
    before, asked, query = bare.partition("?")
    query = _without_login(query)
    return replace(
        address,
        url=before + asked * bool(query) + query,
        options=_without_login(address.options),
        username=None,
        password=None,
    )


def login_of(address: RedisAddress) -> tuple[str, str] | None:
    """The user and password with which connections to its servers sign in; None where there are none."""
    parts = _Parts.of(address.url)
    user, _, password = parts.netloc.rpartition("@")[0].partition(":")
    options = dict(parse_qsl(parts.query)) if address.topology != "sentinel" else {}
    username = unquote(user) or options.get("username", "")
    password = unquote(password) or options.get("password", "")
    return (username or "default", password) if username or password else None


def _without_login(query: str) -> str:
    kept = [each for each in query.split("&") if unquote_plus(each.partition("=")[0]) not in _LOGIN]
    return "&".join(kept)


def _hosts(text: str, usual: int) -> tuple[tuple[str, int], ...]:
    written = [each for each in text.split(",") if each.strip()]
    return tuple(_host(each, usual) for each in written or [""])


def _server(url: str, parts: _Parts) -> tuple[tuple[str, int], ...]:
    """The one server; redis-py's own is localhost, and of a Unix socket there is none."""
    try:
        read = urlsplit(url)
        if parts.scheme == "unix":
            return ()
        host, port = unquote(read.hostname or "localhost"), read.port or _PORTS["one"]
    except ValueError:
        # From None: it quotes what it took for the port, which may be a part of the password.
        raise _wrong_host("HOST:PORT") from None
    return ((host, port),)


def _host(text: str, usual: int) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text.strip()}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host:
        raise _wrong_host("HOST:PORT,HOST:PORT")
    return host, port or usual


def _wrong_host(form: str) -> InvalidInput:
    return _wrong(
        "A host in the Redis URL is wrong.",
        f"Write {form}; ports are below {_PORT_LIMIT}, and a password's special characters are "
        "percent-encoded.",
    )


def _db(topology: Topology, parts: _Parts, options: Mapping[str, str]) -> int:
    path = parts.path.strip("/")
    if topology == "sentinel":
        # Never that of an option, which earlier versions ignored: two on one Redis must agree.
        return _number(path.partition("/")[2] or "0", "Write it after the name: /NAME/1.")
    named = _number(options.get("db", "0"), "Write db=0, or leave it out.")
    if named or path not in ("", "0"):
        raise _wrong("A Redis Cluster has one database, 0.", "Leave the database out of the URL.")
    return 0


def _number(text: str, remedy: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS):
        raise _wrong("The database in the Redis URL is not a number.", remedy)
    return int(text)


def _check_end_of_password(parts: _Parts) -> None:
    """A password with / or ? in it ends the hosts early, and for urlsplit one with # does too: what
    precedes would be taken for a host."""
    if parts.scheme == "unix" and (not parts.netloc or "@" in parts.netloc):
        return
    single = _SCHEMES[parts.scheme][0] == "one"
    behind = [parts.path, *(parts.netloc.split("#")[1:] if single else ())]
    for option in parts.query.split("&"):
        name, _, value = option.partition("=")
        behind += [name] if _MAY_HAVE_AT.fullmatch(name) else [name, value]
    if any("@" in each for each in behind):
        raise _wrong(
            "The Redis URL has an @ behind its hosts.",
            "Percent-encode the special characters of its password: / is %2F, ? is %3F, # is %23, "
            "@ is %40.",
        )


def _check_files(options: Mapping[str, str]) -> None:
    for name in _FILES:
        if name in options and not Path(options[name]).is_file():
            raise _wrong(
                f"The file of “{name}” in the Redis URL is missing or cannot be read.",
                "Name a file in PEM format that the bot may read.",
            )


def _check_names(topology: Topology, tls: bool, options: Mapping[str, str]) -> tuple[str, ...]:
    """Which of them have no effect, by name where it is redis-py's or ours. InvalidInput where a
    cluster has an unknown one, or a wrong value."""
    if topology == "sentinel":
        useless = sorted(set(options) - set(_OF_SENTINEL))
        if options.get("db") == "0":
            useless.remove("db")
        return tuple(dict.fromkeys(n if n in (*_PLAIN, *_REDIS_PY) else "" for n in useless))
    if set(options) - {*_PLAIN, *_REDIS_PY}:
        raise _wrong(
            "An option of the Redis URL is unknown.",
            f"Known are {', '.join(_PLAIN)}, and redis-py's {', '.join(_REDIS_PY)}.",
        )
    for name in sorted(set(options) & set(_REDIS_PY)):
        read: Callable[[str], object] = _READ.get(name, str)
        try:
            read(options[name])
        except (TypeError, ValueError):
            raise _wrong(
                f"“{name}” in the Redis URL has a wrong value.", "Correct it, or leave it out."
            ) from None
    # redis-py's connections without TLS do not know them.
    return () if tls else tuple(n for n in _REDIS_PY if n in options and n.startswith("ssl_"))


def _options(topology: Topology, options: Mapping[str, str], ignored: tuple[str, ...]) -> str:
    if topology != "cluster":
        return ""
    return urlencode({n: v for n, v in options.items() if n in _REDIS_PY and n not in ignored})


def wrong_option() -> InvalidInput:
    """For an option that redis-py does not accept. What it says quotes the value, so no more is said."""
    return _wrong(
        "An option of the Redis URL is unknown, or its value is wrong.",
        "Options are those of docs/redis.md, and of redis.Redis.from_url of redis-py.",
    )


def _wrong(happened: str, remedy: str) -> InvalidInput:
    return InvalidInput(happened, field="redis.url", remedy=remedy)
