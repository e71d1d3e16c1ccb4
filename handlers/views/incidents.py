"""Posts in a channel when gateways get worse or better."""

from collections.abc import Iterable, Mapping, Sequence

from deploy.commands import Command
from deploy.gateway import GatewayRef
from deploy.health.incidents import (
    AWAY,
    CUT_OFF,
    DENIED,
    DOWN,
    MISSING,
    REFUSED,
    SUSPECTED,
    UNREADABLE,
    Incident,
    Member,
    MemberChange,
)
from deploy.health.status import Renewal
from handlers.views.places import EnvironmentOf, named
from handlers.views.renewals import OFFERS, RenewalOf
from handlers.views.reply import Block
from handlers.views.text import button, context, counted, cut, date, duration, escape, section

_SHOWN = 12
_REPLIES = 3500
"""Characters of what happened together."""
_SIGNS = {
    DOWN: "🔴",
    CUT_OFF: "🔴",
    DENIED: "🔴",
    REFUSED: "🔴",
    MISSING: "🔴",
    "crash loop": "🟠",
    "below minimum": "🟠",
    SUSPECTED: "🟠",
    UNREADABLE: "⚪",
    AWAY: "⚪",
}
"""The worst trouble first."""
_RANK = {trouble: rank for rank, trouble in enumerate(_SIGNS)}

_WORDS = {
    "crash loop": "crashing",
    "below minimum": "below its minimum of pods",
    REFUSED: "denied",
    SUSPECTED: "perhaps denied",
    MISSING: "without its token",
    UNREADABLE: "without a token that the bot can read",
}


_MAKES: Mapping[Renewal, str] = {
    "rotate": "makes a new token",
    "manage": "makes a new token and keeps it valid, where others deploy the gateway",
}


def message(
    incident: Incident,
    environment_of: EnvironmentOf | None = None,
    renewal_of: RenewalOf = lambda ref: None,
) -> tuple[str, list[Block]]:
    """The one message, as it is now: text for notifications, and blocks."""
    text = sentence(incident, environment_of)
    title = title_of(incident)
    lasting = _worst_first(incident.open_members, environment_of)
    if incident.over_at is not None:
        took = duration(incident.over_at - _since(incident))
        blocks: list[Block] = [section(f"✅ *Over: {escape(title)}*, after {took}")]
        return text, [*blocks, context(_when(incident))]
    blocks = [section(f"{_sign(incident)} *{escape(title)}*")]
    away = lasting.pop(incident.cluster, None)
    if away is not None:
        blocks.append(section(_line(incident.cluster, away)))
        if lasting:
            unwell = f"{counted(len(lasting), 'gateway')} got worse before; what became of that"
            blocks.append(context(f"{unwell} cannot be seen until it answers."))
    shown = list(lasting.items())[:_SHOWN]
    if shown:
        blocks.append(section("\n".join(_line(ref, member) for ref, member in shown)))
    if len(lasting) > _SHOWN:
        blocks.append(context(f"… and {counted(len(lasting) - _SHOWN, 'more gateway')}."))
    better = len(_gateways(incident)) - len(lasting)
    if better:
        blocks.append(context(f"{counted(better, 'gateway')} of these recovered."))
    blocks.append(context(_when(incident)))
    renewals = {
        ref: renewal_of(GatewayRef.parse(ref))
        for ref, member in lasting.items()
        if _renewable(member)
    }
    blocks += _remedies(lasting, renewals)
    if len(incident.members) == 1 and away is None:
        (ref,) = incident.members
        buttons = [button("Status", "show_status", ref)]
        renewal = renewals.get(ref)
        if renewal is not None:
            offer = OFFERS[renewal]
            buttons.insert(0, button(offer.label, offer.click, ref, style="primary"))
        blocks.append({"type": "actions", "elements": buttons})
    return text, blocks


def _remedies(lasting: Mapping[str, Member], renewals: Mapping[str, Renewal | None]) -> list[Block]:
    """What mends it, as commands: for several gateways there is no button."""
    lines = []
    for renewal, offer in OFFERS.items():
        refused = [ref for ref, its in renewals.items() if its == renewal]
        if refused:
            command = f"{offer.command} {escape(refused[0])}"
            lines.append(f"`{command}` {_MAKES[renewal]}{_each(refused)}.")
    missing = [ref for ref, member in lasting.items() if MISSING in member.troubles]
    if missing:
        lines.append(
            "Restore the Secret; where this bot deployed the gateway, "
            f"`/gateway deploy {escape(missing[0])}` makes a new token{_each(missing)}."
        )
    return [context(" ".join(lines))] if lines else []


def _each(refs: Sequence[str]) -> str:
    return f"; the same for {counted(len(refs) - 1, 'more gateway')}" if len(refs) > 1 else ""


def _renewable(member: Member) -> bool:
    """Whether a new token is what mends it, and the previous one is there to go back to."""
    troubles = member.troubles.keys()
    return MISSING not in troubles and not troubles.isdisjoint((REFUSED, SUSPECTED))


def sentence(incident: Incident, environment_of: EnvironmentOf | None = None) -> str:
    """The incident in one sentence, with where its gateways are, for notifications."""
    title = title_of(incident)
    if environment_of is not None:
        gateways = _gateways(incident)
        if gateways:
            title += f" ({_where(gateways, environment_of)})"
    return f"Over: {title}" if incident.over_at is not None else title


def _where(refs: Iterable[str], environment_of: EnvironmentOf) -> str:
    """The environments of these gateways."""
    found = (named(environment_of(GatewayRef.parse(ref))) for ref in refs)
    return "; ".join(dict.fromkeys(found))


def reply(change: MemberChange) -> str:
    """One line of the thread."""
    name = f"`{escape(change.subject)}`"
    if change.kind == "gone":
        return f"{name} no longer runs, or another channel is notified of it."
    if change.kind == "better":
        well = "recovered" if "/" in change.subject else "answers again"
        return f"✅ {name} {well}."
    said = "; ".join(f"{trouble}: {evidence}" for trouble, evidence in change.troubles.items())
    return f":warning: {name} {escape(cut(said, 500)) or 'got worse.'}"


def replies(changes: Sequence[MemberChange]) -> str:
    """What happened together, on a line each, within what Slack shows of one message."""
    lines: list[str] = []
    left = _REPLIES
    for change in changes:
        line = reply(change)
        left -= len(line) + 1
        if left < 0:
            more = counted(len(changes) - len(lines), "more change")
            return "\n".join([*lines, f"… and {more}; {Command('status')} shows each."])
        lines.append(line)
    return "\n".join(lines)


def title_of(incident: Incident) -> str:
    """The incident on one line."""
    gateways = _gateways(incident)
    cluster = incident.members.get(incident.cluster)
    if cluster is not None and (cluster.over_at is None or incident.over_at is not None):
        return f"Cluster {incident.cluster} does not answer"
    if len(gateways) == 1:
        ((ref, member),) = gateways.items()
        return f"{ref} is {_in_words(member)}"
    node = f"on node {incident.node} of {incident.cluster}" if incident.node else ""
    where = node or f"on {incident.cluster}"
    down = sum(DOWN in member.troubles for member in gateways.values())
    what = "are down" if down == len(gateways) else "got worse together"
    some = (
        f", {down} of them {'is' if down == 1 else 'are'} down" if 0 < down < len(gateways) else ""
    )
    return f"{counted(len(gateways), 'gateway')} {where} {what}{some}"


def _worst_first(
    members: Mapping[str, Member], environment_of: EnvironmentOf | None
) -> dict[str, Member]:
    """Those that are down before all others, production first."""

    def urgency(item: tuple[str, Member]) -> tuple[bool, bool, int, str]:
        ref, member = item
        environment = (
            environment_of(GatewayRef.parse(ref)) if environment_of and "/" in ref else None
        )
        production = environment is not None and environment.production
        worst = min((_rank(trouble) for trouble in member.troubles), default=len(_RANK))
        return DOWN not in member.troubles, not production, worst, ref

    return dict(sorted(members.items(), key=urgency))


def _rank(trouble: str) -> int:
    return _RANK.get(trouble, len(_RANK))


def _troubles(member: Member) -> list[str]:
    """The worst first, in whatever order they came."""
    return sorted(member.troubles, key=_rank)


def _gateways(incident: Incident) -> dict[str, Member]:
    return {ref: m for ref, m in incident.members.items() if ref != incident.cluster}


def _in_words(member: Member) -> str:
    return " and ".join(_WORDS.get(trouble, trouble) for trouble in _troubles(member))


def _line(ref: str, member: Member) -> str:
    said = "; ".join(cut(member.troubles[trouble], 220) for trouble in _troubles(member))
    return f"• `{escape(ref)}` {escape(_in_words(member))}: {escape(said)}"


def _sign(incident: Incident) -> str:
    troubles = {t for member in incident.open_members.values() for t in member.troubles}
    return next((sign for trouble, sign in _SIGNS.items() if trouble in troubles), ":warning:")


def _since(incident: Incident) -> float:
    away = incident.open_members.get(incident.cluster)
    return away.since if away else min(member.since for member in incident.members.values())


def _when(incident: Incident) -> str:
    began = f"Since {date(_since(incident))}"
    return f"{began}, over {date(incident.over_at)}" if incident.over_at else f"{began}."
