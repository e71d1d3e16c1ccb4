"""A gateway's revisions, and who did what."""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from deploy.access import Environment
from deploy.actions.audit import AuditEntry
from deploy.actions.audit_index import is_step
from deploy.errors import InvalidInput
from deploy.gateway import GatewayRef
from deploy.images.names import image_name
from deploy.observed.history import Revision
from deploy.observed.revision_differences import difference, way_back
from handlers.views.places import EnvironmentOf, heading, mark
from handlers.views.reply import Block, Reply
from handlers.views.text import (
    context,
    counted,
    cut,
    date,
    escape,
    header,
    section,
    sections,
)
from handlers.views.words import revisions as words
from handlers.views.words.reasons import given
from handlers.views.words.revisions import changes

READ = 100
"""So many of the newest entries are looked at: an action has some five."""
SHOWN = 15
_REVISIONS = 12
_WORDS = 300
_STATES = {
    "pending": "pending",
    "approval": "pending",
    "reminder": "pending",
    "approved": "approved",
    "running": "running",
    "held back": "approved",
    "taken over": "running",
    "keep waiting": "running",
    "stop": "stopping",
    "unknown": "ended with an unknown result",
    "superseded": "replaced by a newer plan",
    "break-glass": "freeze overridden",
    "reverted": "no longer holds",
}
"""How an action stands whose last event that is. Other events are called as the states they lead to; those of
windows and tokens have names that are read."""
_DEEDS = {
    "pending": "requested",
    "approval": "approved",
    "approved": "decided",
    "stop": "stopped",
    "keep waiting": "kept waiting",
    "break-glass": "freeze overridden",
}
"""What a person did by an event that is not called so."""

_WITH_WORDS = ("denied", "cancelled", "break-glass", "reverted")
"""Events whose detail is a sentence."""


@dataclass(frozen=True)
class Decided:
    """Whose decision an action was: several may approve, or its requester confirms it alone.

    With `window` that was within an approval window, which `opened_by` opened, if still known.
    """

    by: Literal["requester", "approvers"]
    window: bool = False
    opened_by: str = ""


def trail(
    entries: Sequence[AuditEntry],
    decided: Mapping[str, Decided] = MappingProxyType({}),
    gone: str = "",
    environment_of: EnvironmentOf | None = None,
) -> Reply:
    """Who did what, newest first; `decided` are the decisions by action, as far as they are known,
    and `gone` is the name of a gateway that no longer runs."""
    lines = _trail(entries, decided, environment_of)
    if not lines:
        return Reply("Nothing has been done yet.", (section("Nothing has been done yet."),))
    told = _cut_off(entries, lines)
    if gone:
        told.append(context(f"No gateway “{escape(gone)}” runs now."))
    return Reply(
        "What was done", (header("What was done"), *sections(lines[:SHOWN], "\n\n"), *told)
    )


def lines_of(
    entries: Sequence[AuditEntry], environment_of: EnvironmentOf | None = None, of: str = ""
) -> list[str]:
    """Two lines for each action, the newest first; the gateway that all are `of` is not named again."""
    return _trail(entries, MappingProxyType({}), environment_of, of)


def _cut_off(entries: Sequence[AuditEntry], lines: Sequence[str]) -> list[Block]:
    if len(lines) <= SHOWN and len(entries) < READ:
        return []
    return [context(f"Only the last {min(len(lines), SHOWN)} are shown.")]


def _trail(
    entries: Sequence[AuditEntry],
    decided: Mapping[str, Decided],
    environment_of: EnvironmentOf | None = None,
    of: str = "",
) -> list[str]:
    """Each action as it stands, and below that when and by whom. What else was done, as opening a window, is
    an entry of its own."""
    actions: dict[object, list[AuditEntry]] = {}
    # Each action's events come into the trail together, so two actions' may be out of order.
    for entry in sorted(entries, key=lambda each: each.at, reverse=True):
        if not is_step(entry.event):
            actions.setdefault(entry.action or (entry.n, entry.subject), []).append(entry)
    return [_action(found, decided, environment_of, of) for found in actions.values()]


def _action(
    entries: Sequence[AuditEntry],
    decided: Mapping[str, Decided],
    environment_of: EnvironmentOf | None,
    of: str,
) -> str:
    """What is known of one, of which the first of the entries is the newest."""
    last = entries[0]
    state = escape(_STATES.get(last.event, last.event))
    named = bool(last.ref) and last.ref != of
    ref = f" {_mark(last.ref, environment_of)}`{escape(last.ref)}`" if named else ""
    deeds = ", ".join(_deeds(entries[::-1], decided)) or _by_operator(last)
    whys = " ".join(dict.fromkeys(why for each in entries[::-1] if (why := _why(each))))
    when = " · ".join(part for part in (date(last.at), deeds) if part)
    told = f"{when}: {escape(cut(whys, _WORDS))}" if whys else when
    return f"{escape(last.kind)}{ref}: *{state}*{action_of(last)}\n{told}"


def _mark(ref: str, environment_of: EnvironmentOf | None) -> str:
    """The mark of production; also of what no longer runs there."""
    if environment_of is None:
        return ""
    try:
        return mark(environment_of(GatewayRef.parse(ref)))
    except InvalidInput:
        return ""


def _deeds(entries: Sequence[AuditEntry], decided: Mapping[str, Decided]) -> Iterator[str]:
    """What people did, the first first: “requested and confirmed by @ana”. A run is by a bot."""
    by_person = [each for each in entries if each.who[:1] in ("U", "W") and each.who.isalnum()]
    requester = next((each.who for each in by_person if each.event == "pending"), "")
    for who, theirs in itertools.groupby(by_person, key=lambda each: each.who):
        several = list(theirs)
        deeds = [_deed(each, decided, requester) for each in several if each.action]
        *before, last = dict.fromkeys(deeds) or [""]
        did = f"{', '.join(before)} and {last}" if before else last
        within = _window(several[-1], decided)
        yield f"{did} by <@{who}>{within}".strip()


def _by_operator(entry: AuditEntry) -> str:
    """Who did what is of no action, where that is nobody in Slack."""
    return f"by {escape(entry.who)}" if entry.who and not entry.action else ""


def _deed(entry: AuditEntry, decided: Mapping[str, Decided], requester: str) -> str:
    known = decided.get(entry.action) if entry.event == "approved" else None
    if known is None and entry.event == "approved" and requester:
        # Nobody approves what they requested.
        return "confirmed" if entry.who == requester else "approved"
    if known is None:
        return escape(_DEEDS.get(entry.event, entry.event))
    return "approved" if known.by == "approvers" else "confirmed"


def _window(entry: AuditEntry, decided: Mapping[str, Decided]) -> str:
    known = decided.get(entry.action) if entry.event == "approved" else None
    if known is None or known.by == "approvers" or not known.window:
        return ""
    whose = f"<@{known.opened_by}>'s" if known.opened_by else "an"
    return f" within {whose} approval window"


def action_of(entry: AuditEntry) -> str:
    """The action's id, to be asked for with; empty where the entry is of none."""
    return f" (`{escape(entry.action)}`)" if entry.action else ""


def _why(entry: AuditEntry) -> str:
    """The reason that was given, or how it ended; empty where the entry has neither."""
    try:
        detail = json.loads(entry.detail)
    except ValueError:
        detail = entry.detail if entry.event in _WITH_WORDS else ""
    if isinstance(detail, dict):
        detail = detail.get("reason") or detail.get("happened") or detail.get("detail") or ""
    return given(cut(detail, 150)) if isinstance(detail, str) else ""


def _changes(known: Sequence[Revision]) -> list[str]:
    """What each revision changed of the one before it, as far as the cluster still holds that one."""
    if not known:
        return []
    # Where a number is missing, the one before was brought back since, and has another number now.
    told = [
        changes(difference(before, after)) if before.number == after.number - 1 else ""
        for after, before in itertools.pairwise(known)
    ]
    # Before the first there was none to be kept.
    return [*told, words.OLDEST if known[-1].number > 1 else ""]


def revisions(
    ref: GatewayRef,
    known: Sequence[Revision],
    entries: Sequence[AuditEntry],
    command: str,
    decided: Mapping[str, Decided] = MappingProxyType({}),
    environment: Environment | None = None,
) -> Reply:
    """The revisions, newest first, and what was last done; `decided` as for `trail`."""
    text = f"{ref}: {counted(len(known), 'revision')}"
    title = f"Revisions of {ref.name} on {ref.cluster}/{ref.namespace}"
    blocks = [header(heading(title, environment))]
    shown = zip(known[:_REVISIONS], _changes(known), strict=False)
    by_time = sorted(entries, key=lambda each: each.at)
    last = {each.action: each.event for each in by_time if not is_step(each.event)}
    began = {each.action: each.at for each in by_time if each.event == "running"}
    blocks += sections([_revision(*each, last, began) for each in shown], "\n\n")
    if len(known) > _REVISIONS:
        blocks.append(context(f"… and {counted(len(known) - _REVISIONS, 'more revision')}."))
    if told := _next(known, last, f"{escape(command)} rollback {escape(ref.name)}"):
        blocks.append(context(*told))
    done = _trail(entries, decided, of=str(ref))
    if done:
        first, *others = done[:SHOWN]
        blocks += sections([f"*Last actions*\n{first}", *others], "\n\n")
        blocks += _cut_off(entries, done)
    return Reply(text, tuple(blocks))


def _revision(
    revision: Revision, changed: str, last: Mapping[str, str], began: Mapping[str, float]
) -> str:
    """What it runs and what it changed, and below that when it was put there and by whom; `last` are the last
    events of actions, and `began` is when they did: one that was brought back is older than that."""
    rollout = last.get(revision.action, "")
    title = words.revision(
        revision.number,
        _version(revision),
        escape(changed),
        current=revision.current,
        rollout=rollout,
    )
    who = f" by <@{escape(revision.requester)}>" if revision.requester else ""
    action = f" (`{escape(revision.action)}`)" if revision.action else ""
    pods = words.pods(revision.pods, revision.ready, current=revision.current)
    at = began.get(revision.action, revision.created_at)
    return f"{title}\n{date(at)}{who}{action} · {pods}"


def _next(known: Sequence[Revision], last: Mapping[str, str], command: str) -> list[str]:
    """What may be done: nothing, where a rollout that was stopped came to its end, or a rollback."""
    now = next((each for each in known if each.current), None)
    # None that did not come up itself.
    back = way_back(
        each for each in known if each.current or not words.ended_badly(last.get(each.action, ""))
    )
    told = []
    if now is not None and last.get(now.action) == "stopped" and 0 < now.pods == now.ready:
        told.append(words.keep(_version(now)))
    if back is not None:
        told.append(words.roll_back(command, back.number, _version(back)))
    elif len(known) > 1:
        told.append(words.roll_back(command, None))
    return told


def _version(revision: Revision) -> str:
    return f"`{escape(cut(image_name(revision.image).version or '?', 100))}`"
