"""What keeps tokens from being rotated automatically, as far as it is known without a cluster."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from deploy.actions.action import State
from deploy.actions.codec import Unreadable
from deploy.actions.connection import redis_errors
from deploy.actions.reader import ActionReader
from deploy.expiry.autopilot import Try, try_of
from deploy.expiry.rotation_stops import RotationStops
from deploy.gateway import GatewayRef

_NOT_AGAIN = (State.DENIED, State.CANCELLED, State.STOPPED, State.SUCCEEDED)
"""After these the same token is not rotated again (deploy.expiry.automatic)."""


@dataclass(frozen=True)
class Prospect:
    """In one environment: whether its automatic rotation is stopped after failures, and how the last
    rotation of a token ended that is not begun again."""

    stopped: bool = False
    ended: Mapping[GatewayRef, State] = field(default_factory=dict)


class Prospects:
    """As one Redis has them."""

    def __init__(self, client: Any, actions: ActionReader, *, prefix: str = "gateway-bot") -> None:
        self._client = client
        self._actions = actions
        self._stops = RotationStops(client, prefix=prefix)

    @redis_errors
    def of(self, environment: str, tokens: Mapping[GatewayRef, float]) -> Prospect:
        """Of an environment, for these gateways and when their tokens expire (epoch seconds). Unavailable
        when Redis cannot be used."""
        names = ["stopped", *(f"try:{ref}" for ref in tokens)]
        stopped, *kept = self._client.hmget(self._stops.key(environment), names)
        tries = {
            ref: tried
            for (ref, expires_at), text in zip(tokens.items(), kept, strict=True)
            if (tried := _read(ref, text)) is not None and tried.expires_at == expires_at
        }
        found = self._actions.read([tried.action for tried in tries.values()]).actions
        states = {action.id: action.state for action in found}
        ended = {ref: states.get(tried.action) for ref, tried in tries.items()}
        return Prospect(
            stopped is not None,
            {ref: state for ref, state in ended.items() if state in _NOT_AGAIN},
        )


def _read(ref: GatewayRef, text: str | None) -> Try | None:
    """What was begun last; None where there is none, or a newer bot wrote it."""
    try:
        return try_of(ref, text) if text else None
    except Unreadable:
        return None
