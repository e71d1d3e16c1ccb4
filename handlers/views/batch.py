"""The message of a batch: what one command asks of several gateways, and how each of them stands. Pure."""

import json
from collections.abc import Sequence

from deploy.actions.action import Action, State
from deploy.actions.batches import Unplanned
from handlers.views import pauses
from handlers.views.action import sign_of
from handlers.views.batch_state import (
    FAILED,
    NAMED,
    BatchState,
    Row,
    counts,
    grouped,
    in_production,
    names_of,
    place_of,
    seal,
    title,
    where,
)
from handlers.views.deciders import agreed, decided
from handlers.views.places import PRODUCTION
from handlers.views.reply import Block
from handlers.views.text import (
    button,
    confirm,
    context,
    counted,
    cut,
    date,
    escape,
    header,
    lowered,
    section,
    sections,
)
from handlers.views.words import plans as plan_words
from handlers.views.words import unplanned as unplanned_words
from handlers.views.words.kinds import KIND_WORDS
from handlers.views.words.reasons import given

CONFIRM, APPROVE, CANCEL = "batch_confirm", "batch_approve", "batch_cancel"
_TABLE = 8000
"""What the table may take: all blocks of a message together hold about 13,000 characters."""
_WHY = 90
_AGREEMENTS = 3
_DIALOG = 300
"""Characters in the text of a confirmation dialog (Slack's Block Kit reference)."""


def summary(state: BatchState) -> str:
    """The message in one line, for notifications."""
    selection = state.batch.selection
    asks = "asks" if any(a.state is State.PENDING for a in state.actions) else "asked"
    what = f"{lowered(title(state))} on {where(state)}"
    return f"<@{selection.requester}> {asks} to {what}: {', '.join(counts(state))}."


def message(state: BatchState) -> tuple[str, list[Block]]:
    """The message as it is now: text for notifications, and blocks."""
    batch = state.batch
    first, *others = counts(state)
    blocks: list[Block] = [
        header(_heading(state)),
        section(_asked(state)),
        section(", ".join((f"*{first}*", *others)) + "."),
        *sections(_table(state)),
    ]
    if batch.unplanned:
        blocks.append(section("*Not planned*\n" + "\n".join(unplanned_lines(batch.unplanned))))
    blocks.append(context(*_next(state), f"Batch `{batch.id}`"))
    buttons = _buttons(state) if batch.planned else []
    if buttons:
        blocks.append({"type": "actions", "elements": buttons})
    return summary(state), blocks


def _heading(state: BatchState) -> str:
    production = in_production(state.rows)
    return f"{PRODUCTION} {title(state)} ({production})" if production else title(state)


def unplanned_lines(unplanned: Sequence[Unplanned]) -> list[str]:
    """A line for each reason that several share, and for each other one."""
    lines: list[str] = []
    alone: list[Unplanned] = []
    for reason, together in grouped(unplanned, lambda each: each.reason):
        why = unplanned_words.OF_SEVERAL.get(reason)
        if why is not None and len(together) > 1:
            lines.append(f":warning: *{names_of(each.name for each in together)}*: {why}")
        else:
            alone += together
    lines += [_not_planned(each) for each in alone[:NAMED]]
    more = len(alone) - NAMED
    return [*lines, f"… and {more} more"] if more > 0 else lines


def _not_planned(each: Unplanned) -> str:
    """Its name once, though most reasons begin with it."""
    why = each.why.removeprefix(f"{each.name} ")
    return f":warning: *{escape(each.name)}*: {escape(cut(why, 3 * _WHY))}"


def _asked(state: BatchState) -> str:
    selection = state.batch.selection
    chosen = _chosen(state)
    lines = [f"<@{selection.requester}> asked for this{chosen}."]
    if all(a.state is State.PENDING for a in state.actions):
        lines[0] += " *Nothing has changed yet.*"
        lines += _effects(state)
    if selection.why:
        lines.append(f"Reason: {escape(given(selection.why))}")
    overriding = [a for a in state.actions if a.policy.break_glass]
    if overriding:
        override = "overrides" if len(overriding) == 1 else "override"
        lines.append(
            f":rotating_light: *Break-glass: {len(overriding)} of these {override} a freeze.* "
            f"{escape(given(overriding[0].policy.break_glass))}"
        )
    return "\n".join(lines)


def _effects(state: BatchState) -> list[str]:
    """What becomes of pods and connections; nothing while some are not planned yet."""
    plans = [action.plan for action in state.actions if not action.plan.denied]
    if not plans or not state.batch.planned:
        return []
    replaced = sum(plan.restarts_pods for plan in plans)
    cut = sum(plan.cuts_connections for plan in plans)
    return [plan_words.of_several(len(plans), replaced, cut)]


def _chosen(state: BatchState) -> str:
    words = {
        "all": "every gateway that has a token",
        "expiring": "every gateway whose token expires within {value}",
    }
    said = [
        words[name].format(value=escape(value))
        for name, value in state.batch.selection.chosen.items()
        if name in words
    ]
    return f" for {', '.join(said)}" if said else ""


def _table(state: BatchState) -> list[str]:
    """A line for each gateway under its place, cut to what a message holds."""
    for limit in (_WHY, 0):
        lines = _lines(state.rows, limit)
        if sum(len(line) + 1 for line in lines) <= _TABLE:
            return lines
    # Of those that are done the number is enough, and what failed is not cut.
    rest = (row for row in state.rows if not _in(row, State.SUCCEEDED))
    lines = _lines(sorted(rest, key=lambda row: not _in(row, *FAILED)), 0)
    kept: list[str] = []
    used = 0
    for line in lines:
        used += len(line) + 1
        if used > _TABLE:
            more = counted(len(lines) - len(kept), "more line")
            kept.append(f"… and {more}. Each plan is in the thread.")
            break
        kept.append(line)
    return kept


def _in(row: Row, *states: State) -> bool:
    return row.action is not None and row.action.state in states


def _lines(rows: Sequence[Row], limit: int) -> list[str]:
    found: list[str] = []
    for place, together in grouped(rows, place_of):
        found += [f"*{place}*", *(_line(row, limit) for row in together)]
    return found


def _line(row: Row, limit: int) -> str:
    action = row.action
    name = f"*{escape(row.ref.name)}*"
    if action is None:
        said = "cannot be read by this version of the bot" if row.unreadable else "being planned…"
        return f"{':warning:' if row.unreadable else ':writing_hand:'} {name} {said}"
    return f"{sign_of(action)} {name} {_said(action, limit)}"


def _said(action: Action, limit: int) -> str:
    """How it stands, with the reason in at most `limit` characters."""
    if action.state is State.PENDING:
        return _pending(action)
    if action.state is State.APPROVED:
        progress = action.progress or {}
        waits = progress.get("waiting_for") or progress.get("queued")
        return pauses.waiting(action) or ("waits for its turn" if waits else "approved")
    if action.state is State.RUNNING:
        return "is being stopped" if action.stop_by else "running"
    if action.state is State.SUCCEEDED:
        left = action.outcome if action.outcome and action.outcome.remedy else None
        return _because("done", left.happened if left else "", limit)
    if action.state is State.DENIED:
        return _because(f"denied by <@{action.decided_by}>", given(action.reason), limit)
    if action.state is State.EXPIRED:
        return "expired: it was not decided in time" if action.decided_at is None else "expired"
    reason = action.outcome.happened if action.outcome else ""
    return _because(_WORDS.get(action.state, action.state.value), reason, limit)


_WORDS = {State.UNKNOWN: "result unknown"}


def _because(said: str, reason: str, limit: int) -> str:
    return f"{said}: {escape(cut(reason, limit))}" if reason and limit else said


def _pending(action: Action) -> str:
    warnings = sum(finding.severity == "warning" for finding in action.plan.findings)
    more = f" · :warning: {counted(warnings, 'warning')}" if warnings else ""
    if action.policy.by == "requester":
        return f"waits for confirmation{more}"
    needed = sum(each.quorum for each in action.policy.open)
    if needed == 1:
        return f"waits for approval{more}"
    return f"waits for approval, {action.met} of {needed}{more}"


def _next(state: BatchState) -> list[str]:
    """What happens next, and until when."""
    said = []
    if not state.batch.planned:
        said.append("The rest is being planned. Each plan is in the thread.")
    elif state.to_approve:
        until = date(min(each.expires_at for each in state.to_approve))
        said.append(f"Approvers can decide until {until}. Each plan is in the thread.")
    if state.batch.planned and state.to_confirm:
        until = date(min(each.expires_at for each in state.to_confirm))
        who = f"<@{state.batch.selection.requester}>"
        said.append(f"{who} can confirm {counted(len(state.to_confirm), 'plan')} until {until}.")
    if state.ended:
        said.append(f"Ended {date(max(each.updated_at for each in state.actions))}.")
    elif state.batch.planned and not said:
        said.append("Each gateway's progress is in the thread.")
    return [*said, *_agreements(state)]


def _agreements(state: BatchState) -> list[str]:
    """The people who approved or confirmed it."""
    carried = (State.APPROVED, State.RUNNING, State.SUCCEEDED, *FAILED)
    agreements = dict.fromkeys(
        agreed(each) for each in state.actions if each.state in carried and decided(each)
    )
    return [f"{each}." for each in agreements][:_AGREEMENTS]


def _buttons(state: BatchState) -> list[Block]:
    value = json.dumps({"id": state.batch.id, "seal": seal(state.actions)})
    danger = KIND_WORDS[state.batch.selection.kind].danger
    found = []
    for actions, verb, name in (
        (state.to_approve, "Approve", APPROVE),
        (state.to_confirm, "Confirm", CONFIRM),
    ):
        if not actions:
            continue
        label = f"{verb} {counted(len(actions), 'plan')}"
        found.append(
            button(
                label,
                name,
                value,
                style="danger" if danger else "primary",
                confirm=confirm(label, _question(state, verb, actions), verb),
            )
        )
    mine = [a for a in state.actions if a.state in (State.PENDING, State.APPROVED)]
    if mine:
        label = f"Cancel {counted(len(mine), 'plan')}"
        text = (
            "Plans that have not started are cancelled: "
            f"{names_of(each.ref.name for each in mine)}."
        )
        found.append(button(label, CANCEL, value, confirm=confirm(label, text, label)))
    return found


def _question(state: BatchState, verb: str, actions: Sequence[Action]) -> str:
    ending = ", each as its plan in the thread shows it?"
    title = KIND_WORDS[state.batch.selection.kind].of_several("{}").partition("{}")[0].strip()
    chosen = {each.id for each in actions}
    rows = [row for row in state.rows if row.action is not None and row.action.id in chosen]
    production = in_production(rows)
    said = f"*{PRODUCTION} {production[:1].upper()}{production[1:]}*\n" if production else ""
    said += f"{verb}: {lowered(title)} "
    names = [each.ref.name for each in actions]
    room = _DIALOG - len(said) - len(ending)
    for shown in range(len(names), 0, -1):
        listed = names_of(names, shown)
        if len(listed) <= room:
            return f"{said}{listed}{ending}"
    return f"{said}{counted(len(names), 'gateway')}{ending}"
