"""What is known of the token each gateway uses, read ahead so that a status need not wait for it.

The token's text is read for its expiry and let go of at once. Every Secret is read again each
minute: one that cannot change can still be deleted. One that is missing is looked for every few
seconds, because a Deployment is often created before its Secret.

Reading them takes one list where the bot may list Secrets of the whole cluster, else one request
for each gateway; the recommended rights are the second. To see that immutable ones still exist
takes one list for each namespace with several.
"""

import base64
import binascii
import datetime
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from deploy.annotations import MANAGER
from deploy.errors import GatewayBotError, Refused
from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.observed.effective import effective_settings
from deploy.observed.inventory import container_of
from deploy.observed.pods import named_token_secret, token_secret_of
from deploy.observed.sign_in import AUTH_KEY
from deploy.observed.token_only import kept_in
from deploy.specs.settings import AUTH
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
SOON_SECONDS = 3.0
"""After so long a Secret that was missing is looked for again."""
_LOOKED_FOR = 20
"""Of how many missing Secrets at a time: those that were looked for longest ago."""
_FEW = 3
"""Up to so many Secrets are read one by one rather than listed."""


@dataclass(frozen=True)
class TokenFacts:
    """A token's facts, without the token. `error` says why there are none, `missing` that there is
    no such Secret, `refused` that the bot may not read it.

    `changed_at` is when the content may last have changed (epoch seconds), None where it cannot;
    `made_at` when the Secret was created or last changed; `read_at` when this was read. `where` names
    what a token stands in that is in no Secret.
    """

    facts: SecretFacts | None
    changed_at: float | None = None
    error: str = ""
    read_at: float = 0.0
    missing: bool = False
    made_at: float | None = None
    where: str = ""
    refused: bool = False

    @property
    def settled(self) -> bool:
        """Whether its content cannot change; the Secret itself can still be deleted."""
        return self.facts is not None and self.facts.immutable

    def unless_unreadable(self, known: "TokenFacts | None") -> "TokenFacts":
        """What is known after this was read: that a Secret cannot be read says nothing against
        content that cannot change."""
        if known is None or not known.settled or self.facts is not None or self.missing:
            return self
        return replace(known, read_at=self.read_at)


def secret_key(deployment: Manifest) -> SecretKey | None:
    """Where the gateway's token is, as far as the Deployment alone shows it; None where it shows no
    Secret."""
    used = token_secret_of(deployment["spec"]["template"].get("spec") or {})
    return (deployment["metadata"]["namespace"], *used) if used else None


def secret_keys(deployment: Manifest) -> tuple[SecretKey, ...]:
    """Every place that may hold the gateway's token: the one that a variable names, else each Secret
    that its container takes whole."""
    namespace = deployment["metadata"]["namespace"]
    named = named_token_secret(deployment["spec"]["template"].get("spec") or {})
    if named is not None:
        return ((namespace, *named),)
    if secret_key(deployment) is None:
        return ()
    unread = effective_settings(container_of(deployment), {}).unread
    return tuple((namespace, o.name, AUTH_KEY) for o in unread if o.kind == "Secret")


def token_facts(secret: Manifest | None, key: SecretKey, now: float) -> TokenFacts:
    """Read one Secret, given as the API server gave it; None where there is none."""
    if secret is None:
        return TokenFacts(None, error=f"there is no Secret {key[1]}", read_at=now, missing=True)
    return TokenFacts(
        secret_facts(secret, key[2]), _changed_at(secret), read_at=now, made_at=_written_at(secret)
    )


def facts_of_text(text: str, where: str) -> TokenFacts:
    """The facts of a token that stands in plain text; the text is let go of."""
    token = Token.parse(text)
    if token is None:
        return TokenFacts(SecretFacts(""), where=where)
    return TokenFacts(SecretFacts("", token.gateway, token.expires_at, "token"), where=where)


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
    cluster: Cluster,
    keys: Iterable[SecretKey],
    known: Mapping[SecretKey, TokenFacts],
    again: float = AGAIN_SECONDS,
) -> dict[SecretKey, TokenFacts]:
    """The facts of `keys`; those read less than `again` seconds ago are not read again."""
    wanted = set(keys)
    now = time.time()
    found = {
        key: facts for key in wanted if (facts := known.get(key)) and not _due(facts, now, again)
    }
    due = wanted - found.keys()
    looked_for = sorted(
        (k for k in due if k in known and known[k].missing), key=lambda k: known[k].read_at
    )
    found |= {key: known[key] for key in looked_for[_LOOKED_FOR:]}
    due -= found.keys()
    unknown = due - known.keys()
    for place in cluster.places if len(unknown) > _FEW else ():
        of_it = {key for key in unknown if cluster.places.of(key[0]) == place}
        if len(of_it) > _FEW:
            found |= _listed(cluster, of_it, place)
    settled: dict[str, set[SecretKey]] = {}
    for key in due - unknown:
        if known[key].settled:
            settled.setdefault(key[0], set()).add(key)
    for namespace, known_there in settled.items():
        if len(known_there) > _FEW:
            found |= _listed(cluster, known_there, namespace)
    ordered = sorted(due - found.keys())
    read = cluster.at_once([_reading(cluster, key) for key in ordered])
    return found | {
        key: facts.unless_unreadable(known.get(key))
        for key, facts in zip(ordered, read, strict=True)
    }


def _due(facts: TokenFacts, now: float, again: float) -> bool:
    return now - facts.read_at >= (min(SOON_SECONDS, again) if facts.missing else again)


def _listed(
    cluster: Cluster, keys: Iterable[SecretKey], namespace: str | None
) -> dict[SecretKey, TokenFacts]:
    selector = f"app.kubernetes.io/managed-by={MANAGER}"
    try:
        items = cluster.list("Secret", namespace, label_selector=selector)
    except GatewayBotError:
        # With the recommended rights Secrets may be read only where gateways run.
        return {}
    now = time.time()
    secrets = {(item["metadata"]["namespace"], item["metadata"]["name"]): item for item in items}
    return {key: token_facts(secrets[key[:2]], key, now) for key in keys if key[:2] in secrets}


def _reading(cluster: Cluster, key: SecretKey) -> Callable[[], TokenFacts]:
    return lambda: read_one(cluster, key)


def _changed_at(secret: Manifest) -> float | None:
    return None if secret.get("immutable") else _written_at(secret)


def _written_at(secret: Manifest) -> float | None:
    metadata = secret["metadata"]
    if secret.get("immutable"):
        return epoch(metadata.get("creationTimestamp"))
    times = [epoch(entry.get("time")) for entry in metadata.get("managedFields") or ()]
    known = [moment for moment in times if moment is not None]
    return max(known) if known else epoch(metadata.get("creationTimestamp"))


def secret_facts(secret: Manifest, key: str = LAYOUT_KEY) -> SecretFacts:
    """Read the annotation first and the token's text second; what is unreadable stays unknown."""
    metadata = secret["metadata"]
    data = secret.get("data") or {}
    # A Secret that is taken in whole gives its pods either name.
    whole = data.get(AUTH, "") if key == AUTH_KEY else ""
    token = Token.parse(_decoded(data.get(key) or whole))
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
        kept=kept_in(secret) is not None,
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


def holds_only(cluster: Cluster, namespace: str, name: str, gateway: str) -> bool:
    """Whether every token that a Secret is seen to hold is that gateway's, and it holds one. Raises what
    reading raises."""
    secret = cluster.get("Secret", namespace, name)
    texts = (secret.get("data") or {}).values() if secret else ()
    tokens = [token for each in texts if (token := Token.parse(_decoded(each))) is not None]
    return bool(tokens) and all(token.gateway.lower() == gateway.lower() for token in tokens)


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
