"""Whether what was decided would outlive the Redis that it was told to."""

from typing import Any

from deploy.actions.connection import redis_errors

_WAIT_MS = 200


class Replication:
    """The replicas of one Redis. A cluster's are not asked: there, none is missed."""

    def __init__(self, client: Any, *, prefix: str = "gateway-bot") -> None:
        self._client = client
        self._key = f"{prefix}:{{replication}}"
        self._expected = False

    @redis_errors
    def complete(self) -> bool:
        """Whether a replica has everything written so far; True where there never was a replica.

        WAIT tells it of the connection's own writes, so one is made: whoever has that has all before
        it (redis.io, WAIT). It makes loss in a failover far less likely, not impossible.
        """
        if not hasattr(self._client, "client"):
            return True
        if not self._expected:
            self._expected = int(self._client.info("replication").get("connected_slaves", 0)) > 0
        if not self._expected:
            return True
        with self._client.client() as one:
            one.set(self._key, "1", px=60_000)
            return int(one.wait(1, _WAIT_MS)) >= 1
