"""The tokens that decided actions put where they are, by the bot's own record.

An annotation would not do: whoever may edit Secrets of a namespace could write it. What is not in
the record, because Redis was emptied or is of another, is not admitted, and then more approvals are
required.
"""

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

from deploy.actions.connection import redis_errors
from deploy.gateway import GatewayRef, GatewayResource

VERSION = 1
KEPT_SECONDS = 90 * 86_400
"""A token lives for 30 days at most; one that expired may be replaced for two months more."""


@dataclass(frozen=True)
class TokenInUse:
    """The Secret that a gateway takes its token from: its UID tells it from another of its name, and
    its content cannot change."""

    ref: GatewayRef
    cluster_uid: str
    secret: str
    secret_uid: str


class AdmittedTokens:
    """Each step may be repeated. Raises Unavailable when Redis cannot be used."""

    def __init__(self, client: Any, *, prefix: str = "gateway-bot") -> None:
        self._client = client
        self._prefix = prefix

    @redis_errors
    def admit(
        self,
        token: TokenInUse,
        resource: GatewayResource,
        action_id: str,
        decided_by: frozenset[str],
    ) -> None:
        """Record that an action on which those environments decided minted the token there."""
        value = {
            **_identity(token, resource),
            "version": VERSION,
            "action": action_id,
            "decided_by": sorted(decided_by),
        }
        self._client.set(self._key(token), json.dumps(value, sort_keys=True), ex=KEPT_SECONDS)

    @redis_errors
    def decided_by(self, token: TokenInUse, resource: GatewayResource) -> frozenset[str]:
        """The environments that decided this very token there, for this resource."""
        stored = self._client.get(self._key(token))
        try:
            value = json.loads(stored) if stored else None
        except ValueError:
            value = None
        if not isinstance(value, dict) or value.get("version") != VERSION or not token.secret_uid:
            return frozenset()
        same = all(value.get(key) == told for key, told in _identity(token, resource).items())
        return frozenset(value["decided_by"] if same else ())

    def _key(self, token: TokenInUse) -> str:
        place = f"{token.cluster_uid}/{token.ref.namespace}/{token.secret}"
        return f"{self._prefix}:{{admitted:{place}}}"


def _identity(token: TokenInUse, resource: GatewayResource) -> dict[str, Any]:
    return {
        **dataclasses.asdict(token),
        "ref": str(token.ref),
        "resource": str(resource),
    }
