"""The read side: which gateways run, and one of them in depth."""

import difflib
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLate
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from deploy.annotations import MANAGER
from deploy.commands import Command
from deploy.errors import Ambiguous, GatewayBotError, NotFound
from deploy.gateway import GatewayRef
from deploy.health import evidence
from deploy.health.attention import BROKEN, Attention, Sign, attention, of_refusal
from deploy.health.belongings import EventSummary, ServiceSummary, events_about, services_of
from deploy.health.cache import CachedGateway, ClusterCache, Snapshot
from deploy.health.heartbeat import AzureEvent, Heartbeat, Level, PodHeartbeat, Refusal, worse
from deploy.health.replica_courses import ReplicaCount
from deploy.kube.api_errors import NamespaceEnds
from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.kube.places import Everywhere
from deploy.masking import mask_secrets
from deploy.observed import inventory
from deploy.observed.autoscalers import AUTOSCALER, autoscalers_of
from deploy.observed.effective import EffectiveSettings
from deploy.observed.given import read_given
from deploy.observed.history import Revision, revisions
from deploy.observed.managers import Manager, manager_of
from deploy.observed.other_rotation import Rotator, rotators_of
from deploy.observed.pods import PodProgress, named_token_secret, pod_progress
from deploy.observed.references import secrets_of
from deploy.observed.token_facts import SecretKey, TokenFacts, read_one
from deploy.observed.workloads import DEPLOYMENT, has_pods_alone, workload_kind
from deploy.plans.adoption import instance_named_by
from deploy.times import epoch

_REVISIONS = 3
_NEAR = 3
"""So many names are offered in place of one that is unknown."""
_DEEP_LOG_LINES = 5000

T = TypeVar("T")

Renewal = Literal["rotate", "manage"]
"""How this bot gives a gateway a new token: by a rotation, or by keeping what others deploy valid."""

MENDED_BY_TOKEN = (Sign.TOKEN_REFUSED, Sign.TOKEN_SUSPECTED, Sign.TOKEN_EXPIRED)
"""Findings that a new token mends."""


@dataclass(frozen=True)
class GatewaySummary:
    """One gateway in a row of a table. Times are epoch seconds.

    `token_source` says how the expiry is known: `annotation`, `token` (its text), `none` (it signs
    in to Entra ID) or `unknown`, `token_where` what it stands in where that is not a Secret. `findings`
    are what somebody should look at, the most urgent first. `kind` is that of the object its pods
    belong to. `token_kept` says that this bot keeps the token of a gateway which others deploy. `as_of`
    is when this was true and `stale` why not later; empty while it is kept true.
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
    kind: str = "Deployment"
    findings: tuple[Attention, ...] = ()
    token_secret: str = ""
    token_where: str = ""
    token_expires_at: float | None = None
    token_source: str = "unknown"
    token_kept: bool = False
    as_of: float = 0.0
    stale: str = ""

    @property
    def manageable(self) -> bool:
        """Whether this bot can change it: it changes Deployments alone."""
        return self.kind == DEPLOYMENT

    @property
    def renewal(self) -> Renewal | None:
        """What gives it a new token: the one fact behind every button and command that offers one.
        None where this bot cannot."""
        if not self.manageable:
            return None
        return "rotate" if self.managed_by == MANAGER or self.token_kept else "manage"

    @property
    def down(self) -> bool:
        """Whether no pod is ready, though there should be some."""
        return any(finding.sign is Sign.DOWN for finding in self.findings)

    @property
    def unready(self) -> bool:
        """Whether its first pods are not ready yet, or cannot become so."""
        return not self.ready and self.has(Sign.NOT_READY)

    def degraded(self, level: Level) -> bool:
        """Whether a pod does not run beside others that serve, and the heartbeat's level proves nothing
        worse."""
        return bool(self.ready and self.failing) and not worse(level, "unknown")

    @property
    def failing(self) -> tuple[Attention, ...]:
        """What is found of pods that do not run."""
        return tuple(f for f in self.findings if f.sign in (Sign.NOT_RUNNING, Sign.CRASHING))

    def state(self, level: Level) -> str:
        """What is said of it in a word, with its heartbeat's level: that no pod serves goes before any
        level."""
        if self.down:
            return "down"
        if self.unready:
            return "not ready"
        return "degraded" if self.degraded(level) else level

    @property
    def attention(self) -> tuple[str, ...]:
        """What somebody should look at, in sentences."""
        return tuple(finding.text for finding in self.findings)

    def has(self, *signs: Sign) -> bool:
        """Whether one of these is found of it."""
        return any(finding.sign in signs for finding in self.findings)

    @property
    def renewable(self) -> bool:
        """Whether a new token mends what is found of it, and this bot can give it one. One that only
        expires soon is renewed as its environment says, but nobody renews that of others."""
        mends = self.has(*MENDED_BY_TOKEN) or (
            self.renewal == "manage" and self.has(Sign.TOKEN_EXPIRES)
        )
        return self.manageable and mends and not self.has(Sign.TOKEN_MISSING)

    def weighed(self, refusal: Refusal | None) -> "GatewaySummary":
        """With what its heartbeat shows of its token."""
        if refusal is None:
            return self
        found = sorted((*self.findings, of_refusal(refusal)), key=lambda item: -item.urgency)
        return replace(self, findings=tuple(found))


@dataclass(frozen=True)
class ConditionSummary:
    """A condition of the Deployment, and since when it is so (epoch seconds), if known."""

    type: str
    status: str
    reason: str
    message: str
    since: float | None = None


@dataclass(frozen=True)
class PodStatus:
    """One pod: how it runs, the Secret its token is from, and what it says of its link."""

    progress: PodProgress
    token_secret: str = ""
    heartbeat: PodHeartbeat | None = None


@dataclass(frozen=True)
class GatewayDetail:
    """One gateway in depth. `ended` are pods that no longer run, and count for nothing. `unread` says
    what could not be looked at, and why.

    `instance` is the API Management service in its pods' settings, or the host where it has another
    name; empty where nothing tells. `actions` are the newest revisions with whose action made each.
    `manager` is who else manages it, `rotators` the CronJobs of others that rotate its token,
    `autoscalers` what sets the number of its pods.
    """

    summary: GatewaySummary
    heartbeat: Heartbeat
    pods: tuple[PodStatus, ...]
    ended: tuple[PodProgress, ...]
    services: tuple[ServiceSummary, ...]
    conditions: tuple[ConditionSummary, ...]
    events: tuple[EventSummary, ...]
    actions: tuple[Revision, ...] = ()
    replicas: tuple[ReplicaCount, ...] = ()
    instance: str = ""
    manager: Manager | None = None
    rotators: tuple[Rotator, ...] = ()
    unread: tuple[str, ...] = ()
    autoscalers: tuple[str, ...] = ()


def summaries(snapshot: Snapshot, now: float) -> tuple[GatewaySummary, ...]:
    """Every gateway of a cluster."""
    return tuple(_summary(gateway, snapshot, gateway.token, now) for gateway in snapshot.gateways)


def renewal_at(caches: Mapping[str, ClusterCache], ref: GatewayRef) -> Renewal | None:
    """What gives a gateway a new token, without asking anybody; None where this bot cannot, or where
    nothing is known of it."""
    try:
        snapshot = caches[ref.cluster].read(wait=0.0)
    except (KeyError, GatewayBotError):
        return None
    found = snapshot.find(ref)
    return _summary(found, snapshot, found.token, time.time()).renewal if found else None


def gateway_detail(
    cache: ClusterCache,
    ref: GatewayRef,
    azure_events: Sequence[AzureEvent] = (),
    judged: Callable[[CachedGateway, Heartbeat], Heartbeat] = lambda _, heartbeat: heartbeat,
) -> GatewayDetail:
    """One gateway with everything about it. NotFound when it does not run there. `judged` keeps what
    is seen of its link for others, and adds what they know.

    What the cache knows is taken from it; Services, events, revisions, the token's Secret and the
    heartbeat are asked for at once, and what does not come within seconds is said.
    """
    snapshot = cache.read()
    found = snapshot.find(ref)
    if found is None:
        raise NotFound(
            f"No gateway “{ref.name}” runs in {ref.cluster}/{ref.namespace}.",
            remedy=f"{Command('list')} shows every gateway.",
        ).offering(Command("list"))
    cluster, end = cache.cluster, time.monotonic() + evidence.BOUND
    kinds = ("Service", "Event", "ReplicaSet", AUTOSCALER)
    reading = {kind: _listing(cluster, kind, ref) for kind in kinds}
    given = cluster.begin(lambda: _given(cluster, found.deployment))
    whole = cluster.begin(lambda: _whole(cluster, found.deployment))
    jobs = cluster.begin(lambda: cluster.everywhere("CronJob"))
    namespace = cluster.begin(lambda: cluster.check_namespace(ref.namespace))
    token = _token(cache, found, end)
    asked = evidence.Asked(ref, found.deployment, found.pods, token, azure_events, found.signs_in)
    heartbeat = evidence.heartbeats(
        cluster, [asked], bound=max(1.0, end - time.monotonic()), log_lines=_DEEP_LOG_LINES
    )[ref]
    heartbeat = judged(replace(found, token=token), heartbeat)
    unread: list[str] = [snapshot.stale] if snapshot.stale else []
    if snapshot.pods_unread:
        unread.append(f"Its pods cannot be read: {snapshot.pods_unread}")
    unread += snapshot.unseen
    live = {
        kind: _or_told(future, f"Its {kind}s", end, unread, []) for kind, future in reading.items()
    }
    beats = {beat.pod: beat for beat in heartbeat.pods}
    labels = (found.deployment["spec"]["template"].get("metadata") or {}).get("labels") or {}
    names = [pod["metadata"]["name"] for pod in found.pods]
    owned = [item for item in live["ReplicaSet"] if _owned_by(item, found.deployment)]
    summary = _summary(found, snapshot, token, time.time()).weighed(heartbeat.refusal)
    instance = instance_named_by(_or_told(given, "Its settings", end, unread, EffectiveSettings()))
    found_jobs = _or_told(jobs, "CronJobs", end, unread, Everywhere(()))
    unread += found_jobs.unseen
    workload = _or_told(whole, "Its managers", end, unread, None)
    return GatewayDetail(
        summary=replace(summary, findings=(*_ending(namespace, end), *summary.findings)),
        heartbeat=heartbeat,
        pods=tuple(_pod_status(pod, beats, found.token_key) for pod in found.pods),
        ended=tuple(pod_progress(pod) for pod in found.ended),
        services=services_of(live["Service"], labels),
        conditions=_conditions(found.deployment),
        events=events_about(
            live["Event"], [ref.name, *names, *(item["metadata"]["name"] for item in owned)]
        ),
        actions=revisions(found.deployment, owned)[:_REVISIONS],
        replicas=found.replicas,
        instance=instance,
        manager=manager_of(workload, adopted=inventory.is_adopted(workload)) if workload else None,
        rotators=rotators_of(
            found_jobs.items,
            namespace=ref.namespace,
            gateway=summary.gateway,
            service=instance,
            secret=summary.token_secret,
        ),
        unread=tuple(dict.fromkeys(unread)),
        autoscalers=autoscalers_of(ref.name, live[AUTOSCALER]),
    )


def resolve(
    name: str, summaries: Sequence[GatewaySummary], silent: Collection[str] = ()
) -> GatewayRef:
    """The gateway that `name` means: `cluster/namespace/name`, its end, or the gateway's own name.

    Ambiguous lists the candidates when there are several, NotFound the nearest when none, and
    which clusters are `silent`, so that it may run there.
    """
    wanted = name.strip().lower().split("/")
    matching = [s for s in summaries if str(s.ref).split("/")[-len(wanted) :] == wanted]
    if not matching and len(wanted) == 1:
        # The owner of a gateway writes that name: with slashes it would pose as another place.
        matching = [s for s in summaries if s.gateway and s.gateway.lower() == wanted[0]]
    if len(matching) == 1:
        return matching[0].ref
    if matching:
        several = tuple(str(ref) for ref in sorted(s.ref for s in matching))
        raise Ambiguous(
            f"“{name[:80]}” can mean several gateways: {', '.join(several)}.",
            field="gateway",
            candidates=several,
            remedy="Use its full name, cluster/namespace/name.",
        )
    near = difflib.get_close_matches("/".join(wanted), _called(summaries, len(wanted)), n=_NEAR)
    every = Command("list")
    raise (
        NotFound(
            f"No gateway “{name[:80]}” {'is known' if silent else 'runs'} on the clusters that "
            "this bot watches.",
            meaning=f"It may run on {' or '.join(sorted(silent))}, which cannot be read now."
            if silent
            else "",
            remedy=f"Did you mean {' or '.join(near)}?"
            if near
            else f"{every} shows every gateway.",
        )
        .did_mean("gateway", *near)
        .offering(*([] if near else [every]))
    )


def _called(summaries: Sequence[GatewaySummary], parts: int) -> list[str]:
    """What the gateways are called in so many parts: by name, with their namespace, or in full."""
    every = ("/".join(str(summary.ref).split("/")[-parts:]) for summary in summaries)
    return list(dict.fromkeys(every))


def _summary(
    gateway: CachedGateway, snapshot: Snapshot, token: TokenFacts | None, now: float
) -> GatewaySummary:
    deployment = gateway.deployment
    status = deployment.get("status") or {}
    facts = token.facts if token else None
    expires_at = facts.expires_at.timestamp() if facts and facts.expires_at else None
    used, signing = gateway.token_key, gateway.sign_in
    unread = snapshot.unread.get(gateway.ref.namespace)
    named = inventory.apim_gateway_of(deployment) or (
        signing.given.value("gateway.name") if signing else ""
    )
    return GatewaySummary(
        ref=gateway.ref,
        gateway=named or (facts.gateway if facts else None) or "",
        tag=inventory.tag_of(deployment),
        desired=int(deployment["spec"].get("replicas", 1)),
        ready=int(status.get("readyReplicas", 0)),
        updated=int(status.get("updatedReplicas", 0)),
        available=int(status.get("availableReplicas", 0)),
        created_at=epoch(deployment["metadata"].get("creationTimestamp")) or 0.0,
        managed_by=inventory.managed_by(deployment),
        kind=workload_kind(deployment),
        findings=attention(deployment, gateway.pods, token, named, now),
        token_secret=used[1] if used else "",
        token_expires_at=expires_at,
        token_where=token.where if token else "",
        token_source="none" if gateway.signs_in else facts.source if facts else "unknown",
        token_kept=facts is not None and facts.kept,
        as_of=unread.as_of if unread else snapshot.as_of,
        stale=snapshot.stale or (unread.why if unread else ""),
    )


def _token(cache: ClusterCache, gateway: CachedGateway, end: float) -> TokenFacts | None:
    """The facts as they are now: a person who looks closely has perhaps just changed the Secret.
    The cache keeps them, so that every view knows.

    A cluster that takes its time leaves those of a minute ago.
    """
    key, known = gateway.token_key, gateway.token
    if key is None:
        return known
    reading = cache.cluster.begin(lambda: read_one(cache.cluster, key))
    try:
        found = reading.result(max(0.0, end - time.monotonic()) / 2)
    except TooLate:
        return known
    facts = found.unless_unreadable(known)
    cache.learned(key, facts)
    return facts


def _pod_status(
    pod: Manifest, beats: Mapping[str, PodHeartbeat], current: SecretKey | None
) -> PodStatus:
    """`current` is where the gateway's token is; a Secret that a pod takes whole may hold another."""
    named = named_token_secret(pod["spec"])
    whole = current[1] if current and current[1] in secrets_of(pod["spec"]) else ""
    progress = pod_progress(pod)
    return PodStatus(progress, named[0] if named else whole, beats.get(progress.name))


def _conditions(deployment: Manifest) -> tuple[ConditionSummary, ...]:
    return tuple(
        ConditionSummary(
            c["type"],
            c["status"],
            c.get("reason", ""),
            mask_secrets(c.get("message", "")),
            epoch(c.get("lastTransitionTime")),
        )
        for c in (deployment.get("status") or {}).get("conditions") or ()
    )


def _listing(cluster: Cluster, kind: str, ref: GatewayRef) -> "Future[list[Manifest]]":
    return cluster.begin(lambda: cluster.list(kind, ref.namespace))


def _whole(cluster: Cluster, workload: Manifest) -> Manifest | None:
    """As it is now, with what the cache leaves out; None for pods of which nothing else is known."""
    metadata = workload["metadata"]
    if has_pods_alone(workload):
        return None
    return cluster.get(workload_kind(workload), metadata["namespace"], metadata["name"])


def _given(cluster: Cluster, deployment: Manifest) -> EffectiveSettings:
    pod_spec = deployment["spec"]["template"].get("spec") or {}
    return read_given(cluster, deployment["metadata"]["namespace"], pod_spec)


def _ending(namespace: Future[Manifest], end: float) -> tuple[Attention, ...]:
    """That the namespace is being deleted; nothing where it is not, or where that is not known."""
    try:
        namespace.result(max(0.1, end - time.monotonic()))
    except (NamespaceEnds, NotFound) as error:
        return (Attention(BROKEN, Sign.NAMESPACE_ENDS, error.happened),)
    except (GatewayBotError, TooLate):
        return ()
    return ()


def _owned_by(item: Manifest, deployment: Manifest) -> bool:
    uid = deployment["metadata"].get("uid")
    return any(o.get("uid") == uid for o in item["metadata"].get("ownerReferences") or ())


def _or_told(future: "Future[T]", what: str, end: float, unread: list[str], otherwise: T) -> T:
    try:
        return future.result(max(0.1, end - time.monotonic()))
    except TooLate:
        unread.append(f"{what} could not be read in time.")
    except GatewayBotError as error:
        unread.append(error.happened)
    return otherwise
