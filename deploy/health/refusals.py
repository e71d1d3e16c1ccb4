"""Which tokens Azure refuses, and which others that makes suspect. Pure.

A refusal of a token that has not expired means that its key was made anew: every token made with
that key before is refused too, though the gateway that holds it may log too little to show it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from deploy.health.cache import CachedGateway
from deploy.health.heartbeat import Heartbeat, Refusal
from deploy.observed import inventory
from deploy.tokens.token import KeyType, SecretFacts

WELL = ("connected", "no trouble seen")
"""Levels at which Azure seems to answer a gateway well."""


@dataclass(frozen=True)
class RefusedKey:
    """Azure refused a token of that `gateway` since then (epoch seconds).

    `instance` is the API Management instance by its name in the settings, empty where nothing tells;
    `key` is None where it is not known with which one it was made. `secret` is the
    token's identity, `by` whose token it is. Tokens made from `accepted_from` on are accepted, as one of
    them shows; None where none does.
    """

    gateway: str
    instance: str
    key: KeyType | None
    secret: str
    by: str
    since: float
    accepted_from: float | None = None

    @property
    def name(self) -> str:
        """Two refusals with the same name are one."""
        return f"{self.instance}/{self.gateway}/{self.key or self.secret}"


def refused_key(gateway: CachedGateway, heartbeat: Heartbeat) -> RefusedKey | None:
    """What a gateway's heartbeat shows of its token's key; None where the refusal has another
    cause, such as its expiry, or where there is none."""
    refusal, facts = heartbeat.refusal, _facts(gateway)
    if refusal is None or not refusal.proven or facts is None or not facts.gateway:
        return None
    named = inventory.apim_gateway_of(gateway.deployment)
    if named and named.lower() != facts.gateway.lower():
        return None
    if facts.expires_at is None or facts.expires_at.timestamp() <= refusal.since:
        return None
    return RefusedKey(
        facts.gateway.lower(),
        _instance(gateway),
        facts.key,
        facts.identity,
        str(gateway.ref),
        refusal.since,
    )


def suspicion(
    gateway: CachedGateway, heartbeat: Heartbeat, refused: Iterable[RefusedKey], now: float
) -> Refusal | None:
    """Why the token may be refused though nothing is seen of that; None where nothing suggests it,
    or where something is seen of the gateway's link."""
    facts = _facts(gateway)
    if heartbeat.level != "unknown" or facts is None or not facts.gateway:
        return None
    if facts.expires_at is not None and facts.expires_at.timestamp() <= now:
        return None
    for key in refused:
        if _is_same(facts, key):
            why = "Azure refused its token, and there has been no sign of its link since"
        elif not _shares(gateway, facts, key):
            continue
        elif key.key is not None and facts.key is not None:
            why = f"Azure refuses the token of {key.by}, which was made with the same key"
        else:
            why = (
                f"Azure refuses the token of {key.by}, which belongs to the same gateway; which "
                "key made this token is unknown"
            )
        return Refusal(False, why, key.since, facts.identity)
    return None


def disproved(gateway: CachedGateway, heartbeat: Heartbeat, key: RefusedKey) -> bool:
    """Whether the gateway shows that Azure accepts the very token that it refused."""
    facts = _facts(gateway)
    return facts is not None and heartbeat.level in WELL and _is_same(facts, key)


def narrowed(gateway: CachedGateway, heartbeat: Heartbeat, key: RefusedKey) -> RefusedKey | None:
    """What is left of a refused key where the gateway shows that Azure accepts its token of that key;
    None where it shows nothing new. The other may still be refused: it was made before."""
    facts = _facts(gateway)
    made_at = gateway.token.made_at if gateway.token else None
    if facts is None or made_at is None or key.key is None or facts.key is None:
        return None
    proven = heartbeat.level == "connected" and (heartbeat.since or 0.0) > key.since
    if not proven or not _shares(gateway, facts, key):
        return None
    return replace(key, accepted_from=made_at)


def _is_same(facts: SecretFacts, key: RefusedKey) -> bool:
    return bool(facts.identity) and facts.identity == key.secret


def _shares(gateway: CachedGateway, facts: SecretFacts, key: RefusedKey) -> bool:
    """Whether its token was made before those that Azure accepts, and may be of the same key."""
    if (facts.gateway or "").lower() != key.gateway:
        return False
    if facts.key is not None and key.key is not None and facts.key != key.key:
        return False
    made_at = gateway.token.made_at if gateway.token else None
    accepted_from = key.since if key.accepted_from is None else key.accepted_from
    if made_at is not None and made_at >= min(key.since, accepted_from):
        return False
    return not key.instance or _instance(gateway) in ("", key.instance)


def _facts(gateway: CachedGateway) -> SecretFacts | None:
    return gateway.token.facts if gateway.token else None


def _instance(gateway: CachedGateway) -> str:
    return inventory.spec_field(gateway.deployment, "apim", "instance")
