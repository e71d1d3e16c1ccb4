"""Why Redis cannot be used, told apart from what redis-py raises: TLS, DNS, refused, sign-in, time."""

from collections.abc import Iterator, Mapping
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

from deploy.link_faults import Kind, fault_in

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
    link = fault_in(error)
    # How long redis-py waits, and for what, is judged by the whole chain.
    if link is not None and link[0] not in (Kind.SILENT, Kind.NOT_CONNECTED):
        return Cause(link[1], _CHECKS.get(link[0], ""))
    match error:
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


_CHECKS: Mapping[Kind, str] = {
    Kind.EXPIRED: "Renew the certificate of the server, or correct the clock of this machine.",
    Kind.UNTRUSTED: "Name the certificate authority with ?ssl_ca_certs=FILE.",
    Kind.OTHER_NAME: (
        "Use a name that is in the certificate, or, for nodes that are announced by addresses, name "
        "it with ?tls_name=NAME."
    ),
    Kind.NOT_TLS: "Use redis:// or its TLS port.",
    Kind.UNKNOWN_HOST: "Check the name in the URL and DNS.",
    Kind.UNRESOLVED: "Check DNS and the name in the URL.",
    Kind.REFUSED: "Check that it runs, and host and port in the URL.",
    Kind.NO_ROUTE: "Check the host in the URL, network policies and firewalls.",
    Kind.CLOSED: "A TLS port takes rediss:// only.",
}


def _no_cluster(error: BaseException) -> bool:
    return "cluster support disabled" in str(error)  # prose: Redis has no code for it


def _not_signed_in(error: BaseException) -> bool:
    if isinstance(error, AuthenticationError | AuthenticationWrongNumberOfArgsError):
        return True
    refused = isinstance(error, ResponseError)
    return refused and str(error).startswith(_NO_SIGN_IN)  # prose: Redis' error codes
