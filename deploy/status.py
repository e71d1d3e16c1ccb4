"""The read side: which gateways run, and one of them in depth."""

import difflib
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TypeVar

from deploy import evidence, inventory
from deploy.belongings import EventSummary, ServiceSummary, events_about, services_of
from deploy.cluster import Cluster
from deploy.errors import GatewayBotError, InvalidInput, NotFound
from deploy.gateway import GatewayRef
from deploy.heartbeat import Heartbeat
from deploy.labels import MANAGER
from deploy.masking import mask_secrets
from deploy.plan import Manifest
from deploy.pods import PodProgress, pod_progress, token_secret_of
from deploy.times import epoch
from deploy.tokens import SecretFacts, secret_facts

_WARN = 7 * 24 * 3600.0
"""Azure Advisor warns seven days before a token expires; so does this."""

T = TypeVar("T")


@dataclass(frozen=True)
class GatewaySummary:
    """One gateway in a row of a table. Times are epoch seconds.

    `token_source` says how the expiry is known: `annotation`, `token` (its text) or `unknown`.
    `attention` are sentences about what somebody should look at; empty when nothing is known.
    """

    ref: GatewayRef
    gateway: str
    tag: str
    desired: int
    ready: int
    updated: int
    available: int
    created_at: float
    managed_by: str
    attention: tuple[str, ...] = ()
    token_secret: str = ""
    token_expires_at: float | None = None
    token_source: str = "unknown"


@dataclass(frozen=True)
class ConditionSummary:
    """A condition of the Deployment."""

    type: str
    status: str
    reason: str
    message: str


@dataclass(frozen=True)
class GatewayDetail:
    """One gateway in depth. `unread` says what could not be looked at, and why."""

    summary: GatewaySummary
    heartbeat: Heartbeat
    pods: tuple[PodProgress, ...]
    services: tuple[ServiceSummary, ...]
    conditions: tuple[ConditionSummary, ...]
    events: tuple[EventSummary, ...]
    unread: tuple[str, ...] = ()


def gateways(cluster: Cluster) -> tuple[GatewaySummary, ...]:
    """Every gateway of a cluster, in at most three list calls.

    A token that is not in one of this bot's Secrets is read from the Secret that the pods name.
    Raises what listing Deployments raises.
    """
    deployments = cluster.begin(lambda: cluster.list("Deployment"))
    secrets = cluster.begin(
        lambda: cluster.list("Secret", label_selector=f"app.kubernetes.io/managed-by={MANAGER}")
    )
    found = _gateways_among(cluster, deployments.result())
    facts = _token_facts(cluster, found, secrets)
    now = time.time()
    summaries = []
    for deployment in found:
        ref = inventory.ref_of(cluster.name, deployment)
        if ref is not None:
            summaries.append(_summary(ref, deployment, facts.get(_secret_key(deployment)), now))
    return tuple(sorted(summaries, key=lambda summary: summary.ref))


def gateway_detail(cluster: Cluster, ref: GatewayRef) -> GatewayDetail:
    """One gateway with everything about it. NotFound when it does not run there."""
    namespace = ref.namespace
    deployment = cluster.get("Deployment", namespace, ref.name)
    if deployment is None:
        raise NotFound(
            f"No gateway “{ref.name}” runs in {ref.cluster}/{namespace}.",
            remedy="Look at the list of all gateways.",
        )
    selected = deployment["spec"]["selector"].get("matchLabels") or {}
    selector = ",".join(f"{key}={value}" for key, value in sorted(selected.items()))
    used = _secret_key(deployment)
    pods = cluster.begin(lambda: cluster.list("Pod", namespace, label_selector=selector))
    services = cluster.begin(lambda: cluster.list("Service", namespace))
    events = cluster.begin(lambda: cluster.list("Event", namespace))
    secret = cluster.begin(
        lambda: cluster.get("Secret", namespace, used[1]) if used is not None else None
    )
    unread: list[str] = []
    manifests = _or_told(pods, unread, [])
    read_secret = _or_told(secret, unread, None)
    read_services = _or_told(services, unread, [])
    read_events = _or_told(events, unread, [])
    facts = secret_facts(read_secret, used[2]) if read_secret and used else None
    labels = deployment["spec"]["template"]["metadata"].get("labels") or {}
    owned = [f"{ref.name}-{_hash(pod)}" for pod in manifests]
    return GatewayDetail(
        summary=_summary(ref, deployment, facts, time.time()),
        heartbeat=evidence.heartbeat(cluster, deployment, manifests, read_secret, facts),
        pods=tuple(
            sorted((pod_progress(pod) for pod in manifests), key=lambda p: (p.created_at, p.name))
        ),
        services=services_of(read_services, labels),
        conditions=tuple(
            ConditionSummary(
                c["type"], c["status"], c.get("reason", ""), mask_secrets(c.get("message", ""))
            )
            for c in (deployment.get("status") or {}).get("conditions") or ()
        ),
        events=events_about(
            read_events,
            [ref.name, *owned, *(pod["metadata"]["name"] for pod in manifests)],
        ),
        unread=tuple(unread),
    )


def resolve(name: str, summaries: Sequence[GatewaySummary]) -> GatewayRef:
    """The gateway that `name` means: `cluster/namespace/name`, its end, or the gateway's own name.

    InvalidInput lists the candidates when there are several, NotFound the nearest when none.
    """
    wanted = name.strip().lower().split("/")
    matching = [s for s in summaries if str(s.ref).split("/")[-len(wanted) :] == wanted]
    if not matching:
        matching = [s for s in summaries if s.gateway and s.gateway.lower() == "/".join(wanted)]
    if len(matching) == 1:
        return matching[0].ref
    if matching:
        several = ", ".join(str(s.ref) for s in sorted(matching, key=lambda s: s.ref))
        raise InvalidInput(
            f"“{name[:80]}” can mean several gateways: {several}.",
            field="gateway",
            remedy="Name it with cluster and namespace.",
        )
    known = [str(s.ref) for s in summaries] + [s.ref.name for s in summaries]
    near = difflib.get_close_matches(name.strip().lower(), known, n=1)
    raise NotFound(
        f"No gateway “{name[:80]}” runs on the clusters this bot looks at.",
        remedy=f"Did you mean {near[0]}?" if near else "Look at the list of all gateways.",
    )


def _gateways_among(cluster: Cluster, deployments: Sequence[Manifest]) -> list[Manifest]:
    """Those that are gateways; settings in a ConfigMap are looked up only where they decide."""
    sure = [item for item in deployments if inventory.is_gateway(item)]
    known = {id(item) for item in sure}
    others = [d for d in deployments if id(d) not in known and inventory.settings_maps(d)]
    if not others:
        return sure
    try:
        maps = cluster.list("ConfigMap")
    except GatewayBotError:
        # Without the right to read them all, gateways are found by image and environment alone.
        return sure
    settings = {
        (item["metadata"]["namespace"], item["metadata"]["name"])
        for item in maps
        if inventory.has_endpoint(item)
    }
    return sure + [item for item in others if inventory.reads_any(item, settings)]


_SecretKey = tuple[str, str, str]
"""Namespace, name and key of a token's Secret."""


def _secret_key(deployment: Manifest) -> _SecretKey | None:
    used = token_secret_of(deployment["spec"]["template"].get("spec") or {})
    return (deployment["metadata"]["namespace"], *used) if used else None


def _token_facts(
    cluster: Cluster, deployments: Sequence[Manifest], listed: Future[list[Manifest]]
) -> dict[_SecretKey | None, SecretFacts]:
    """What is known of each token; a Secret that cannot be read leaves its token unknown."""
    wanted = {key for item in deployments if (key := _secret_key(item)) is not None}
    try:
        own = {
            (item["metadata"]["namespace"], item["metadata"]["name"]): item
            for item in listed.result()
        }
    except GatewayBotError:
        # Without the right to list them everywhere, each is read where its gateway runs.
        own = {}
    elsewhere = [key for key in wanted if key[:2] not in own]
    read = cluster.at_once([_reading(cluster, key) for key in elsewhere])
    secrets = own | {key[:2]: item for key, item in zip(elsewhere, read, strict=True) if item}
    return {key: secret_facts(secrets[key[:2]], key[2]) for key in wanted if key[:2] in secrets}


def _reading(cluster: Cluster, key: _SecretKey) -> Callable[[], Manifest | None]:
    def read() -> Manifest | None:
        try:
            return cluster.get("Secret", key[0], key[1])
        except GatewayBotError:
            return None

    return read


def _summary(
    ref: GatewayRef, deployment: Manifest, facts: SecretFacts | None, now: float
) -> GatewaySummary:
    status = deployment.get("status") or {}
    expires_at = facts.expires_at.timestamp() if facts and facts.expires_at else None
    used = _secret_key(deployment)
    return GatewaySummary(
        ref=ref,
        gateway=inventory.apim_gateway_of(deployment) or (facts.gateway if facts else None) or "",
        tag=inventory.tag_of(deployment),
        desired=int(deployment["spec"].get("replicas", 1)),
        ready=int(status.get("readyReplicas", 0)),
        updated=int(status.get("updatedReplicas", 0)),
        available=int(status.get("availableReplicas", 0)),
        created_at=epoch(deployment["metadata"].get("creationTimestamp")) or 0.0,
        managed_by=inventory.managed_by(deployment),
        attention=tuple(_attention(deployment, expires_at, now)),
        token_secret=used[1] if used else "",
        token_expires_at=expires_at,
        token_source=facts.source if facts else "unknown",
    )


def _attention(deployment: Manifest, expires_at: float | None, now: float) -> Iterator[str]:
    status = deployment.get("status") or {}
    desired, ready = int(deployment["spec"].get("replicas", 1)), int(status.get("readyReplicas", 0))
    if desired == 0:
        yield "It is scaled to zero: nothing serves traffic."
    elif ready < desired:
        yield f"{ready} of {desired} pods are ready."
    for condition in status.get("conditions") or ():
        if condition.get("reason") == "ProgressDeadlineExceeded":
            yield "Its last rollout did not finish."
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            yield f"Pods cannot be created: {mask_secrets(condition.get('message', ''))}"
    if expires_at is not None and expires_at <= now:
        yield "Its token has expired."
    elif expires_at is not None and expires_at - now < _WARN:
        hours = int((expires_at - now) // 3600)
        left = f"{hours // 24} days" if hours >= 48 else f"{hours} hours"
        yield f"Its token expires in {left}."


def _hash(pod: Manifest) -> str:
    return str((pod["metadata"].get("labels") or {}).get("pod-template-hash", ""))


def _or_told(future: Future[T], unread: list[str], otherwise: T) -> T:
    try:
        return future.result()
    except GatewayBotError as error:
        unread.append(error.happened)
        return otherwise
