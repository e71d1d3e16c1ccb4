"""Connections to any Redis-compatible server: one, by Sentinel, or a cluster.

The retries are explicit: redis-py repeats commands automatically, which is right only because every
write that matters is a script that may be repeated.
"""

import copy
import datetime
import functools
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.credentials import CredentialProvider
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisClusterException, RedisError
from redis.exceptions import TimeoutError as RedisTimeout
from redis.retry import Retry

from deploy.actions.redis_address import address_of, without_login
from deploy.actions.redis_faults import cause_of
from deploy.actions.redis_topologies import Renewed, by_sentinel, cluster, pools_of, single
from deploy.errors import Unavailable
from deploy.waits import Service, Waits

P = ParamSpec("P")
T = TypeVar("T")

_HEALTH_CHECK_SECONDS = 20
_PATIENCE_SECONDS = 10.0
"""For how long a command is repeated. What follows the last try, a connection included, comes on top."""
_WAIT_MS = 200
_REPLICAS_KEPT = 10.0
REDIS = Service("redis")


class NotAdmitted(Unavailable):
    """Redis answers, and refuses the bot's user or what it does."""


class _Retry(Retry):
    """Repeats no longer than a while, and notes that Redis is waited for. redis-py counts tries alone,
    and nests them: while Redis hangs, five of each would be three minutes."""

    def __init__(self, waits: Waits, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._waits = waits

    def call_with_retry(
        self,
        do: Callable[[], T],
        fail: Any,
        is_retryable: Callable[[Exception], bool] | None = None,
        with_failure_count: bool = False,
    ) -> T:
        """As redis-py does, until the time is over."""
        end = time.monotonic() + _PATIENCE_SECONDS

        def again(error: Exception) -> bool:
            return time.monotonic() < end and (is_retryable is None or is_retryable(error))

        with self._waits.on("Redis", service=REDIS):
            return super().call_with_retry(do, fail, again, with_failure_count)

    def __deepcopy__(self, memo: dict[int, Any]) -> "_Retry":
        """Each connection has its own backoff, and none its own waits."""
        twin = copy.copy(self)
        twin._backoff = copy.deepcopy(self._backoff, memo)
        return twin


class _Within(CredentialProvider):
    """Signs in no longer than a client may wait, whoever else signs in."""

    def __init__(self, credentials: Renewed, seconds: float) -> None:
        self._credentials = credentials
        self._seconds = seconds

    def get_credentials(self) -> tuple[str, str]:
        """For a new connection."""
        return self._credentials.get_credentials(self._seconds)


def redis_errors(method: Callable[P, T]) -> Callable[P, T]:
    """Turn what redis-py raises into a sentence for a person.

    It never says that nothing was recorded: a command is repeated, so a connection that was refused
    at last may follow one over which the command went out and whose answer was lost.
    """

    @functools.wraps(method)
    def translated(*args: P.args, **kwargs: P.kwargs) -> T:
        before = sys.exc_info()[1]
        try:
            return method(*args, **kwargs)
        except (RedisError, RedisClusterException) as error:
            cause = cause_of(error, before)
            kind = NotAdmitted if cause.refused else Unavailable
            raise kind(
                f"Redis cannot be used now ({cause.what}).",
                meaning="Whether this was recorded is not known; if it was, it continues "
                "automatically.",
                # A command in Slack meets it too, and whoever typed that cannot mend it.
                remedy=f"For the operator of the bot: {cause.remedy}" if cause.remedy else "",
            ) from error

    return translated


def connect(
    url: str,
    *,
    timeout: float = 5.0,
    retries: int = 5,
    retry_timeouts: bool = True,
    waits: Waits | None = None,
    credentials: Renewed | None = None,
) -> Any:
    """A client for `url`; nothing is sent yet, but to a cluster, which is asked for its nodes.
    InvalidInput when the URL is of no known kind, Unavailable when no node of a cluster answers.

    Without `retry_timeouts` a command takes no longer than one timeout while Redis hangs: redis-py
    repeats the connecting within the repeating of a command, which makes four of two.

    `redis://`, `rediss://` and `unix://` as redis-py has them; `redis+sentinel://host:port,host:port/
    name` and `redis+cluster://host:port,host:port` for the other two, with `rediss` by TLS. Timeouts
    in seconds; what is waited for is noted in `waits`. With `credentials`, those of the URL count
    for nothing.
    """
    address = address_of(url)
    backoff = ExponentialWithJitterBackoff(base=0.05, cap=1.0)
    repeated = (RedisConnectionError, RedisTimeout) if retry_timeouts else (RedisConnectionError,)
    options: dict[str, Any] = {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "health_check_interval": _HEALTH_CHECK_SECONDS,
        "retry": _Retry(waits or Waits(), backoff, retries, supported_errors=repeated),
        "decode_responses": True,
        # No CLIENT SETINFO: before Redis 7.2 no ACL can allow it, and since then one has to.
        "driver_info": None,
    }
    if credentials is not None:
        options["credential_provider"] = _Within(credentials, timeout)
        address = without_login(address)
    if address.topology == "cluster":
        client = redis_errors(cluster)(address, options)
    elif address.topology == "sentinel":
        client = by_sentinel(address, options)
    else:
        client = single(address, options)
    if credentials is not None:
        credentials.signs_in(lambda: pools_of(client))
    return client


class Script:
    """A script, called by its digest where the server knows it, else whole.

    redis-py loads what the server does not know and calls it by its digest again, which fails where
    the server is flushed, or another one answers, in between (redis.io/docs/manual/programmability:
    the cache of scripts is volatile).
    """

    def __init__(self, client: Any, text: str) -> None:
        self._client = client
        self._text = text
        self._registered = client.register_script(text)

    def __call__(self, *, keys: Sequence[str] = (), args: Sequence[Any] = ()) -> Any:
        try:
            return self._registered(keys=keys, args=args)
        except NoScriptError:
            return self.whole(keys=keys, args=args)

    def whole(self, *, keys: Sequence[str] = (), args: Sequence[Any] = ()) -> Any:
        """Called without asking whether the server knows it."""
        return self._client.eval(self._text, len(keys), *keys, *args)

    def queued(self, pipe: Any, *, keys: Sequence[str] = (), args: Sequence[Any] = ()) -> None:
        """Add a call by its digest to a pipeline. Those of Redis Cluster refuse the method
        `evalsha`, not the command (redis-py, cluster.py: PIPELINE_BLOCKED_COMMANDS)."""
        pipe.execute_command("EVALSHA", self._registered.sha, len(keys), *keys, *args)


@dataclass(frozen=True)
class Call:
    """One call of a script."""

    script: Script
    keys: Sequence[str] = ()
    args: Sequence[Any] = ()


def in_one_trip(client: Any, calls: Sequence[Call]) -> list[Any]:
    """The answers of several scripts, sent together and run in this order; in Redis Cluster the
    order holds for those of one server. Raises what the first that failed did."""
    pipe = client.pipeline(transaction=False)
    for call in calls:
        call.script.queued(pipe, keys=call.keys, args=call.args)
    answers = []
    for call, answer in zip(calls, pipe.execute(raise_on_error=False), strict=True):
        if isinstance(answer, NoScriptError):
            answer = call.script.whole(keys=call.keys, args=call.args)
        if isinstance(answer, Exception):
            raise answer
        answers.append(answer)
    return answers


@redis_errors
def now_of(client: Any) -> float:
    """Redis' own time, in epoch seconds. Unavailable when Redis is away."""
    seconds, micros = client.time()
    return float(seconds) + float(micros) / 1e6


def clock_of(client: Any) -> Callable[[], datetime.datetime]:
    """Redis' own time, aware: by which everything that all bots must see alike holds."""
    return lambda: datetime.datetime.fromtimestamp(now_of(client), datetime.UTC)


class Durability:
    """Whether a write has reached a replica, where there are any.

    A primary that dies with a write that only it had takes the write with it; a failover after an
    approval must not forget it once the change has started. WAIT does not make Redis consistent, but
    what it confirms survives the failover of a healthy set (redis.io/commands/wait).
    """

    def __init__(
        self, client: Any, prefix: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._key = f"{prefix}:waited"
        self._clock = clock
        self._asked_at = float("-inf")
        self._replicas = 0

    def confirmed(self) -> bool:
        """Whether everything written before this call has reached a replica by now, or there is
        none. Something is written once more, since WAIT counts a connection's own writes. In
        Redis Cluster nothing is waited for: its clients have no such connection."""
        if isinstance(self._client, redis.RedisCluster) or not self._has_replicas():
            return True
        pipe = self._client.pipeline(transaction=False)
        pipe.set(self._key, 1)
        pipe.execute_command("WAIT", 1, _WAIT_MS)
        return int(pipe.execute()[1]) >= 1

    def _has_replicas(self) -> bool:
        now = self._clock()
        if now - self._asked_at > _REPLICAS_KEPT:
            # One that is cut off is no longer counted: min-replicas-to-write guards against that.
            self._replicas = int(self._client.info("replication").get("connected_slaves", 0))
            self._asked_at = now
        return self._replicas > 0
