"""One gateway in depth: what runs, which token each pod holds, and the evidence of its link."""

from collections.abc import Sequence

from deploy.access import Environment
from deploy.actions.audit import AuditEntry
from deploy.health.replica_courses import ReplicaCount
from deploy.health.status import GatewayDetail, GatewaySummary, PodStatus
from deploy.images.names import image_name
from deploy.images.support import Support
from deploy.observed.pods import PodProgress
from handlers.views.fleet import SIGNS
from handlers.views.history import EVENTS, action_of
from handlers.views.places import placed
from handlers.views.renewals import OFFERS
from handlers.views.reply import Block, Reply
from handlers.views.text import (
    button,
    context,
    counted,
    date,
    duration,
    escape,
    fence,
    fields,
    header,
    section,
    table,
)

_BARS = "▁▂▃▄▅▆▇█"
_BUCKETS = 30
_COURSE_SECONDS = 3600.0
_SHORTEST = 120.0
_PODS = 20
_ENDED = 5
_EVENTS = 6
_ACTIONS = 3


def detail(
    gateway: GatewayDetail,
    support: Support,
    portal: str,
    now: float,
    done: Sequence[AuditEntry] = (),
    environment: Environment | None = None,
) -> Reply:
    """`portal` is a link to the gateway's own page in the Azure portal; empty where it is unknown.

    `done` are the newest entries of the audit trail about it, newest first.
    """
    s, beat = gateway.summary, gateway.heartbeat
    since = (
        f" Since {date(beat.since)}." if beat.since and beat.level in ("denied", "cut off") else ""
    )
    blocks: list[Block] = [
        header(f"{s.ref.name} on {s.ref.cluster}/{s.ref.namespace}"),
        *([section(f"{SIGNS['down']} *down*: 0 of {s.desired} pods are ready.")] if s.down else []),
        section(
            f"{SIGNS[beat.level]} *{escape(beat.level)}*: {escape(beat.evidence)}.{since}"
            + (f"\n<{portal}|Azure's own heartbeat, in the portal>" if portal else "")
        ),
        fields(
            [
                (
                    "Pods",
                    f"{s.ready} of {s.desired} ready, {s.updated} up to date, "
                    f"{s.available} available",
                ),
                ("Image", f"`{escape(s.tag or '?')}` {escape(support.summary)}"),
                ("Token", escape(_token(s, now))),
                ("Installed by", f"{escape(s.managed_by)}, {duration(now - s.created_at)} ago"),
                *([("Managed by", escape(str(gateway.manager)))] if gateway.manager else []),
            ]
        ),
    ]
    if not s.manageable:
        blocks.append(
            context(
                f"It runs in a {escape(s.kind)}. This bot changes Deployments only, so it cannot "
                "manage this gateway; it shows it and warns of it."
            )
        )
    blocks += [context(text) for text in _others(gateway)]
    course = replica_course(gateway.replicas, now)
    if course:
        blocks.append(context(course))
    if gateway.autoscalers:
        who = ", ".join(gateway.autoscalers)
        blocks.append(context(f"{escape(who)} sets the replicas."))
    if s.stale:
        blocks.append(
            section(f":warning: *This is as of {duration(now - s.as_of)} ago.* {escape(s.stale)}")
        )
    unread = [text for text in gateway.unread if text != s.stale]
    blocks += [context(f":warning: {escape(text)}") for text in (*s.attention, *unread)]
    if gateway.pods:
        blocks += _pods(gateway.pods, s.token_secret, now)
    if gateway.ended:
        blocks.append(context(_ended(gateway.ended)))
    if gateway.services:
        blocks.append(_services(gateway, now))
    blocks += _conditions(gateway)
    if gateway.events:
        lines = [
            f"{duration(now - event.at):>6}  {event.about.removeprefix(s.ref.name + '-')}  "
            f"{event.reason}: {event.message}"
            for event in gateway.events[:_EVENTS]
        ]
        blocks.append(section("*Last events*\n" + fence(lines, 1500)[0]))
    if gateway.actions:
        blocks.append(context("*Last revisions*  " + " · ".join(_actions(gateway, now))))
    last = _last_done(done, now)
    if last:
        blocks.append(context("*Last actions*  " + " · ".join(last)))
    if s.renewable and s.renewal is not None:
        offer = OFFERS[s.renewal]
        renew = button(offer.label, offer.click, str(s.ref), style="primary")
        blocks.append({"type": "actions", "elements": [renew]})
    where = placed(s.ref, environment)
    return Reply(f"{where}: {s.ready} of {s.desired} pods ready, {beat.level}", tuple(blocks))


def replica_course(course: Sequence[ReplicaCount], now: float) -> str:
    """Ready pods over the last hour as a line of bars; empty while there is little to draw."""
    if len(course) < 2 or now - course[0].at < _SHORTEST:
        return ""
    start = max(course[0].at, now - _COURSE_SECONDS)
    step = max((now - start) / _BUCKETS, 1.0)
    most = max(max(count.ready, count.desired) for count in course) or 1
    bars = ""
    for bucket in range(_BUCKETS):
        until = start + step * (bucket + 1)
        ready = [count.ready for count in course if count.at <= until] or [course[0].ready]
        inside = [c.ready for c in course if until - step < c.at <= until]
        # A dip is what somebody looks for, so the lowest count of each span is drawn.
        lowest = min([ready[-1], *inside])
        bars += _BARS[round(lowest / most * (len(_BARS) - 1))]
    return f"Ready pods, last {duration(now - start)}  `{bars}`  {course[-1].ready} of {course[-1].desired}"


def _others(gateway: GatewayDetail) -> list[str]:
    """What others do to it, beside this bot."""
    found = []
    if gateway.manager is not None and gateway.manager.undoes:
        found.append(f"{escape(str(gateway.manager))} will undo changes that are made here.")
    if gateway.manager is not None and gateway.manager.paused:
        found.append(f"{escape(str(gateway.manager))} is told to leave it alone.")
    if gateway.rotators:
        named = ", ".join(escape(str(each)) for each in gateway.rotators)
        found.append(f":warning: Its token or its keys are also rotated by: {named}.")
    return found


def _held(secret: str, current: str) -> str:
    """Which token: the Deployment's own of now, or the previous Secret."""
    return "-" if not secret else "current" if secret == current else secret


def _ended(pods: Sequence[PodProgress]) -> str:
    """The pods that Kubernetes keeps for whoever wants to know why they ended."""
    shown = ", ".join(f"{escape(pod.name)} ({escape(pod.state)})" for pod in pods[:_ENDED])
    more = f" and {len(pods) - _ENDED} more" if len(pods) > _ENDED else ""
    return f"Ended, and counted nowhere: {shown}{more}."


def _pods(pods: Sequence[PodStatus], secret: str, now: float) -> list[Block]:
    rows: list[tuple[str, ...]] = [
        ("  ", "POD", "READY", "STATE", "RESTARTS", "LAST EXIT", "AGE", "NODE", "TOKEN")
    ]
    ordered = sorted(pods, key=lambda pod: (pod.progress.ready, pod.progress.created_at))
    rows += [
        (
            SIGNS[pod.heartbeat.level] if pod.heartbeat else "⚪",
            pod.progress.name,
            "yes" if pod.progress.ready else "no",
            pod.progress.state,
            str(pod.progress.restarts),
            pod.progress.last_exit or "-",
            duration(now - pod.progress.created_at),
            pod.progress.node or "-",
            _held(pod.token_secret, secret),
        )
        for pod in ordered[:_PODS]
    ]
    text, left = fence(table(rows), 2900)
    left += max(0, len(pods) - _PODS)
    blocks = [section(text)]
    if left:
        blocks.append(context(f"… and {counted(left, 'more pod')}."))
    said: dict[str, list[str]] = {}
    for pod in ordered:
        if pod.heartbeat:
            words = f"{SIGNS[pod.heartbeat.level]} {pod.heartbeat.level}: {pod.heartbeat.evidence}"
            said.setdefault(words, []).append(pod.progress.name)
    if len(said) > 1:
        blocks += [
            context(f"{escape(words)} ({escape(', '.join(names[:3]))}{_more(names)})")
            for words, names in list(said.items())[:5]
        ]
    return blocks


def _more(names: Sequence[str]) -> str:
    return f" and {len(names) - 3} more" if len(names) > 3 else ""


def _services(gateway: GatewayDetail, now: float) -> Block:
    rows: list[tuple[str, ...]] = [("SERVICE", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORTS", "AGE")]
    rows += [
        (
            service.name,
            service.type,
            service.cluster_ip,
            service.external_ip,
            service.ports,
            duration(now - service.created_at),
        )
        for service in gateway.services
    ]
    return section(fence(table(rows), 2000)[0])


def _conditions(gateway: GatewayDetail) -> list[Block]:
    """Those that say something is wrong, in full; the others in a word."""
    good = {"Available": "True", "Progressing": "True", "ReplicaFailure": "False"}
    words = []
    for condition in gateway.conditions:
        text = f"{condition.type} {condition.status}"
        if good.get(condition.type) != condition.status:
            text = f":warning: {text} ({condition.reason}: {condition.message})"
        words.append(escape(text))
    return [context("*Conditions*  " + " · ".join(words))] if words else []


def _actions(gateway: GatewayDetail, now: float) -> list[str]:
    found = []
    for revision in gateway.actions:
        who = f" by <@{escape(revision.requester)}>" if revision.requester else ""
        action = f" ({escape(revision.action)})" if revision.action else ""
        tag = escape(image_name(revision.image).version)
        ago = duration(now - revision.created_at)
        found.append(f"{revision.number}: `{tag}`{who}{action} {ago} ago")
    return found


def _last_done(entries: Sequence[AuditEntry], now: float) -> list[str]:
    """How each of the last actions stands: its newest entry that is not a step on the way."""
    found: dict[str, str] = {}
    for entry in entries:
        if entry.event.startswith("step ") or entry.subject in found:
            continue
        # A run is by a bot, a decision by a person.
        who = f" by <@{entry.who}>" if entry.who[:1] in ("U", "W") and entry.who.isalnum() else ""
        ago = duration(now - entry.at)
        found[entry.subject] = (
            f"{escape(entry.kind)} {escape(EVENTS.get(entry.event, entry.event))}{who}{action_of(entry)} {ago} ago"
        )
    return list(found.values())[:_ACTIONS]


def _token(summary: GatewaySummary, now: float) -> str:
    if summary.token_source == "none":
        return "none: it signs in to Entra ID"
    held = f" (Secret {summary.token_secret})" if summary.token_secret else ""
    if summary.token_where:
        held = f" (in plain text in {summary.token_where})"
    if summary.token_expires_at is None:
        return f"expiry unknown{held}"
    if summary.token_expires_at <= now:
        return f"expired {duration(now - summary.token_expires_at)} ago{held}"
    kept = ", kept valid by this bot" if summary.token_kept else ""
    return f"{duration(summary.token_expires_at - now)} left{held}{kept}"
