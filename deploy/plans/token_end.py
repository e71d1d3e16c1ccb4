"""From a gateway whose token this bot keeps to a plan after which it keeps it no longer.

What the pods read stays, or they could not start again; all by which the bot knows it as its own
goes. The mark of the last restart stays too: without it the pods would be replaced.
"""

from collections.abc import Callable, Sequence
from typing import Any

from deploy.annotations import MANAGER, SPEC_ANNOTATION
from deploy.commands import Command
from deploy.errors import Conflict, GatewayBotError
from deploy.gateway import ApimGateway, GatewayRef
from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.observed.declaring import owner_of_secret
from deploy.observed.installed import deployment_of
from deploy.observed.selecting import labelled
from deploy.observed.token_facts import secret_facts
from deploy.observed.token_only import (
    KeptToken,
    copy_name,
    kept_in,
    stable_name,
    token_reading,
)
from deploy.plans.binding import bound
from deploy.plans.plan import FieldChange, ObjectChange, Plan, TokenOnly
from deploy.plans.readers import secrets_read
from deploy.plans.token_only import MANAGES, outline
from deploy.rendering.token_only import own_labels
from deploy.rules.finding import Finding
from deploy.tokens.token import iso
from deploy.tokens.token_plan import TokenPlan

_NO_HOST = "gateway.invalid"
"""In place of the endpoint, which no outline of a gateway is without and nobody asks here."""
_OURS = "gateway-bot.io/"
_MANAGED_BY = "app.kubernetes.io/managed-by"


def plan_token_end(cluster: Cluster, ref: GatewayRef) -> Plan:
    """What ending it would change; nothing is written. Conflict where the bot does not keep it."""
    cluster.check_namespace(ref.namespace)
    deployment = deployment_of(cluster, ref)
    if SPEC_ANNOTATION in (deployment["metadata"].get("annotations") or {}):
        raise Conflict(
            f"{ref} is deployed by this bot.",
            meaning="The bot keeps its token valid as long as it manages the gateway.",
            remedy=f"{Command('delete', ref)} deletes the gateway.",
        )
    reading = token_reading(deployment)
    found, unlisted = kept_secrets(cluster, ref, reading.secret)
    if not found:
        raise Conflict(
            f"The bot does not manage the token of {ref}.",
            remedy=f"{Command('manage-token', ref)} starts it.",
        ).offering(Command("manage-token", ref))
    kept = kept_in(found[0]) or KeptToken(ref.name, "", "")
    read, unread = secrets_read(cluster, ref.namespace)
    # No reference to the copy of a previous token was ever offered to anybody.
    spare = () if not unread else {_name(each) for each in found} - {copy_name(ref.name)}
    stays = [each for each in found if _name(each) in read or _name(each) in spare]
    used = next((each for each in found if _name(each) == reading.secret), None)
    facts = secret_facts(used, reading.key) if used else None
    token = TokenPlan(
        reading.secret or stable_name(ref.name),
        mint=False,
        expires_at=iso(facts.expires_at) if facts and facts.expires_at else None,
        reason="It stays as it is.",
    )
    return bound(
        Plan(
            spec=outline(deployment, ref, ApimGateway(kept.instance, kept.gateway, _NO_HOST)),
            cluster_uid=cluster.uid(ref.namespace),
            objects=(),
            changes=(
                *(
                    ObjectChange("Secret", _name(each), "delete")
                    for each in found
                    if each not in stays
                ),
                *(
                    ObjectChange("Secret", _name(each), "update", _forgotten(each))
                    for each in stays
                ),
            ),
            token=token,
            findings=tuple(_explained(ref, stays, token, unread, unlisted)),
            manages=TokenOnly(reading, stable=False),
            partial=True,
        )
    )


def kept_secrets(
    cluster: Cluster, ref: GatewayRef, used: str = ""
) -> tuple[tuple[Manifest, ...], str]:
    """The Secrets in which this bot keeps a token of the gateway, `used` among them where it is one,
    by name; and why not all of them may be known, empty where they are."""
    names = dict.fromkeys(filter(None, (used, stable_name(ref.name), copy_name(ref.name))))
    wanted = [_getting(cluster, ref.namespace, name) for name in names]
    there = {_name(each): each for each in cluster.at_once(wanted) if each is not None}
    unlisted = ""
    try:
        listed = cluster.list("Secret", ref.namespace, labelled(own_labels(ref.name)))
        there |= {_name(each): each for each in listed}
    except GatewayBotError as error:
        unlisted = error.happened
    mine = [each for _, each in sorted(there.items()) if _is_kept(each, ref)]
    return tuple(mine), unlisted


def forgotten(secret: Manifest) -> tuple[dict[str, str], dict[str, str]]:
    """The labels and annotations that a kept Secret has once it is nobody's but its readers'."""
    metadata = secret["metadata"]
    labels = dict(metadata.get("labels") or {})
    if labels.get(_MANAGED_BY) == MANAGER:
        labels.pop(_MANAGED_BY)
    return (
        {name: value for name, value in labels.items() if not name.startswith(_OURS)},
        {
            name: value
            for name, value in (metadata.get("annotations") or {}).items()
            if not name.startswith(_OURS)
        },
    )


def _forgotten(secret: Manifest) -> tuple[FieldChange, ...]:
    changes = []
    for place, left in zip(("labels", "annotations"), forgotten(secret), strict=True):
        before = secret["metadata"].get(place) or {}
        changes += [
            FieldChange(f'metadata.{place}["{name}"]', value, None)
            for name, value in sorted(before.items())
            if name not in left
        ]
    return tuple(changes)


def _is_kept(secret: Manifest, ref: GatewayRef) -> bool:
    kept = kept_in(secret)
    return kept is not None and kept.workload == ref.name and owner_of_secret(secret) is None


def _explained(
    ref: GatewayRef, stays: Sequence[Manifest], token: TokenPlan, unread: str, unlisted: str
) -> list[Finding]:
    found = []
    for each in stays:
        why = "pods read it" if not unread else f"the bot cannot check who reads it: {unread}"
        found.append(
            _note(f"Secret {_name(each)} stays with its token, because {why.rstrip('.')}.")
        )
    until = f" It is valid until {token.expires_at}." if token.expires_at else ""
    found.append(
        _note(
            f"After this, only its owner renews the token of {ref}.{until}",
            severity="warning",
        )
    )
    if unlisted:
        found.append(_note(f"Older Secrets of this bot may be left over: {unlisted}"))
    found.append(
        _note("The pods keep running; their template keeps the annotation of the last restart.")
    )
    return found


def _note(what: str, *, severity: Any = "info") -> Finding:
    return Finding(MANAGES, severity, what, "", "")


def _getting(cluster: Cluster, namespace: str, name: str) -> Callable[[], Manifest | None]:
    return lambda: cluster.get("Secret", namespace, name)


def _name(item: Manifest) -> str:
    return str(item["metadata"]["name"])
