"""Why Redis cannot be used, told apart from what redis-py raises: TLS, DNS, refused, sign-in, time."""

import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

from redis.exceptions import (
    AuthenticationError,
    AuthenticationWrongNumberOfArgsError,
    BusyLoadingError,
    ClusterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
)
from redis.exceptions import TimeoutError as RedisTimeout
from redis.sentinel import MasterNotFoundError

_NO_SIGN_IN = ("NOAUTH", "WRONGPASS", "invalid username-password pair", "Authentication required")


class NotSignedIn(AuthenticationError):
    """There is nothing to sign in with: the text says why."""


class SignInSilent(RedisTimeout):
    """The same, not yet: to be repeated only where timeouts are."""


@dataclass(frozen=True)
class Cause:
    """What is wrong, as the end of “Redis cannot be used now (…)”, and what to do about it; whether
    Redis answers, and refuses this user."""

    what: str
    remedy: str = ""
    refused: bool = False


def cause_of(error: BaseException, before: BaseException | None = None) -> Cause:
    """Of the whole chain of errors, what a person can do something about; innermost first. `before`
    is what was being handled when Redis was called, which has nothing to do with it."""
    chain = list(_chain(error, before))
    if unsigned := next(
        (each for each in chain if isinstance(each, NotSignedIn | SignInSilent)), None
    ):
        # What is below it happened between the bot and Entra ID.
        return Cause(str(unsigned), "Check azure.tenant_id and the bot's credential.")
    for each in reversed(chain):
        if found := _known(each):
            return found
    if any(isinstance(each, RedisTimeout | TimeoutError) for each in chain):
        return Cause("it does not answer")
    if isinstance(error, MasterNotFoundError):
        return Cause(
            "its Sentinels name no primary",
            "Compare the name at the end of the Redis URL with `sentinel monitor`.",
        )
    return Cause(type(error).__name__)


def _chain(error: BaseException | None, before: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and error is not before and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or _during(error)


def _during(error: BaseException) -> BaseException | None:
    """What was being handled when the error was raised, where Redis can have been the reason."""
    handled = error.__context__
    return handled if isinstance(handled, RedisError | RedisClusterException | OSError) else None


def _known(error: BaseException) -> Cause | None:
    match error:
        case ssl.SSLCertVerificationError():
            return Cause(
                f"its TLS certificate is not accepted: {error.verify_message.rstrip('.')}",
                "Name the certificate authority with ?ssl_ca_certs=FILE, or, for nodes that are "
                "announced by addresses, the name in their certificates with ?tls_name=NAME.",
            )
        case ssl.SSLError() if error.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
            return Cause("it does not speak TLS at this port", "Use redis:// or its TLS port.")
        case ssl.SSLError():
            return Cause(f"TLS failed: {error.reason or 'the connection ended'}")
        case socket.gaierror():
            return Cause("its host name cannot be resolved", "Check the name in the URL and DNS.")
        case ConnectionRefusedError():
            return Cause(
                "it refuses connections", "Check that it runs, and host and port in the URL."
            )
        case ConnectionResetError() | BrokenPipeError():
            return Cause("it closed the connection", "A TLS port takes rediss:// only.")
        case FileNotFoundError():
            return Cause("its socket does not exist")
        case NoPermissionError():
            return Cause(
                f"the ACL of its user forbids this: {error}",
                "Compare it with docs/redis.md#acl.",
                refused=True,
            )
        case _ if _not_signed_in(error):
            return Cause(
                "it rejected the user name or password",
                "Compare them with those of the server.",
                refused=True,
            )
        case OutOfMemoryError():
            return Cause("its memory is full", "Raise maxmemory: docs/redis.md#sizing.")
        case ReadOnlyError():
            return Cause("it is a read-only replica", "Name the primary, or Sentinels.")
        case BusyLoadingError():
            return Cause("it is still loading its data")
        case ClusterDownError():
            return Cause("the cluster is down: not all of its slots are served")
        case ResponseError() if _no_cluster(error):
            return Cause("it is not a Redis Cluster", "Use redis:// or rediss://.")
    return None


def _no_cluster(error: BaseException) -> bool:
    return "cluster support disabled" in str(error)  # prose: Redis has no code for it


def _not_signed_in(error: BaseException) -> bool:
    if isinstance(error, AuthenticationError | AuthenticationWrongNumberOfArgsError):
        return True
    refused = isinstance(error, ResponseError)
    return refused and str(error).startswith(_NO_SIGN_IN)  # prose: Redis' error codes
