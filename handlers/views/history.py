"""A gateway's revisions, and who did what."""

import json
from collections.abc import Sequence

from deploy.actions.audit import AuditEntry
from deploy.gateway import GatewayRef
from deploy.observed.history import Revision
from handlers.views.reply import Reply
from handlers.views.text import (
    SECTION_LIMIT,
    context,
    counted,
    cut,
    date,
    duration,
    escape,
    fence,
    header,
    section,
    table,
)

_LIMIT = 2800
_LINES = 10


def trail(entries: Sequence[AuditEntry], gone: str = "") -> Reply:
    """Who did what, newest first; `gone` is the name of a gateway that does not run any more."""
    lines = _trail(entries)
    if not lines:
        return Reply("Nothing has been done yet.", (section("Nothing has been done yet."),))
    told = [context(f"No gateway “{escape(gone)}” runs now.")] if gone else []
    blocks = [section(text) for text in _sections(lines)]
    return Reply("What was done", (header("What was done"), *blocks, *told))


def _sections(lines: Sequence[str]) -> list[str]:
    """The lines, as many to a section as Slack takes."""
    texts: list[str] = []
    for line in lines:
        if texts and len(texts[-1]) + len(line) < SECTION_LIMIT:
            texts[-1] += f"\n{line}"
        else:
            texts.append(line)
    return texts


def _trail(entries: Sequence[AuditEntry]) -> list[str]:
    lines = []
    for entry in entries:
        who = f" by <@{entry.who}>" if entry.who[:1] in ("U", "W") and entry.who.isalnum() else ""
        ref = f" `{escape(entry.ref)}`" if entry.ref else ""
        lines.append(
            f"{date(entry.at)}  {escape(entry.kind)}{ref}: *{escape(entry.event)}*{who}"
            f"{action_of(entry)}{_why(entry)}"
        )
    return lines


def action_of(entry: AuditEntry) -> str:
    """The action's id, to be asked for with; empty where the entry is of none."""
    return f" (`{escape(entry.action)}`)" if entry.action else ""


def _why(entry: AuditEntry) -> str:
    """The reason that was given, or how it ended; empty where the entry has neither."""
    try:
        detail = json.loads(entry.detail)
    except ValueError:
        detail = entry.detail if entry.event in ("denied", "cancelled", "break-glass") else ""
    if isinstance(detail, dict):
        detail = detail.get("reason") or detail.get("happened") or detail.get("detail") or ""
    text = detail if isinstance(detail, str) else ""
    return f": {escape(cut(text, 150))}" if text else ""


def revisions(
    ref: GatewayRef,
    known: Sequence[Revision],
    entries: Sequence[AuditEntry],
    now: float,
    command: str,
) -> Reply:
    """The revisions, newest first, and what was last done."""
    text = f"{ref}: {counted(len(known), 'revision')}"
    rows: list[tuple[str, ...]] = [("REVISION", "IMAGE", "AGE", "PODS", "ACTION")]
    rows += [
        (
            f"{revision.number}{' *' if revision.current else ''}",
            cut(revision.image.rpartition(":")[2] or "?", 30),
            duration(now - revision.created_at),
            str(revision.pods),
            revision.action or "-",
        )
        for revision in known
    ]
    shown, left = fence(table(rows), _LIMIT)
    people = [
        f"revision {revision.number} by <@{revision.requester}>"
        for revision in known
        if revision.requester
    ]
    blocks = [header(f"Revisions of {ref.name}"), section(shown)]
    if left:
        blocks.append(context(f"… and {counted(left, 'more revision')}."))
    if people:
        blocks.append(context("Asked for: " + " · ".join(people[:20])))
    done = _trail(entries)[:_LINES]
    if done:
        blocks += [section(text) for text in _sections(["*Last done*", *done])]
    back = f"`{escape(command)} rollback {escape(ref.name)} --to-revision N`"
    blocks.append(context(f"`*` is what the Deployment asks for now. {back} brings one back."))
    return Reply(text, tuple(blocks))
