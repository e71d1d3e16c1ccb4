"""One gateway in depth: its health, what runs, which token each pod holds, what to do.

It fits the first screen of a phone; what only informs is in `status_more`.
"""

import re
from collections.abc import Sequence

from deploy.access import Environment
from deploy.actions.action import Action
from deploy.health.attention import Sign
from deploy.health.replica_courses import ReplicaCount
from deploy.health.status import GatewayDetail, GatewaySummary, PodStatus
from deploy.images.support import Support
from deploy.observed.pods import ENDING, PodProgress
from handlers.views.action import value
from handlers.views.commands import runs
from handlers.views.fleet import SIGNS, WELL
from handlers.views.places import heading, placed
from handlers.views.renewals import OFFERS
from handlers.views.reply import Block, Reply
from handlers.views.request_line import text_of
from handlers.views.text import (
    button,
    context,
    counted,
    cut,
    date,
    duration,
    escape,
    header,
    section,
    sections,
)
from handlers.views.trouble import Trouble, trouble_of, wrong_conditions
from handlers.views.words import evidence
from handlers.views.words import status as words
from handlers.views.words import ways_out as way_words

MORE, PORTAL = "status_more", "portal"
_BARS = "▁▂▃▄▅▆▇█"
_BUCKETS = 30
_COURSE_SECONDS = 3600.0
_SHORTEST = 120.0
_PODS = 6
"""So many pods still leave the buttons in sight of a phone; all are behind *More details*."""
_FIGURES = re.compile(r"\d+")
_ENDED = 5
_LEVELS = 5
_ROTATORS = 5
_WARNINGS = 8
_SAID = 400
_SINCE = ("denied", "cut off")
_REQUESTS = 3


def detail(
    gateway: GatewayDetail,
    support: Support,
    portal: str,
    now: float,
    environment: Environment | None = None,
    requests: Sequence[Action] = (),
) -> Reply:
    """Its health, pods, image and token, and what to do; the rest is behind *More details*.

    `portal` is a link to the gateway's own page in the Azure portal; empty where it is unknown.
    `requests` are those that are open or under way.
    """
    s, beat = gateway.summary, gateway.heartbeat
    found = trouble_of(gateway)
    blocks: list[Block] = [
        header(heading(f"{s.ref.name} on {s.ref.cluster}/{s.ref.namespace}", environment))
    ]
    if s.stale:
        blocks.append(section(f":warning: *This is as of {date(s.as_of)}.* {escape(s.stale)}"))
    if found.state:
        sign = SIGNS.get(found.state, SIGNS["down"])
        called = "" if found.says_state else f"*{escape(found.state)}*: "
        blocks.append(section(f"{sign} {called}{found.why}"))
    if found.small:
        blocks.append(context(found.small))
    if not found.link:
        since = f" Since {date(beat.since)}." if beat.since and beat.level in _SINCE else ""
        said = f"{SIGNS[beat.level]} *{escape(beat.level)}*: {escape(beat.evidence)}.{since}"
        blocks.append(section(said))
    blocks.append(section("\n".join(_facts(gateway, support, now))))
    blocks += _requests(requests, environment)
    unread = [text for text in gateway.unread if text != s.stale]
    warned = [evidence.in_full(each) for each in s.findings if each.sign not in found.told]
    wrong = (*warned, *unread, *wrong_conditions(gateway, found))
    blocks += [context(f":warning: {escape(cut(text, _SAID))}") for text in wrong[:_WARNINGS]]
    if len(wrong) > _WARNINGS:
        blocks.append(
            context(f"… and {counted(len(wrong) - _WARNINGS, 'more warning')}: see More details.")
        )
    blocks += [context(text) for text in _others(gateway)]
    blocks += _pods(gateway, s.token_secret)
    blocks += [context(text) for text in _on_one_node(gateway.pods)]
    if gateway.ended:
        blocks.append(context(_ended(gateway.ended)))
    if found.remedy:
        blocks.append(section(words.to_do(found.remedy)))
    elif not s.findings and beat.level in WELL and not (wrong or s.stale or requests):
        blocks.append(section(words.NO_ACTION))
    blocks.append({"type": "actions", "elements": _buttons(gateway, found, portal)})
    where = placed(s.ref, environment)
    ready = f"{s.ready} of {counted(s.desired, 'pod')} ready"
    return Reply(f"{where}: {ready}, {found.state or s.state(beat.level)}", tuple(blocks))


def _requests(requests: Sequence[Action], environment: Environment | None) -> list[Block]:
    """What is asked for or under way: whoever looks should know before they ask for more."""
    blocks = [
        section(text_of(each, environment), accessory=button("Show", "action_show", value(each)))
        for each in requests[:_REQUESTS]
    ]
    more = len(requests) - _REQUESTS
    if more > 0:
        blocks.append(context(f"… and {counted(more, 'more open request')}: `/gateway pending`."))
    return blocks


def _facts(gateway: GatewayDetail, support: Support, now: float) -> list[str]:
    s = gateway.summary
    pods = [f"*Pods*  {s.ready} of {s.desired} ready"]
    if s.updated != s.desired:
        pods.append(f"{s.updated} up to date")
    if s.available != s.ready:
        pods.append(f"{s.available} available")
    lines = [
        ", ".join(pods),
        f"*Image*  `{escape(cut(s.tag or '?', 100))}` {escape(support.summary)}",
        f"*Token*  {_token(s, now)}",
    ]
    manager = f", managed by {escape(str(gateway.manager))}" if gateway.manager else ""
    lines.append(f"*Installed*  by {escape(s.managed_by)}{manager}")
    if gateway.autoscalers:
        lines.append(f"{escape(', '.join(gateway.autoscalers))} sets the replicas.")
    return lines


def _buttons(gateway: GatewayDetail, trouble: Trouble, portal: str) -> list[Block]:
    """What mends it first, then what tells more."""
    summary = gateway.summary
    elements: list[Block] = []
    if summary.renewable and summary.renewal is not None:
        offer = OFFERS[summary.renewal]
        elements.append(button(offer.label, offer.click, str(summary.ref), style="primary"))
    if trouble.state:
        options = " --previous" if summary.has(Sign.CRASHING) else ""
        logs = runs(way_words.LOGS, f"logs {summary.ref}{options}", "logs")
        back = runs(way_words.ROLL_BACK, f"rollback {summary.ref}", "roll_back")
        elements += [each for each in (back if trouble.rolls_back else None, logs) if each]
    elements.append(button("More details", MORE, str(summary.ref)))
    if portal:
        # Azure's own heartbeat is there, and nowhere else.
        elements.append(button("Azure portal", PORTAL, str(summary.ref), url=portal))
    return elements


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
    """What others do to it, beside this bot, and that this bot cannot."""
    found = []
    if not gateway.summary.manageable:
        found.append(
            f"It runs in a {escape(gateway.summary.kind)}. This bot changes Deployments only, so it "
            "cannot manage this gateway; it shows it and warns of it."
        )
    if gateway.manager is not None and gateway.manager.undoes:
        found.append(f"{escape(str(gateway.manager))} will undo changes that are made here.")
    if gateway.manager is not None and gateway.manager.paused:
        found.append(f"{escape(str(gateway.manager))} is told to leave it alone.")
    if gateway.rotators:
        found_jobs = ", ".join(escape(str(each)) for each in gateway.rotators[:_ROTATORS])
        more = len(gateway.rotators) - _ROTATORS
        also = f" and {more} more" if more > 0 else ""
        found.append(f":warning: Its token or its keys are also rotated by: {found_jobs}{also}.")
    return found


def _held(secret: str, current: str) -> str:
    """Which token a pod holds: the Deployment's own of now, or that of another Secret."""
    return "" if not secret else "current token" if secret == current else f"token of {secret}"


def _ended(pods: Sequence[PodProgress]) -> str:
    """The pods that Kubernetes keeps for whoever wants to know why they ended."""
    shown = ", ".join(f"{escape(pod.name)} ({escape(pod.state)})" for pod in pods[:_ENDED])
    more = f" and {len(pods) - _ENDED} more" if len(pods) > _ENDED else ""
    return f"Ended pods, not counted: {shown}{more}."


def _pods(gateway: GatewayDetail, secret: str) -> list[Block]:
    """The first pods, those that are not ready before the others, and what they say of their link
    where they do not say the same; the gateway's own evidence stands above."""
    pods, worst = gateway.pods, _worst(gateway)
    ordered = sorted(pods, key=lambda pod: (pod.progress.ready, pod.progress.created_at))
    blocks = sections([pod_entry(pod, secret) for pod in ordered[:_PODS]])
    if len(ordered) > _PODS:
        blocks.append(
            context(f"… and {counted(len(ordered) - _PODS, 'more pod')}: see More details.")
        )
    said: dict[str, list[PodStatus]] = {}
    for pod in ordered:
        if pod.heartbeat:
            # Figures, as the seconds since something was seen, differ where nothing else does.
            alike = _FIGURES.sub("0", f"{pod.heartbeat.level}: {pod.heartbeat.evidence}")
            said.setdefault(alike, []).append(pod)
    levels = {pod.heartbeat.level for pod in ordered if pod.heartbeat}
    # Of pods that are all well it makes no difference how many seconds ago that was seen.
    if len(said) > 1 and (len(levels) > 1 or not levels <= set(WELL)):
        others = [each for each in said.values() if worst not in {p.progress.name for p in each}]
        blocks += [context(_said_alike(alike)) for alike in others[:_LEVELS]]
    return blocks


def _worst(gateway: GatewayDetail) -> str:
    """The pod whose evidence is the gateway's, and stands above; empty where there is none."""
    beat = gateway.heartbeat
    return next((each.pod for each in beat.pods if each.level == beat.level), "")


def _on_one_node(pods: Sequence[PodStatus]) -> list[str]:
    """That no pod is left once a node fails, where all that stay are on it."""
    nodes = [pod.progress.node for pod in pods if pod.progress.state != ENDING]
    if len(nodes) < 2 or not nodes[0] or len(set(nodes)) > 1:
        return []
    every = "Both" if len(nodes) == 2 else f"All {len(nodes)}"
    return [f"{every} pods are on node {escape(nodes[0])}: if it fails, none is left."]


def _said_alike(pods: Sequence[PodStatus]) -> str:
    """What several pods say of their link, once."""
    beat = pods[0].heartbeat
    assert beat is not None
    names = [pod.progress.name for pod in pods]
    words = f"{SIGNS[beat.level]} {beat.level}: {beat.evidence}"
    return f"{escape(words)} ({escape(', '.join(names[:3]))}{_more(names)})"


def pod_entry(pod: PodStatus, secret: str) -> str:
    """A pod on two lines: how it is, and where it runs with which token. `secret` is the Secret that
    the Deployment names now."""
    sign = SIGNS[pod.heartbeat.level] if pod.heartbeat else "⚪"
    progress = pod.progress
    state = progress.state
    if state == "Running" and not progress.ready:
        state = "Running, not ready"
    facts = [state]
    if progress.restarts:
        facts.append(counted(progress.restarts, "restart"))
    if progress.last_exit:
        facts.append(f"last exit: {progress.last_exit}")
    if progress.created_at:
        facts.append(f"since {date(progress.created_at)}")
    facts.append(f"node {progress.node}" if progress.node else "no node")
    held = _held(pod.token_secret, secret)
    facts += [held] if held else []
    shown = [each if each.startswith("since <!date") else escape(cut(each, 100)) for each in facts]
    return f"{sign} *{escape(progress.name)}*\n" + " · ".join(shown)


def _more(names: Sequence[str]) -> str:
    return f" and {len(names) - 3} more" if len(names) > 3 else ""


def _token(summary: GatewaySummary, now: float) -> str:
    if summary.token_source == "none":
        return "none: it signs in to Entra ID"
    held = f" (Secret {escape(summary.token_secret)})" if summary.token_secret else ""
    if summary.token_where:
        held = f" (in plain text in {escape(summary.token_where)})"
    if summary.token_expires_at is None:
        return f"expiry unknown{held}"
    if summary.token_expires_at <= now:
        return f"*expired* {date(summary.token_expires_at)}{held}"
    kept = ", kept valid by this bot" if summary.token_kept else ""
    return f"until {date(summary.token_expires_at)}{held}{kept}"
