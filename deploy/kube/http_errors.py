"""What the HTTP library raises, in words for people."""

import ssl

import urllib3


def is_tls(error: object) -> bool:
    """Whether a certificate or the like is what is wrong."""
    return isinstance(error, ssl.SSLError | urllib3.exceptions.SSLError)


def in_words(error: Exception) -> str:
    """Why there is no connection, for a person."""
    cause = getattr(error, "reason", None)
    inner = cause if isinstance(cause, Exception) else error
    for nested in (inner, inner.__cause__, *inner.args):
        if isinstance(nested, ConnectionRefusedError):
            return "the connection was refused"
        if isinstance(nested, ssl.SSLCertVerificationError):
            return nested.verify_message.rstrip(".")
    if isinstance(inner, urllib3.exceptions.NameResolutionError):
        return "its host name cannot be resolved"
    # urllib3 counts every failure to connect as a kind of ConnectTimeoutError.
    if isinstance(inner, urllib3.exceptions.NewConnectionError):
        return "it cannot be reached"
    if isinstance(inner, urllib3.exceptions.TimeoutError | TimeoutError):
        return "it takes too long to answer"
    return "the connection broke"
