"""Posts in a channel when gateways get worse or better."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import groupby

from deploy.actions.action import Action
from deploy.commands import Command
from deploy.gateway import GatewayRef
from deploy.health.incidents import (
    BELOW_MINIMUM,
    DOWN,
    MISSING,
    REFUSED,
    SUSPECTED,
    Incident,
    Member,
    MemberChange,
)
from deploy.health.status import Renewal
from deploy.observed.causes import Cause, cause_in, meaning_of, remedy_of
from handlers.views import ways_out
from handlers.views.commands import RUN, runs
from handlers.views.menus import Choice, menu
from handlers.views.places import EnvironmentOf, heading_of_several
from handlers.views.renewals import OFFERS, RenewalOf
from handlers.views.reply import Block
from handlers.views.text import button, context, counted, cut, date, duration, escape, section
from handlers.views.words import incidents as words
from handlers.views.words import ways_out as way_words
from handlers.views.words.evidence import without_class
from handlers.views.words.kinds import KIND_WORDS
from handlers.views.words.status import to_do

MENU = "incident_menu"
_SHOWN = 12
_BRIEF = 80
"""Characters of evidence that each of several gateways shows separately."""
_REPLIES = 3500
"""Characters of what happened together."""
_OF_PODS = re.compile(r"^\d+ of \d+ pods: ")
_FEW_PODS = (DOWN, BELOW_MINIMUM)
_RANK = {trouble: rank for rank, trouble in enumerate(words.SIGNS)}

ChangeBefore = Callable[[GatewayRef, float], Action | None]
"""The change of a gateway that came right before that moment (epoch seconds); None where none did."""

_MAKES: Mapping[Renewal, str] = {
    "rotate": "makes a new token",
    "manage": "makes a new token and keeps it valid, where others deploy the gateway",
}


def message(
    incident: Incident,
    environment_of: EnvironmentOf | None = None,
    renewal_of: RenewalOf = lambda ref: None,
    change_before: ChangeBefore = lambda ref, since: None,
) -> tuple[str, list[Block]]:
    """The one message, as it is now: text for notifications, and blocks."""
    text = sentence(incident, environment_of)
    lasting = _worst_first(incident.open_members, environment_of)
    if incident.over_at is not None:
        ended = f"{_when(incident)}. {words.NO_ACTION}"
        return text, [
            section(f"✅ *{escape(text)}*\n{_recovered(incident)}".rstrip()),
            context(ended),
        ]
    meaning = " ".join(part for part in (_when(incident), _meaning(incident)) if part)
    blocks: list[Block] = [section(f"{_sign(incident)} *{escape(text)}*\n{meaning}")]
    away = lasting.pop(incident.cluster, None)
    if away is not None:
        blocks.append(section(_line(incident.cluster, away)))
        if lasting:
            unwell = f"{counted(len(lasting), 'gateway')} got worse before that;"
            blocks.append(
                context(f"{unwell} the current state is unknown until the cluster answers.")
            )
    shown = list(lasting.items())[:_SHOWN]
    if len(incident.members) == 1:
        # Its title names it.
        blocks += [section(_evidence(member)) for _, member in shown]
    else:
        blocks += _of_several(shown, menus=away is None)
    if len(lasting) > _SHOWN:
        blocks.append(context(f"… and {counted(len(lasting) - _SHOWN, 'more gateway')}."))
    better = len(_gateways(incident)) - len(lasting)
    if better:
        blocks.append(context(f"{counted(better, 'gateway')} of these recovered."))
    renewals = {
        ref: renewal_of(GatewayRef.parse(ref))
        for ref, member in lasting.items()
        if _renewable(member)
    }
    blocks += _remedies({**({incident.cluster: away} if away else {}), **lasting}, renewals)
    if len(incident.members) == 1 and away is None:
        ((ref, member),) = incident.members.items()
        change = change_before(GatewayRef.parse(ref), member.since)
        if change is not None:
            blocks.append(context(_after(change, member.since)))
        buttons = _buttons(ref, member, renewals.get(ref), change)
        blocks.append({"type": "actions", "elements": buttons})
    return text, blocks


def _of_several(shown: Sequence[tuple[str, Member]], *, menus: bool) -> list[Block]:
    """A line for each gateway with a menu of its own; evidence at length is shown once for those that
    share a trouble and stand side by side."""
    found: list[Block] = []
    for _, alike in groupby(shown, lambda item: _troubles(item[1])):
        together = list(alike)
        evidence = [_said(member) for _, member in together]
        once = len(together) > 1 and max(map(len, evidence)) > _BRIEF
        for ref, member in together:
            line = f"• `{escape(ref)}` {escape(_in_words(member))}" if once else _line(ref, member)
            drawn = menu(MENU, _choices(ref, member)) if menus else None
            found.append(section(line, accessory=drawn) if drawn else section(line))
        if once:
            told = {_OF_PODS.sub("", said) for said in evidence}
            first = f"`{escape(together[0][0])}`: {escape(evidence[0])}"
            same = words.of_all(len(together), escape(min(told)))
            found.append(section(same if len(told) == 1 else first))
    return found


def _choices(ref: str, member: Member) -> list[Choice]:
    logs = f"logs {ref}{_log_options(member)}"
    return [Choice("Status", "show_status", ref), Choice(way_words.LOGS, f"{RUN}:logs", logs)]


def _after(change: Action, since: float) -> str:
    ago = duration(max(0.0, since - (change.decided_at or change.created_at)))
    clause = KIND_WORDS[change.kind].clause.format(
        gateway=change.ref.name, tag=escape(change.plan.tag), request=change.request
    )
    return words.change_before(f"{clause} (`{change.id}`)", ago)


def _buttons(
    ref: str, member: Member, renewal: Renewal | None, change: Action | None
) -> list[Block]:
    """What mends it first, then what tells more."""
    found: list[Block | None] = []
    if renewal is not None:
        offer = OFFERS[renewal]
        found.append(button(offer.label, offer.click, ref, style="primary"))
    if change is not None and ways_out.rolls_back(change):
        found.append(runs(way_words.ROLL_BACK, f"rollback {ref}", "roll_back"))
    found.append(runs(way_words.LOGS, f"logs {ref}{_log_options(member)}", "logs"))
    found.append(button("Status", "show_status", ref))
    return [each for each in found if each]


def _log_options(member: Member) -> str:
    return next((words.LOGS[each] for each in _troubles(member) if each in words.LOGS), "")


def _remedies(lasting: Mapping[str, Member], renewals: Mapping[str, Renewal | None]) -> list[Block]:
    """What to do, worst first; what mends several is a command."""
    troubles = {trouble for member in lasting.values() for trouble in member.troubles}
    known = [each for each in words.SIGNS if each in troubles & words.REMEDIES.keys()]
    # Why pods are missing tells more than that they are.
    known.sort(key=lambda trouble: trouble in _FEW_PODS)
    by_cause = remedy_of(_cause(lasting.values())) if known[:1] and known[0] in _FEW_PODS else ""
    lines = [by_cause or words.REMEDIES[each] for each in known[:1]]
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
    return [section(to_do(" ".join(lines)))] if lines else []


def _cause(members: Collection[Member]) -> Cause:
    """Why pods of all of them are missing; OTHER where nothing tells, or not one cause."""
    causes = {
        cause_in("; ".join(member.troubles.get(each, "") for each in _FEW_PODS))
        for member in members
    }
    return causes.pop() if len(causes) == 1 else Cause.OTHER


def _each(refs: Sequence[str]) -> str:
    return f"; the same for {counted(len(refs) - 1, 'more gateway')}" if len(refs) > 1 else ""


def _renewable(member: Member) -> bool:
    """Whether a new token is what mends it, and the previous one is there to go back to."""
    troubles = member.troubles.keys()
    return MISSING not in troubles and not troubles.isdisjoint((REFUSED, SUSPECTED))


def sentence(incident: Incident, environment_of: EnvironmentOf | None = None) -> str:
    """The incident in one sentence, with where its gateways are, for notifications; in the past once it
    is over, with how long it took."""
    subject = _subject(incident)
    if environment_of is not None:
        refs = map(GatewayRef.parse, _gateways(incident))
        subject = heading_of_several(subject, map(environment_of, refs))
    title = f"{subject} {_state(incident)}"
    if incident.over_at is None:
        return title
    return words.resolved(title, words.lasted(incident.over_at - _since(incident)))


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


def _of_cluster(incident: Incident) -> bool:
    """Whether it is about a cluster that does not answer."""
    cluster = incident.members.get(incident.cluster)
    return cluster is not None and (cluster.over_at is None or incident.over_at is not None)


def _subject(incident: Incident) -> str:
    """What the incident is about, and where."""
    gateways = _gateways(incident)
    if _of_cluster(incident):
        return f"Cluster {incident.cluster}"
    if len(gateways) == 1:
        ref = GatewayRef.parse(next(iter(gateways)))
        return f"{ref.name} on {ref.cluster}/{ref.namespace}"
    namespaces = {GatewayRef.parse(each).namespace for each in gateways}
    where = incident.cluster
    if incident.node:
        where = f"node {incident.node} of {incident.cluster}"
    elif len(namespaces) == 1:
        where = f"{incident.cluster}/{namespaces.pop()}"
    return f"{counted(len(gateways), 'gateway')} on {where}"


def _state(incident: Incident) -> str:
    """How that is, in the past once it is over."""
    over = incident.over_at is not None
    one, are = ("was", "were") if over else ("is", "are")
    if _of_cluster(incident):
        return "did not answer" if over else "does not answer"
    members = list(_gateways(incident).values())
    if len(members) == 1:
        return f"{one} {_in_words(members[0])}"
    shared = _shared(members)
    down = sum(DOWN in member.troubles for member in members)
    some = f", {down} of them {one if down == 1 else are} down" if 0 < down < len(members) else ""
    return f"{f'{are} {shared}' if shared else 'got worse together'}{some}"


def _shared(members: Collection[Member]) -> str:
    """The worst trouble that all of them have, in words; empty where they have none in common."""
    common = set.intersection(*(set(member.troubles) for member in members))
    return words.of_several(min(common, key=_rank)) if common else ""


def _worst_first(
    members: Mapping[str, Member], environment_of: EnvironmentOf | None
) -> dict[str, Member]:
    """Those that are down before all others, of each production first, and there the worst."""

    def urgency(item: tuple[str, Member]) -> tuple[bool, bool, list[int], str]:
        ref, member = item
        environment = (
            environment_of(GatewayRef.parse(ref)) if environment_of and "/" in ref else None
        )
        production = environment is not None and environment.production
        # Whatever comes on top of the same trouble is worse than it alone.
        ranks = [*sorted(map(_rank, member.troubles)), len(_RANK) + 1]
        return DOWN not in member.troubles, not production, ranks, ref

    return dict(sorted(members.items(), key=urgency))


def _rank(trouble: str) -> int:
    return _RANK.get(trouble, len(_RANK))


def _troubles(member: Member) -> list[str]:
    """The worst first, in whatever order they came."""
    return sorted(member.troubles, key=_rank)


def _gateways(incident: Incident) -> dict[str, Member]:
    return {ref: m for ref, m in incident.members.items() if ref != incident.cluster}


def _in_words(member: Member) -> str:
    found = (words.STATES.get(trouble, trouble) for trouble in _troubles(member))
    return " and ".join(dict.fromkeys(found))


def _line(ref: str, member: Member) -> str:
    return f"• `{escape(ref)}` {escape(_in_words(member))}: {escape(_said(member))}"


def _said(member: Member) -> str:
    """Its evidence without the classes of exceptions, which the logs have."""
    told = (without_class(member.troubles[trouble]) for trouble in _troubles(member))
    return "; ".join(cut(each, 220) for each in told)


def _meaning(incident: Incident) -> str:
    """Why pods are missing, or what it means for callers where that is the same for all and none is
    down."""
    members = incident.open_members.values()
    if why := meaning_of(_cause(members)):
        return why
    shared = set.intersection(*(set(member.troubles) for member in members)) if members else set()
    if any(DOWN in member.troubles for member in members):
        return ""
    return " ".join(
        words.MEANINGS[each] for each in words.SIGNS if each in shared & words.MEANINGS.keys()
    )


def _recovered(incident: Incident) -> str:
    """The gateways of an incident that is over, and what was seen of them."""
    gateways = _gateways(incident)
    evidence = dict.fromkeys(_OF_PODS.sub("", _said(member)) for member in gateways.values())
    # The title of a single one names it.
    named = [f"`{escape(ref)}`" for ref in gateways] if len(gateways) > 1 else []
    return words.recovered(named, [escape(each) for each in evidence if each])


def _evidence(member: Member) -> str:
    """A line for each trouble of the only gateway there is."""
    said = (cut(without_class(member.troubles[trouble]), 220) for trouble in _troubles(member))
    return "\n".join(f"• {escape(text)}" for text in said)


def _sign(incident: Incident) -> str:
    troubles = {t for member in incident.open_members.values() for t in member.troubles}
    return next((sign for trouble, sign in words.SIGNS.items() if trouble in troubles), ":warning:")


def _since(incident: Incident) -> float:
    away = incident.open_members.get(incident.cluster)
    return away.since if away else min(member.since for member in incident.members.values())


def _when(incident: Incident) -> str:
    began = f"Since {date(_since(incident))}"
    return f"{began}, resolved {date(incident.over_at)}" if incident.over_at else f"{began}."
