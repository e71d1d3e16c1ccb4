"""Why a service cannot be reached: TLS, DNS, a refused connection, time or a proxy.

Requests, urllib3, urllib, azure-core and redis-py each wrap what the socket said in errors of their
own; what says most is somewhere in that chain. Pure.
"""

import errno
import http.client
import re
import socket
import ssl
import urllib.error
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

import urllib3


class Kind(StrEnum):
    """What is wrong with the way to a service; the first that is found counts."""

    PROXY_REFUSED = "proxy refused"
    PROXY_AWAY = "proxy away"
    EXPIRED = "expired"
    OTHER_NAME = "other name"
    UNTRUSTED = "untrusted"
    NOT_TLS = "not TLS"
    NOT_PLAIN = "not plain"
    UNKNOWN_HOST = "unknown host"
    UNRESOLVED = "unresolved"
    REFUSED = "refused"
    NO_ROUTE = "no route"
    NOT_CONNECTED = "not connected"
    SILENT = "silent"
    TLS = "TLS"
    CLOSED = "closed"
    UNKNOWN = "unknown"


CERTIFICATE = frozenset({Kind.EXPIRED, Kind.OTHER_NAME, Kind.UNTRUSTED})
_LASTING = CERTIFICATE | {Kind.NOT_TLS, Kind.NOT_PLAIN, Kind.UNKNOWN_HOST, Kind.PROXY_REFUSED}


@dataclass(frozen=True)
class Place:
    """Where the address of a service is set, and what names a certificate authority to trust."""

    address: str
    authority: str = "REQUESTS_CA_BUNDLE"


@dataclass(frozen=True)
class LinkFault:
    """`what` is a clause about the service: “it refuses connections”. `check` is what whoever runs the bot
    can do about it."""

    kind: Kind
    what: str
    check: str

    @property
    def lasts(self) -> bool:
        """Whether it is so until somebody mends it."""
        return self.kind in _LASTING

    @property
    def remedy(self) -> str:
        """For whoever asked, who may be no operator."""
        check = f"For the operator of the bot: {self.check}"
        if self.lasts:
            return check
        return f"{_LATER} {check}" if self.check else _LATER


def fault_of(error: BaseException, place: Place, url: str = "") -> LinkFault:
    """Of the whole chain of errors. `url` is what was asked, where that is known."""
    found = [each for inner in nested(error) if (each := fault_in(inner)) is not None]
    kinds = list(Kind)
    kind, what = min(found, key=lambda each: kinds.index(each[0]), default=(Kind.UNKNOWN, ""))
    through = any(isinstance(each, urllib3.exceptions.ProxyError) for each in nested(error))
    if through and kind is not Kind.PROXY_REFUSED:
        reason = f": {what}" if what else ""
        kind, what = Kind.PROXY_AWAY, f"the proxy on the way to it cannot be used{reason}"
    if kind is Kind.CLOSED and url.startswith("http://"):
        return LinkFault(kind, what, f"{_checks(place)[kind]} A TLS port takes https:// only.")
    return LinkFault(kind, what or "the connection failed", _checks(place)[kind])


def fault_in(error: BaseException) -> tuple[Kind, str] | None:
    """What one error alone says, none of those that it wraps."""
    match error:
        case ssl.SSLCertVerificationError():
            kind = _VERIFIED.get(error.verify_code, Kind.UNTRUSTED)
            why = error.verify_message.rstrip(".")
            return kind, f"its TLS certificate is not accepted: {why}"
        case ssl.SSLError() if error.reason in _NO_TLS:
            return Kind.NOT_TLS, "it does not speak TLS at this port"
        case ssl.SSLEOFError():
            return Kind.CLOSED, "it closed the connection"
        case ssl.SSLError() if not _is_timeout(error):
            return Kind.TLS, f"TLS failed: {error.reason or 'the connection ended'}"
        case socket.gaierror() if error.errno in _NO_SUCH_NAME:
            return Kind.UNKNOWN_HOST, _UNRESOLVED
        case socket.gaierror() | urllib3.exceptions.NameResolutionError():
            # urllib3 wraps every failure to resolve; of a name that does not exist the cause says so.
            return Kind.UNRESOLVED, _UNRESOLVED
        case ConnectionRefusedError():
            return Kind.REFUSED, "it refuses connections"
        case http.client.BadStatusLine() if _is_alert(error):
            return Kind.NOT_PLAIN, "it expects TLS at this port"
        case ConnectionResetError() | BrokenPipeError() | ConnectionAbortedError():
            return Kind.CLOSED, "it closed the connection"
        case OSError() if error.errno in _NO_WAY:
            return Kind.NO_ROUTE, "there is no route to it"
        case OSError() if refusal := _refusal_of_proxy(error):
            return Kind.PROXY_REFUSED, f"the proxy on the way to it refused: {refusal}"
    return _late_or_closed(error)


def _late_or_closed(error: BaseException) -> tuple[Kind, str] | None:
    match error:
        case urllib3.exceptions.NewConnectionError():
            # urllib3 counts every failure to connect as a kind of ConnectTimeoutError.
            return None
        case urllib3.exceptions.ConnectTimeoutError():
            return Kind.NOT_CONNECTED, _NO_CONNECTION
        case urllib.error.URLError() if isinstance(error.reason, TimeoutError):
            # urllib wraps what happens before the request is sent alone.
            return Kind.NOT_CONNECTED, _NO_CONNECTION
        case urllib3.exceptions.ReadTimeoutError() | TimeoutError():
            return Kind.SILENT, "it takes too long to answer"
        case ssl.SSLError():
            return Kind.SILENT, "it takes too long to answer"
        case urllib3.exceptions.ProtocolError() | http.client.HTTPException():
            return Kind.CLOSED, "it closed the connection"
    return None


_LATER = "Try again in a minute."
_UNRESOLVED = "its host name cannot be resolved"
_NO_SUCH_NAME = (socket.EAI_NONAME, socket.EAI_NODATA)
"""What a DNS server answers; everything else is of no answer (getaddrinfo(3))."""
_NO_CONNECTION = "no connection to it is made in time"
# The codes of OpenSSL's x509_vfy.h.
_VERIFIED: Mapping[int, Kind] = {
    9: Kind.EXPIRED,
    10: Kind.EXPIRED,
    62: Kind.OTHER_NAME,
    64: Kind.OTHER_NAME,
}
_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG")
_NO_WAY = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL)
_TUNNEL = re.compile(r"Tunnel connection failed: (.{1,80})")
_ALERT = "\x15\x03"
"""How a TLS alert begins (RFC 8446, 5.1)."""
_DEEP = 20


def _checks(place: Place) -> Mapping[Kind, str]:
    host = f"Check the host and port in {place.address}"
    network = "network policies and firewalls between the bot and it"
    return {
        Kind.PROXY_REFUSED: "Check the login in HTTPS_PROXY, or name the host in NO_PROXY.",
        Kind.PROXY_AWAY: "Check HTTPS_PROXY and NO_PROXY.",
        Kind.EXPIRED: "Renew the certificate of the server, or correct the clock of this machine.",
        Kind.OTHER_NAME: (
            f"In {place.address}, use a name that the certificate lists, or add this one to the "
            "certificate."
        ),
        Kind.UNTRUSTED: f"Name the file of its certificate authority in {place.authority}.",
        Kind.NOT_TLS: f"{host}: it speaks plain HTTP or another protocol.",
        Kind.NOT_PLAIN: f"Use https:// in {place.address}.",
        Kind.UNKNOWN_HOST: f"Check the host in {place.address}, and DNS where the bot runs.",
        Kind.UNRESOLVED: f"Check DNS where the bot runs, and the host in {place.address}.",
        Kind.REFUSED: f"{host}, and that the service runs.",
        Kind.NO_ROUTE: f"{host}, and {network}.",
        Kind.NOT_CONNECTED: f"{host}, and {network}.",
        Kind.SILENT: "",
        Kind.TLS: "Compare the versions of TLS that both allow.",
        Kind.CLOSED: "Check proxies and load balancers between the bot and it.",
        Kind.UNKNOWN: "",
    }


def nested(error: BaseException) -> Iterator[BaseException]:
    """The error and what it wraps, each once."""
    seen: set[int] = set()
    waiting = [error]
    while waiting and len(seen) < _DEEP:
        each = waiting.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        context = None if each.__suppress_context__ else each.__context__
        inner = (getattr(each, name, None) for name in ("reason", "inner_exception"))
        waiting += [
            wrapped
            for wrapped in (*each.args, *inner, each.__cause__, context)
            if isinstance(wrapped, BaseException)
        ]


def _is_timeout(error: ssl.SSLError) -> bool:
    # CPython's _ssl.c raises an SSLError without a reason in a handshake that takes too long.
    return error.reason is None and "timed out" in str(error)  # prose: it has no type for it


def _is_alert(error: http.client.BadStatusLine) -> bool:
    line = str(error).strip("'\"")
    return line.startswith((_ALERT, "\\x15\\x03"))  # prose: what a server sent instead of HTTP


def _refusal_of_proxy(error: OSError) -> str:
    found = _TUNNEL.search(str(error))  # prose: http.client has no type for it
    return found[1] if found else ""
