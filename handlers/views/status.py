"""What runs: the table of gateways, and one gateway in depth."""

from collections.abc import Mapping, Sequence

from deploy.errors import GatewayBotError
from deploy.status import GatewayDetail, GatewaySummary
from handlers.verb import Reply
from handlers.views.text import (
    Block,
    context,
    counted,
    duration,
    escape,
    fence,
    fields,
    header,
    section,
    table,
)

_HEARTBEAT_SIGNS = {
    "connected": ":large_green_circle:",
    "no trouble seen": ":large_blue_circle:",
    "denied": ":red_circle:",
    "cut off": ":red_circle:",
    "stale token": ":large_orange_circle:",
    "unknown": ":white_circle:",
}


def overview(
    gateways: Sequence[GatewaySummary], failed: Mapping[str, GatewayBotError], now: float
) -> Reply:
    """Every gateway on every cluster that answered, those that need attention first."""
    ordered = sorted(gateways, key=lambda g: (not g.attention, g.ref))
    blocks: list[Block] = [
        section(f":warning: *{escape(error.happened)}* {escape(error.meaning)}")
        for error in failed.values()
    ]
    if ordered:
        rows: list[tuple[str, ...]] = [("GATEWAY", "WHERE", "READY", "IMAGE", "TOKEN", "AGE")]
        rows += [
            (
                g.ref.name,
                f"{g.ref.cluster}/{g.ref.namespace}",
                f"{g.ready}/{g.desired}",
                g.tag or "?",
                _left(g.token_expires_at, now),
                duration(now - g.created_at),
            )
            for g in ordered
        ]
        text, left = fence(table(rows))
        blocks.append(section(text))
        if left:
            blocks.append(context(f"… and {counted(left, 'more gateway')}. Name one to see it."))
        blocks += [
            context(f":warning: *{escape(g.ref.name)}* ({escape(str(g.ref))}): {escape(reason)}")
            for g in ordered
            for reason in g.attention
        ][:10]
    elif not failed:
        blocks.append(section("No self-hosted gateway runs on the clusters this bot looks at."))
    summary = f"{counted(len(ordered), 'gateway')}, " + (
        f"{sum(bool(g.attention) for g in ordered)} need attention" if ordered else "none running"
    )
    return Reply(summary, (header("Gateways"), *blocks))


def detail(gateway: GatewayDetail, now: float) -> Reply:
    """One gateway: numbers, heartbeat with its evidence, pods, services, token, events."""
    s = gateway.summary
    beat = gateway.heartbeat
    blocks: list[Block] = [
        header(f"{s.ref.name} on {s.ref.cluster}/{s.ref.namespace}"),
        section(
            f"{_HEARTBEAT_SIGNS.get(beat.level, ':white_circle:')} *{escape(beat.level)}* — "
            f"{escape(beat.evidence)}"
        ),
        fields(
            [
                ("Pods", f"{s.ready} of {s.desired} ready, {s.updated} up to date"),
                ("Image", f"`{escape(s.tag or '?')}`"),
                ("Token", escape(_token(s, now))),
                ("Installed by", escape(s.managed_by)),
            ]
        ),
    ]
    if gateway.pods:
        rows: list[tuple[str, ...]] = [("POD", "READY", "STATE", "RESTARTS", "AGE", "NODE")]
        rows += [
            (
                pod.name,
                "yes" if pod.ready else "no",
                pod.state,
                str(pod.restarts),
                duration(now - pod.created_at),
                pod.node or "-",
            )
            for pod in (pod.progress for pod in gateway.pods)
        ]
        blocks.append(section("*Pods*\n" + fence(table(rows))[0]))
    if gateway.services:
        rows = [("SERVICE", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORTS", "AGE")]
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
        blocks.append(section("*Services*\n" + fence(table(rows))[0]))
    if gateway.events:
        blocks.append(
            section(
                "*Last events*\n"
                + fence(
                    f"{duration(now - event.at):>5}  {event.reason}: {event.message}"
                    for event in gateway.events[:6]
                )[0]
            )
        )
    blocks += [context(f":warning: {escape(reason)}") for reason in (*s.attention, *gateway.unread)]
    return Reply(f"{s.ref}: {s.ready} of {s.desired} pods ready, {beat.level}", tuple(blocks))


def _left(expires_at: float | None, now: float) -> str:
    if expires_at is None:
        return "unknown"
    return duration(expires_at - now) if expires_at > now else "EXPIRED"


def _token(summary: GatewaySummary, now: float) -> str:
    if summary.token_expires_at is None:
        return "expiry unknown"
    if summary.token_expires_at <= now:
        return f"expired {duration(now - summary.token_expires_at)} ago"
    return f"{duration(summary.token_expires_at - now)} left"
