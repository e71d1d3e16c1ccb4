"""A gateway's revisions, and who did what."""

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from deploy.actions.audit import AuditEntry
from deploy.gateway import GatewayRef
from deploy.images.names import image_name
from deploy.observed.history import Revision
from deploy.observed.revision_differences import difference
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
from handlers.views.words.revisions import changes

LINES = 20
_REVISIONS = 12
EVENTS = {
    "pending": "requested",
    "approval": "approved, as one of several,",
    "approved": "decided",
    "denied": "denied",
    "cancelled": "cancelled",
    "expired": "expired",
    "superseded": "superseded",
    "running": "started",
    "taken over": "continued by another bot",
    "stop": "asked to stop",
    "keep waiting": "kept waiting although stuck",
    "succeeded": "succeeded",
    "failed": "failed",
    "stopped": "stopped",
    "unknown": "ended with an unknown result",
    "break-glass": "freeze overridden",
    "reminder": "approvers reminded",
    "reverted": "no longer holds",
}
"""What the events of an action are called; those of windows and tokens have names that are read."""

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
) -> Reply:
    """Who did what, newest first; `decided` are the decisions by action, as far as they are known,
    and `gone` is the name of a gateway that no longer runs."""
    lines = _trail(entries[:LINES], decided)
    if not lines:
        return Reply("Nothing has been done yet.", (section("Nothing has been done yet."),))
    told = _cut_off(entries)
    if gone:
        told.append(context(f"No gateway “{escape(gone)}” runs now."))
    return Reply("What was done", (header("What was done"), *sections(lines), *told))


def lines_of(entries: Sequence[AuditEntry]) -> list[str]:
    """A line for each: when, what, and by whom."""
    return _trail(entries, MappingProxyType({}))


def _cut_off(entries: Sequence[AuditEntry]) -> list[Block]:
    return [context(f"Only the last {LINES} entries are shown.")] if len(entries) > LINES else []


def _trail(
    entries: Sequence[AuditEntry], decided: Mapping[str, Decided], of: str = ""
) -> list[str]:
    """A line each, the newest first; the gateway that all of them are `of` is not named again."""
    lines = []
    # Each action's events come into the trail together, so two actions' may be out of order.
    for entry in sorted(entries, key=lambda each: each.at, reverse=True):
        who = f" by <@{entry.who}>" if entry.who[:1] in ("U", "W") and entry.who.isalnum() else ""
        ref = f" `{escape(entry.ref)}`" if entry.ref and entry.ref != of else ""
        lines.append(
            f"{date(entry.at)}  {escape(entry.kind)}{ref}: {_event(entry, who, decided)}"
            f"{action_of(entry)}{_why(entry)}"
        )
    return lines


def _event(entry: AuditEntry, who: str, decided: Mapping[str, Decided]) -> str:
    known = decided.get(entry.action) if entry.event == "approved" else None
    if known is None:
        return f"*{escape(EVENTS.get(entry.event, entry.event))}*{who}"
    if known.by == "approvers":
        return f"*approved*{who}"
    if not known.window:
        return f"*confirmed*{who}"
    whose = f"<@{known.opened_by}>'s" if known.opened_by else "an"
    return f"*confirmed*{who} within {whose} approval window"


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
    text = detail if isinstance(detail, str) else ""
    return f": {escape(cut(text, 150))}" if text else ""


def _changes(known: Sequence[Revision]) -> list[str]:
    """What each revision changed of the one before it, as far as the cluster still holds that one."""
    if not known:
        return []
    told = [changes(difference(before, after)) for after, before in itertools.pairwise(known)]
    return [*told, "the oldest that is kept"]


def revisions(
    ref: GatewayRef,
    known: Sequence[Revision],
    entries: Sequence[AuditEntry],
    command: str,
    decided: Mapping[str, Decided] = MappingProxyType({}),
) -> Reply:
    """The revisions, newest first, and what was last done; `decided` as for `trail`."""
    text = f"{ref}: {counted(len(known), 'revision')}"
    blocks = [header(f"Revisions of {ref.name}")]
    blocks += sections(
        [_revision(*each) for each in zip(known[:_REVISIONS], _changes(known), strict=False)]
    )
    if len(known) > _REVISIONS:
        blocks.append(context(f"… and {counted(len(known) - _REVISIONS, 'more revision')}."))
    done = _trail(entries[:LINES], decided, of=str(ref))
    if done:
        blocks += sections(["*Last actions*", *done])
    blocks += _cut_off(entries)
    back = f"`{escape(command)} rollback {escape(ref.name)} --to-revision N`"
    blocks.append(
        context(
            f"{back} brings one back; without a number, the last with another image or settings."
        )
    )
    return Reply(text, tuple(blocks))


def _revision(revision: Revision, changed: str) -> str:
    """A revision: what it runs, what it changed, and who put it there when."""
    now = "  *now*" if revision.current else ""
    version = escape(cut(image_name(revision.image).version or "?", 100))
    who = f" by <@{escape(revision.requester)}>" if revision.requester else ""
    action = f" (`{escape(revision.action)}`)" if revision.action else ""
    return (
        f"*{revision.number}*  `{version}`{now}\n{escape(changed)}\n"
        f"{date(revision.created_at)}{who}{action} · {counted(revision.pods, 'pod')}"
    )
