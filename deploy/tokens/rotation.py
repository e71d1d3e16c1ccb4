"""What a rotation is to bring: which key, for how long, into which Secret. Pure."""

import dataclasses
import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deploy.commands import Command
from deploy.errors import Conflict, InvalidInput
from deploy.gateway import GatewayRef
from deploy.specs.gateway_spec import GatewaySpec
from deploy.times import minute
from deploy.tokens.token import (
    LAYOUT_KEY,
    LONGEST,
    KeyType,
    SecretFacts,
    key_type,
    new_token,
)
from deploy.tokens.token_plan import TokenPlan

_LIFETIME = re.compile(r"(?P<count>[1-9][0-9]{0,3})(?P<unit>[dh])")
_UNITS = {"d": datetime.timedelta(days=1), "h": datetime.timedelta(hours=1)}
_ALLOWED = datetime.timedelta(days=30)
"""Azure's own limit (API Management REST API, Gateway - Generate Token)."""
SHORTEST = datetime.timedelta(hours=1)
"""Less would run out while a slow rollout still continues."""


@dataclass(frozen=True)
class Rotation:
    """What is asked for. Without `key` it is the one that is not in use."""

    key: KeyType | None = None
    lifetime: datetime.timedelta = LONGEST


def rotation_to_mapping(rotation: Rotation) -> dict[str, Any]:
    """The rotation, JSON-able."""
    return {"key": rotation.key, "seconds": int(rotation.lifetime.total_seconds())}


def rotation_from_mapping(data: Mapping[str, Any]) -> Rotation:
    """The rotation that `rotation_to_mapping` wrote."""
    return Rotation(
        key_type(data.get("key") or ""), datetime.timedelta(seconds=int(data["seconds"]))
    )


def parse_key(text: str) -> KeyType:
    """`primary` or `secondary`, else InvalidInput."""
    found = key_type(text.strip().lower())
    if found is None:
        raise InvalidInput(
            f"“{text[:40]}” is not a key of a gateway.",
            field="key",
            remedy="Use primary or secondary.",
        )
    return found


def parse_lifetime(text: str) -> datetime.timedelta:
    """A lifetime such as `20d` or `36h`. InvalidInput where Azure would reject it.

    Thirty days are taken for as much of them as Azure is sure to take.
    """
    found = _LIFETIME.fullmatch(text.strip().lower())
    if found is None:
        raise InvalidInput(
            f"“{text[:40]}” is not a valid lifetime.",
            field="ttl",
            remedy="Write days or hours, such as 20d or 36h.",
        )
    lifetime = int(found["count"]) * _UNITS[found["unit"]]
    if not SHORTEST <= lifetime <= _ALLOWED:
        raise InvalidInput(
            f"A token cannot be valid for {text.strip()[:40]}.",
            field="ttl",
            remedy="Azure allows at most 30 days.",
        )
    return min(lifetime, LONGEST)


def rotated_token(
    spec: GatewaySpec,
    live: SecretFacts | None,
    layout_key: str,
    action_id: str,
    rotation: Rotation,
) -> TokenPlan:
    """The new token's plan, and why it is made with that key.

    `live` is what is known of the Secret in use, `layout_key` under which key the pods read it.
    Conflict where there is nothing to rotate, or nothing that could be gone back to.
    """
    if spec.auth.kind != "token":
        raise signs_in(spec.ref, spec.auth.kind)
    again = Command("deploy", spec.ref)
    if live is None:
        raise Conflict(
            f"The Secret that {spec.ref} reads its token from no longer exists.",
            meaning="If Azure refused the new token, a rollback would not be possible.",
            remedy=f"Deploy it again, which also creates a new token: {again}.",
        ).offering(again)
    if layout_key != LAYOUT_KEY:
        raise Conflict(
            f"{spec.ref} reads its token from {live.name}, which somebody created by hand.",
            remedy=f"Deploy it again, which also creates a new token: {again}.",
        ).offering(again)
    key = rotation.key or other_key(live.key)
    new = new_token(spec, action_id, why_rotated(live, key), key=key, lifetime=rotation.lifetime)
    return dataclasses.replace(new, previous=live.name)


def other_key(key: KeyType | None) -> KeyType:
    """The key that is not in use; where that is not known, the one that is less likely to be."""
    return "primary" if key == "secondary" else "secondary"


def signs_in(ref: GatewayRef, kind: str) -> Conflict:
    """That a gateway, which signs in that way, has no token that could be rotated."""
    how = "a workload identity" if kind == "workloadIdentity" else "an Entra app"
    return Conflict(
        f"{ref} signs in to Entra ID by {how}.",
        meaning="It has no gateway token, so there is nothing to rotate.",
        remedy="An Entra app's own secret or certificate is renewed in Entra ID."
        if kind == "entraApp"
        else "",
    )


def why_rotated(live: SecretFacts, key: KeyType) -> str:
    """What is known of the token that is replaced by one made with that key."""
    ends = f" It expires {minute(live.expires_at)}." if live.expires_at else ""
    if live.key is None:
        return f"It is not known which key made the token in use.{ends}"
    same = ", which is used again" if live.key == key else ""
    return f"The token in use was made with the {live.key} key{same}.{ends}"
