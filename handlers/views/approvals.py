"""Requests that wait for a decision."""

from collections.abc import Sequence

from deploy.actions.action import Action, State
from handlers.views import action as action_view
from handlers.views.places import EnvironmentOf
from handlers.views.reply import Block, Reply
from handlers.views.text import button, context, counted, date, escape, header, section

_SHOWN = 15


def pending(
    rows: Sequence[tuple[Action, bool]], user: str, unreadable: Sequence[str] = ()
) -> Reply:
    """Each action with whether the person who asks may decide it; those that wait for this
    person first, then their own, so that what others decide alone does not crowd them out."""
    left = [_unreadable(unreadable)] if unreadable else []
    if not rows:
        text = "No requests are open."
        return Reply(text, (section(f":ok_hand: {text}"), *left))
    rows = sorted(
        rows,
        key=lambda row: (
            not (row[1] and row[0].state is State.PENDING),
            row[0].requester != user,
        ),
    )
    blocks: list[Block] = [header("Open requests")]
    blocks += [_row(action, may, user) for action, may in rows[:_SHOWN]]
    if len(rows) > _SHOWN:
        blocks.append(context(f"… and {len(rows) - _SHOWN} more."))
    return Reply(counted(len(rows), "open request"), (*blocks, *left))


def _unreadable(names: Sequence[str]) -> Block:
    """What a newer bot wrote, or what is damaged: named, for it is there."""
    listed = ", ".join(f"`{name}`" for name in names[:_SHOWN])
    return context(
        f":warning: This version of the bot cannot read {listed}. Run the same version everywhere."
    )


def _row(action: Action, may: bool, user: str) -> Block:
    ref = action.ref
    place = f"{ref.cluster}/{ref.namespace}"
    lines = [f"*`{action.id}`* {escape(action.kind)} *{escape(ref.name)}* on {place}"]
    lines.append(f"{_state(action)} · asked by <@{action.requester}> {date(action.created_at)}")
    if may and action.state is State.PENDING:
        lines.append("*You can approve or deny this.*")
    elif action.requester == user and action.state is State.PENDING:
        lines.append("Yours.")
    return section(
        "\n".join(lines),
        accessory=button("Show", "action_show", action_view.value(action)),
    )


def _state(action: Action) -> str:
    if action.state is not State.PENDING:
        return action.state.value
    if action.policy.by == "requester":
        return f"waits for its requester until {date(action.expires_at)}"
    needed = sum(each.quorum for each in action.policy.open)
    return f"{action.approvals} of {needed} approvals, until {date(action.expires_at)}"


def decided(action: Action, done: str) -> Reply:
    """What the reader did, and where to follow what becomes of it."""
    if action.policy.by == "requester" and done == "approved":
        done = "confirmed"
    where = str(action.origin.get("channel", ""))
    message = f"; its message is in <#{where}>" if where.startswith(("C", "G")) else ""
    return Reply(f"You {done} {action.id}{message}.")


def plan_to_approve(action: Action, environment_of: EnvironmentOf) -> Reply:
    """The action as its message shows it, buttons included, for one person."""
    text, blocks = action_view.render(action, environment_of)
    return Reply(text, tuple(blocks))
