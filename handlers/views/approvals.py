"""Requests that wait for a decision."""

from collections.abc import Sequence

from deploy.actions.action import Action
from deploy.actions.pauses import Pause
from handlers.views import action as action_view
from handlers.views import request_line
from handlers.views.allowed import Allowed, only, sorted_for
from handlers.views.places import EnvironmentOf
from handlers.views.reply import Block, Reply
from handlers.views.text import button, context, counted, header, section

SHOWN = 10
"""As many as a message holds (about 13,000 characters), each with all that tells it from others."""


def pending(
    rows: Sequence[tuple[Action, Allowed]],
    user: str,
    unreadable: Sequence[str] = (),
    environment_of: EnvironmentOf | None = None,
    *,
    more: int = 0,
) -> Reply:
    """Each action with what the person who asks may do about it; `more` are open that were not read."""
    left = [_unreadable(unreadable)] if unreadable else []
    if not rows:
        text = "No requests are open."
        return Reply(text, (section(f":ok_hand: {text}"), *left))
    rows = sorted_for(user, rows)
    text = counted(len(rows) + more, "open request")
    mine = sum(allowed.decides for _, allowed in rows)
    if mine:
        text += f", {mine} for you to decide"
    blocks: list[Block] = [header(text)]
    blocks += [_row(action, allowed, environment_of) for action, allowed in rows[:SHOWN]]
    if len(rows) + more > SHOWN:
        blocks.append(context(f"… and {counted(len(rows) + more - SHOWN, 'more request')}."))
    if more:
        blocks.append(
            context(f":warning: Only the {len(rows)} requests that are due first were read.")
        )
    return Reply(text, (*blocks, *left))


def _unreadable(names: Sequence[str]) -> Block:
    """What a newer bot wrote, or what is damaged: named, for it is there."""
    listed = ", ".join(f"`{name}`" for name in names[:SHOWN])
    return context(
        f":warning: This version of the bot cannot read {listed}. Run the same version everywhere."
    )


def _row(action: Action, allowed: Allowed, environment_of: EnvironmentOf | None) -> Block:
    environment = environment_of(action.ref) if environment_of is not None else None
    note = f"*{allowed.note}*" if allowed.decides else allowed.note
    if action.policy.by == "requester" and not allowed.decides:
        # That it waits for its requester is said anyway.
        note = ""
    return section(
        request_line.text_of(action, environment, note),
        accessory=button("Show", "action_show", action_view.value(action)),
    )


def decided(action: Action, done: str) -> Reply:
    """What the reader did, and where to follow what becomes of it."""
    if action.policy.by == "requester" and done == "approved":
        done = "confirmed"
    where = str(action.origin.get("channel", ""))
    message = f"; its message is in <#{where}>" if where.startswith(("C", "G")) else ""
    return Reply(f"You {done} {action.id}{message}.")


def plan_to_approve(
    action: Action,
    environment_of: EnvironmentOf,
    allowed: Allowed,
    beside: Sequence[Action] = (),
    paused: Pause | None = None,
) -> Reply:
    """The action as its message shows it, for one person: with the buttons that are theirs, and why
    the others are not."""
    text, blocks = action_view.render(action, environment_of, beside=beside, paused=paused)
    return Reply(text, tuple(only(blocks, allowed)))
