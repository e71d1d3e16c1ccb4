"""What waits for a decision, and what one person may do where."""

from collections.abc import Sequence

from deploy.actions.record import Action, State
from deploy.actions.windows import Window
from deploy.changes.gatekeeper import Rights
from handlers.views import action as action_view
from handlers.views.reply import Block, Reply
from handlers.views.text import button, context, date, escape, header, section

_SHOWN = 15


def pending(
    rows: Sequence[tuple[Action, bool]], user: str, unreadable: Sequence[str] = ()
) -> Reply:
    """Each action with whether the person who asks may decide on it; those that wait for this
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
    return Reply(f"{len(rows)} open requests", (*blocks, *left))


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
        lines.append("*You can decide on this.*")
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


def plan_to_approve(action: Action) -> Reply:
    """The action as its message shows it, buttons included, for one person."""
    text, blocks = action_view.render(action)
    return Reply(text, tuple(blocks))


def _window(window: Window) -> Block:
    ref = window.ref
    return section(
        f":unlock: *Approval window on {ref.name}, {ref.cluster}/{ref.namespace}*: you confirm its "
        f"changes alone until *{date(window.until)}*. Opened by <@{window.by}>: "
        f"{escape(window.reason)}"
    )


def rights(found: Sequence[Rights], windows: Sequence[Window], user: str) -> Reply:
    """Environment by environment: may ask, may approve, and why; and the windows that are open for
    this person."""
    blocks: list[Block] = [header("What you may do"), context(f"You are <@{user}>, `{user}`.")]
    for each in found:
        environment = each.environment
        places = f"{', '.join(environment.clusters)} / {', '.join(environment.namespaces)}"
        lines = [f"*{escape(environment.name)}*  `{escape(places)}`"]
        sign = ":white_check_mark:" if each.request.allowed else ":no_entry:"
        lines.append(f"{sign} ask for changes: {each.request.why}")
        if environment.approval is not None:
            sign = ":white_check_mark:" if each.approve.allowed else ":no_entry:"
            lines.append(
                f"{sign} approve them ({environment.approval.quorum} needed of "
                f"{action_view.mentions(environment.approval.approvers)}): {each.approve.why}"
            )
        elif environment.production:
            lines.append(":no_entry: production without approvers: nobody can change it")
        else:
            lines.append(":bulb: whoever asks confirms alone")
        if each.freeze is not None:
            lines.append(
                f":snowflake: frozen until {date(each.freeze.ends.timestamp())}: "
                f"{escape(each.freeze.reason)}"
            )
        blocks.append(section("\n".join(lines)))
    blocks += [_window(window) for window in windows[:_SHOWN]]
    blocks.append(context("What belongs to no environment counts as production: nobody may."))
    return Reply("What you may do", tuple(blocks))
