"""What is known of the token each gateway uses, read ahead so that a status need not wait for it.

The token's text is read for its expiry and let go of at once. A Secret of this bot's own cannot
change, so it is read once; one that can is read again every minute.

Reading them takes one list where the bot may list Secrets of the whole cluster, else one request
for each gateway; the recommended rights are the second.
"""

import base64
import binascii
import datetime
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from deploy.annotations import MANAGER
from deploy.errors import GatewayBotError, Refused
from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.observed.pods import token_secret_of
from deploy.times import epoch
from deploy.tokens.token import (
    EXPIRES_AT,
    LAYOUT_KEY,
    TOKEN_KEY,
    SecretFacts,
    Token,
    is_token_secret_name,
    key_type,
)

SecretKey = tuple[str, str, str]
"""Namespace, name and key of a token's Secret."""

AGAIN_SECONDS = 60.0
_FEW = 3
"""Up to so many Secrets are read one by one rather than listed."""


@dataclass(frozen=True)
class TokenFacts:
    """A token's facts, without the token. `error` says why there are none, `missing` that there is
    no such Secret, `refused` that the bot may not read it.

    `changed_at` is when the content may last have changed (epoch seconds), None where it cannot;
    `read_at` when this was read.
    """

    facts: SecretFacts | None
    changed_at: float | None = None
    error: str = ""
    read_at: float = 0.0
    missing: bool = False
    refused: bool = False

    @property
    def settled(self) -> bool:
        """Whether reading it again could tell nothing new."""
        return self.facts is not None and self.facts.immutable


def secret_key(deployment: Manifest) -> SecretKey | None:
    """Where the gateway's token is; None for one that signs in to Entra ID."""
    used = token_secret_of(deployment["spec"]["template"].get("spec") or {})
    return (deployment["metadata"]["namespace"], *used) if used else None


def token_facts(secret: Manifest | None, key: SecretKey, now: float) -> TokenFacts:
    """Read one Secret, given as the API server gave it; None where there is none."""
    if secret is None:
        return TokenFacts(None, error=f"there is no Secret {key[1]}", read_at=now, missing=True)
    return TokenFacts(secret_facts(secret, key[2]), _changed_at(secret), read_at=now)


def read_one(cluster: Cluster, key: SecretKey) -> TokenFacts:
    """Read one Secret now. What the cluster refuses is said in the facts."""
    try:
        return token_facts(cluster.get("Secret", key[0], key[1]), key, time.time())
    except GatewayBotError as error:
        return TokenFacts(
            None,
            error=error.happened.rstrip("."),
            read_at=time.time(),
            refused=isinstance(error, Refused),
        )


def read_all(
    cluster: Cluster, keys: Iterable[SecretKey], known: Mapping[SecretKey, TokenFacts]
) -> dict[SecretKey, TokenFacts]:
    """The facts of `keys`; those known for good, or read a moment ago, are not read again."""
    wanted = set(keys)
    now = time.time()
    found = {
        key: facts
        for key in wanted
        if (facts := known.get(key)) and (facts.settled or now - facts.read_at < AGAIN_SECONDS)
    }
    missing = wanted - found.keys()
    unknown = missing - known.keys()
    if len(unknown) > _FEW:
        found |= _listed(cluster, unknown)
        missing -= found.keys()
    ordered = sorted(missing)
    read = cluster.at_once([_reading(cluster, key) for key in ordered])
    return found | dict(zip(ordered, read, strict=True))


def _listed(cluster: Cluster, keys: Iterable[SecretKey]) -> dict[SecretKey, TokenFacts]:
    try:
        items = cluster.list("Secret", label_selector=f"app.kubernetes.io/managed-by={MANAGER}")
    except GatewayBotError:
        # With the recommended rights Secrets may be read only where gateways run.
        return {}
    now = time.time()
    secrets = {(item["metadata"]["namespace"], item["metadata"]["name"]): item for item in items}
    return {key: token_facts(secrets[key[:2]], key, now) for key in keys if key[:2] in secrets}


def _reading(cluster: Cluster, key: SecretKey) -> Callable[[], TokenFacts]:
    return lambda: read_one(cluster, key)


def _changed_at(secret: Manifest) -> float | None:
    if secret.get("immutable"):
        return None
    metadata = secret["metadata"]
    times = [epoch(entry.get("time")) for entry in metadata.get("managedFields") or ()]
    known = [moment for moment in times if moment is not None]
    return max(known) if known else epoch(metadata.get("creationTimestamp"))


def secret_facts(secret: Manifest, key: str = LAYOUT_KEY) -> SecretFacts:
    """Read the annotation first and the token's text second; what is unreadable stays unknown."""
    metadata = secret["metadata"]
    token = Token.parse(_decoded((secret.get("data") or {}).get(key, "")))
    annotations = metadata.get("annotations") or {}
    noted = _time(annotations.get(EXPIRES_AT, ""))
    return SecretFacts(
        name=metadata["name"],
        gateway=token.gateway if token else None,
        expires_at=noted or (token.expires_at if token else None),
        source="annotation" if noted else "token" if token else "unknown",
        immutable=secret.get("immutable") is True,
        key=key_type(annotations.get(TOKEN_KEY, "")),
        uid=str(metadata.get("uid", "")),
    )


def may_hold_token(cluster: Cluster, namespace: str, name: str) -> bool:
    """Whether a Secret holds a gateway token, or will, or may: one that must not be read counts.

    Of what it holds nothing but that is kept. Unavailable where the cluster does not answer.
    """
    try:
        secret = cluster.get("Secret", namespace, name)
    except Refused:
        return True
    if secret is None:
        # One that is about to be minted is named already, and pods wait for a missing Secret.
        return is_token_secret_name(name)
    noted = EXPIRES_AT in (secret["metadata"].get("annotations") or {})
    texts = (secret.get("data") or {}).values()
    return noted or any(Token.parse(_decoded(each)) is not None for each in texts)


def _decoded(data: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""


def _time(text: str) -> datetime.datetime | None:
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
