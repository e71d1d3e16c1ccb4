"""When a gateway gets worse or better, and what is posted of it. Pure.

A trouble counts when it has lasted a while, and is over when it has been gone for a while: pods come
and go. One gateway is one incident, whatever troubles it has. When several on one cluster get worse
together, as when a node dies, they are one incident too; where more goes than that node, or the
cluster itself, the same incident becomes that. What cannot be seen changes nothing.
"""

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from deploy.gateway import GatewayRef
from deploy.health.attention import first_rollout, not_created, not_running
from deploy.health.cache import CachedGateway
from deploy.health.heartbeat import Heartbeat
from deploy.health.levels import Seen
from deploy.observed.pods import crashes, is_ready, pod_progress
from deploy.observed.workloads import is_managed

LASTS = 20.0
"""Seconds a trouble must last before a channel is notified."""
OVER = 30.0
"""Seconds without it before it is over."""
_NO_BLIP = 2
"""From so many refusals of one token on it counts since the first."""
MANY = 3
"""From so many gateways on, they are reported together."""
TOGETHER = 300.0
"""Seconds within which incidents of one cluster belong together."""
_CHANGES = 200
"""So many of the newest changes of an incident are kept, for a Slack that is away meanwhile."""

CUT_OFF, DENIED = "cut off", "denied"
REFUSED, SUSPECTED, MISSING = "token refused", "token suspected", "token missing"
"""`denied` is said of a gateway that signs in to Entra ID, or whose refusal has no such cause."""
CRASH_LOOP, BELOW_MINIMUM, DOWN = "crash loop", "below minimum", "down"
UNREADABLE = "token unreadable"
"""The bot may not read its Secret."""
AWAY = "away"
"""The cluster itself does not answer."""
UNABLE = "unable to sign in to Azure"
"""It has nothing to ask Azure with, so Azure denies it nothing. Earlier versions show this name as it is."""
_LINK = (CUT_OFF, DENIED)
_HIDDEN = (*_LINK, UNABLE, REFUSED)
"""What is not over while nothing is seen of the link."""


@dataclass(frozen=True)
class Health:
    """One gateway as it is seen now: each trouble with its evidence.

    `link_seen` says whether anything was seen of its link to Azure: where nothing was, its
    earlier trouble with that is not over. `token_seen` says the same of its token. `nodes` are those of its
    pods that are not ready, but for pods that are only starting. `since` has those troubles whose
    evidence itself tells since when they last (epoch seconds): they need not be seen for so long too.
    """

    ref: GatewayRef
    troubles: Mapping[str, str] = field(default_factory=dict)
    link_seen: bool = True
    nodes: frozenset[str] = frozenset()
    token_seen: bool = True
    since: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Member:
    """A gateway in an incident; `since` and `over_at` in epoch seconds, None while it lasts."""

    troubles: Mapping[str, str]
    since: float
    over_at: float | None = None


@dataclass(frozen=True)
class MemberChange:
    """What became of a gateway in an incident, or of the cluster; the thread says it.

    `subject` is named as a member is. `troubles` are those that are new, where it got worse.
    `version` is that of the incident in which it happened.
    """

    kind: Literal["worse", "better", "gone"]
    subject: str
    troubles: Mapping[str, str] = field(default_factory=dict)
    version: int = 0


@dataclass(frozen=True)
class Incident:
    """What one message in a channel is about, with a thread for what happens next.

    `version` rises with each change; `changes` are the newest of them, with rising versions. Times
    are epoch seconds.
    """

    id: str
    cluster: str
    members: Mapping[str, Member]
    opened_at: float
    node: str = ""
    together: bool = False
    over_at: float | None = None
    version: int = 1
    changes: tuple[MemberChange, ...] = ()

    @property
    def open_members(self) -> dict[str, Member]:
        """Those whose trouble lasts."""
        return {ref: member for ref, member in self.members.items() if member.over_at is None}


@dataclass(frozen=True)
class WatchedIncident:
    """What is remembered of one cluster: since when each trouble is seen, or is gone, and incidents.

    Keys of `seen` and `gone` are a gateway and a trouble, `cluster/namespace/name trouble`.
    """

    seen: Mapping[str, float] = field(default_factory=dict)
    gone: Mapping[str, float] = field(default_factory=dict)
    incidents: tuple[Incident, ...] = ()


def health_of(gateway: CachedGateway, seen: Seen) -> Health:
    """Judge one gateway."""
    level = seen.heartbeat.level
    heartbeat = seen.heartbeat
    if not is_managed(gateway.deployment):
        # What this bot cannot rotate is denied; that its token is what to renew would be no remedy.
        heartbeat = replace(heartbeat, refusal=None)
    troubles = {**_of_token(gateway, heartbeat), **_of_link(heartbeat)}
    crashing = [pod for pod in gateway.pods if crashes(pod)]
    if crashing:
        crash = "crashes" if len(crashing) == 1 else "crash"
        said = f"{len(crashing)} of {_pods(len(gateway.pods))} {crash} repeatedly"
        exits = (exit for pod in crashing if (exit := pod_progress(pod).last_exit))
        last = next(exits, "")
        troubles[CRASH_LOOP] = f"{said}, the last time with {last}" if last else said
    desired = int(gateway.deployment["spec"].get("replicas", 1))
    available = int((gateway.deployment.get("status") or {}).get("availableReplicas", 0))
    minimum = minimum_of(gateway.deployment)
    first = first_rollout(gateway.deployment, seen.at)
    are = "is" if desired == 1 else "are"
    said = f"{available} of {_pods(desired)} {are} available; the minimum is {minimum}"
    if why := _why_few(gateway):
        said = f"{said}. {why}"
    if desired and not available and not first:
        # Worse than anything about the link to Azure, so it comes before that.
        troubles = {DOWN: said, **troubles}
    elif available < minimum and not first:
        troubles[BELOW_MINIMUM] = said
    unready = [pod for pod in gateway.pods if not (is_ready(pod) or _is_starting(pod))]
    return Health(
        gateway.ref,
        troubles,
        level in (*_LINK, "connected", "no trouble seen"),
        frozenset(str(pod["spec"].get("nodeName") or "") for pod in unready) - {""},
        _token_seen(gateway),
        _refused_since(heartbeat),
    )


def _why_few(gateway: CachedGateway) -> str:
    """What keeps pods from running, after Kubernetes' own reason; empty where nothing tells."""
    if stuck := not_running(gateway.pods):
        return stuck
    refused = not_created(gateway.deployment)
    return f"Pods cannot be created: FailedCreate: {refused}" if refused else ""


def _refused_since(heartbeat: Heartbeat) -> dict[str, float]:
    """Since when Azure is seen to refuse the token, where it is known to refuse it alone.

    Until every other gateway of the instance was looked at since, `times` is nothing (deploy.health.
    levels). After one refusal these may not have asked yet: all ask within the time of a second.
    """
    refusal = heartbeat.refusal
    if refusal is None or not refusal.proven or refusal.times < _NO_BLIP:
        return {}
    return {REFUSED: refusal.since}


def _of_token(gateway: CachedGateway, heartbeat: Heartbeat) -> dict[str, str]:
    found: dict[str, str] = {}
    refusal, token = heartbeat.refusal, gateway.token
    if refusal is not None:
        said = heartbeat.evidence if refusal.proven else refusal.why
        # First, for an alert shows only the beginning of what is said at length.
        said = f"{refusal.why}. {refusal.killer}. {said}" if refusal.killer else said
        found[REFUSED if refusal.proven else SUSPECTED] = said
    if token is not None and token.refused:
        found[UNREADABLE] = (
            "the bot cannot warn before its token expires, because it cannot read the token: "
            f"{token.error}"
        )
    if token is not None and token.missing and gateway.deployment["spec"].get("replicas", 1):
        found[MISSING] = f"{token.error}, so a pod that starts now cannot run"
    return found


def _of_link(heartbeat: Heartbeat) -> dict[str, str]:
    proven = heartbeat.refusal is not None and heartbeat.refusal.proven
    if heartbeat.level not in _LINK or proven:
        return {}
    denied = [pod for pod in heartbeat.pods if pod.level == DENIED]
    unable = bool(denied) and not any(pod.answered for pod in denied)
    return {UNABLE if unable else heartbeat.level: heartbeat.evidence}


def _token_seen(gateway: CachedGateway) -> bool:
    token = gateway.token
    return token is None or token.facts is not None or token.missing or token.refused


def _is_starting(pod: Mapping[str, Any]) -> bool:
    """Whether it starts for the first time: a pod in place of another says nothing of its node."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return not any(status.get("started") or status.get("restartCount") for status in statuses)


def _pods(count: int) -> str:
    return f"{count} {'pod' if count == 1 else 'pods'}"


def minimum_of(deployment: Mapping[str, Any]) -> int:
    """How many pods its own rollout would never go below: the replicas less `maxUnavailable`."""
    desired = int(deployment["spec"].get("replicas", 1))
    rolling = (deployment["spec"].get("strategy") or {}).get("rollingUpdate") or {}
    allowed = rolling.get("maxUnavailable", "25%")
    if isinstance(allowed, str) and allowed.endswith("%"):
        share = allowed[:-1]
        less = desired * int(share) // 100 if share.isdecimal() else 0
    else:
        less = int(allowed)
    return min(desired, max(1, desired - less))


def step(
    watch: WatchedIncident,
    cluster: str,
    healths: Sequence[Health] | None,
    away: str,
    now: float,
    unread: Collection[str] = (),
    blind: Collection[str | None] = (),
) -> WatchedIncident:
    """What is remembered after looking once more; `healths` is None while the cluster is away.

    `away` says why it does not answer, in its own words. Of namespaces that are `unread` nothing is
    over and nothing is new, of those that are `blind` nothing is over; None is all of them.
    """
    current = {f"{cluster} {AWAY}": away} if away else {}
    kept = {*unread, *blind}
    hidden = {
        key for key in watch.seen if "/" in key and (None in kept or key.split("/")[1] in kept)
    }
    by_ref = {str(h.ref): h for h in healths or () if h.ref.namespace not in unread}
    told: dict[str, float] = {}
    for ref, health in by_ref.items():
        told |= {f"{ref} {trouble}": since for trouble, since in health.since.items()}
        current |= {f"{ref} {trouble}": said for trouble, said in health.troubles.items()}
        if not health.link_seen:
            hidden |= {f"{ref} {trouble}" for trouble in _HIDDEN}
        if not health.token_seen:
            hidden.add(f"{ref} {UNREADABLE}")
    if healths is None:
        hidden |= {key for key in watch.seen if not key.endswith(f" {AWAY}")}
    seen, gone = _remembered(watch, current, hidden, told, now)
    lasting = {key: said for key, said in current.items() if now - seen[key] >= LASTS}
    incidents = [
        _placed(_gone_on(incident, lasting, seen, by_ref, now), by_ref)
        for incident in watch.incidents
    ]
    known = {ref for incident in incidents for ref in incident.open_members}
    fresh: dict[str, dict[str, str]] = {}
    for key, said in lasting.items():
        subject, _, trouble = key.partition(" ")
        if subject not in known:
            fresh.setdefault(subject, {})[trouble] = said
    incidents = _begun(incidents, cluster, fresh, by_ref, seen, now)
    return WatchedIncident(seen, gone, tuple(_without_old(incidents, now)))


def _remembered(
    watch: WatchedIncident,
    current: Mapping[str, str],
    hidden: set[str],
    told: Mapping[str, float],
    now: float,
) -> tuple[dict[str, float], dict[str, float]]:
    """Since when each trouble is seen, or by its own evidence lasts, and since when one that was seen
    is gone."""
    seen = {key: min(watch.seen.get(key, now), told.get(key, now)) for key in current}
    gone = {}
    for key, since in watch.seen.items():
        if key in current:
            continue
        if key in hidden:
            seen[key] = since
            continue
        left = watch.gone.get(key, now)
        if now - left < OVER:
            seen[key], gone[key] = since, left
    return seen, gone


def _gone_on(
    incident: Incident,
    lasting: Mapping[str, str],
    seen: Mapping[str, float],
    known: Mapping[str, Health],
    now: float,
) -> Incident:
    """The incident with what is new of its gateways."""
    if incident.over_at is not None:
        return incident
    members = dict(incident.members)
    happened: list[MemberChange] = []
    for ref, member in incident.open_members.items():
        kept = {t: said for t, said in member.troubles.items() if f"{ref} {t}" in seen}
        new = {
            trouble: said
            for key, said in lasting.items()
            if key.partition(" ")[0] == ref and (trouble := key.partition(" ")[2]) not in kept
        }
        if not kept and not new:
            members[ref] = dataclasses.replace(member, over_at=now)
            gone = "/" in ref and ref not in known
            happened.append(MemberChange("gone" if gone else "better", ref))
        elif new or kept.keys() != member.troubles.keys():
            members[ref] = dataclasses.replace(member, troubles={**kept, **new})
            happened += [
                MemberChange("worse", ref, {trouble: said}) for trouble, said in new.items()
            ]
    if members == dict(incident.members):
        return incident
    over = all(member.over_at is not None for member in members.values())
    return _changed(
        dataclasses.replace(incident, members=members, over_at=now if over else None), happened
    )


def _changed(incident: Incident, happened: Iterable[MemberChange]) -> Incident:
    """The next version of the incident, in which this happened."""
    version = incident.version + 1
    changes = [
        *incident.changes,
        *(dataclasses.replace(change, version=version) for change in happened),
    ]
    # Those of one version are posted together, or not at all.
    while len(changes) > _CHANGES and changes[0].version < version:
        first = changes[0].version
        changes = [change for change in changes if change.version > first]
    return dataclasses.replace(incident, version=version, changes=tuple(changes))


def _begun(
    incidents: list[Incident],
    cluster: str,
    fresh: Mapping[str, Mapping[str, str]],
    healths: Mapping[str, Health],
    seen: Mapping[str, float],
    now: float,
) -> list[Incident]:
    """The incidents with those gateways whose trouble is new."""
    members = {
        ref: Member(troubles, min(seen[f"{ref} {trouble}"] for trouble in troubles))
        for ref, troubles in fresh.items()
    }
    # The newest first: where it was posted last is where it is posted again.
    for number in reversed(range(len(incidents))):
        incidents[number] = _again(incidents[number], members, now)
        members = {r: m for r, m in members.items() if r not in incidents[number].open_members}
    if not members:
        return incidents
    for number in reversed(range(len(incidents))):
        incident = incidents[number]
        recent = now - incident.opened_at < TOGETHER
        takes = incident.together or (cluster in members and _lost_pods(incident))
        if takes and incident.over_at is None and recent:
            incidents[number] = _placed(_with(incident, members), healths, members)
            return incidents
    lately = sum(now - incident.opened_at < TOGETHER for incident in incidents)
    if (len(members) > 1 and len(members) + lately >= MANY) or lately >= MANY:
        node = _common_node(members, healths)
        return [*incidents, _incident(cluster, members, now, node=node, together=True)]
    return [
        *incidents,
        *(_incident(cluster, {ref: member}, now) for ref, member in members.items()),
    ]


def _again(incident: Incident, members: Mapping[str, Member], now: float) -> Incident:
    """The same incident where one of its gateways is unwell again so soon: no second message."""
    back = {
        ref: members[ref]
        for ref, member in incident.members.items()
        if ref in members and member.over_at is not None and now - member.over_at < TOGETHER
    }
    if not back:
        return incident
    return _with(dataclasses.replace(incident, over_at=None), back)


def _with(incident: Incident, members: Mapping[str, Member]) -> Incident:
    return _changed(
        dataclasses.replace(incident, members={**incident.members, **members}),
        [MemberChange("worse", ref, member.troubles) for ref, member in members.items()],
    )


def _incident(
    cluster: str,
    members: Mapping[str, Member],
    now: float,
    *,
    node: str = "",
    together: bool = False,
) -> Incident:
    name = f"{min(members)}@{int(now * 1000)}"
    return Incident(name, cluster, members, now, node, together)


def _lost_pods(incident: Incident) -> bool:
    """Whether it is of pods that went, which may be how a cluster began to go."""
    return any(
        not member.troubles.keys().isdisjoint((BELOW_MINIMUM, DOWN))
        for member in incident.open_members.values()
    )


def _placed(
    incident: Incident, healths: Mapping[str, Health], fresh: Iterable[str] = ()
) -> Incident:
    """The incident, no longer of its node where others are shown to be lost too.

    Once pods are made anew elsewhere nothing shows the node any longer, so that unsays nothing.
    """
    if not incident.node:
        return incident
    nodes = [
        healths[ref].nodes
        for ref in incident.open_members
        if ref in healths and (healths[ref].nodes or ref in fresh)
    ]
    if not nodes or frozenset().union(*nodes) == {incident.node}:
        return incident
    return _changed(dataclasses.replace(incident, node=""), ())


def _common_node(members: Iterable[str], healths: Mapping[str, Health]) -> str:
    """The one node on which all of their pods that are not ready were; empty where there is none,
    as where a pod is not ready on another node too."""
    nodes = [healths[ref].nodes for ref in members if ref in healths]
    shared = frozenset[str]().union(*nodes) if all(nodes) else frozenset()
    return next(iter(shared)) if len(shared) == 1 else ""


def _without_old(incidents: Iterable[Incident], now: float) -> Iterable[Incident]:
    """Those that continue, or are over for so short a time that they still count."""
    return (
        incident
        for incident in incidents
        if incident.over_at is None or now - incident.over_at < TOGETHER
    )
