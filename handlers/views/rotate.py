"""Several rotations at once: which were planned, which were not, and why."""

from collections.abc import Sequence
from dataclasses import dataclass

from deploy.gateway import GatewayRef
from handlers.views.reply import Block, Reply
from handlers.views.text import button, confirm, context, counted, escape, section

_SHOWN = 20


@dataclass(frozen=True)
class Proposed:
    """A rotation that waits for its decision."""

    id: str
    ref: GatewayRef


@dataclass(frozen=True)
class Refusal:
    """A gateway, or a cluster, for which no rotation was planned or confirmed."""

    name: str
    why: str


def several(
    proposed: Sequence[Proposed],
    mine: Sequence[Proposed],
    refused: Sequence[Refusal],
    *,
    left: Sequence[str],
    within: str = "",
) -> Reply:
    """What one command planned. `mine` are those that the requester decides on alone.

    `within` is the time in which no token is known to expire.
    """
    others = len(proposed) - len(mine)
    blocks: list[Block] = []
    if proposed:
        lines = "\n".join(f"• `{escape(str(p.ref))}` · action `{p.id}`" for p in proposed)
        blocks.append(section(f"*{counted(len(proposed), 'rotation')} planned.*\n{lines}"))
    else:
        blocks.append(section("*No rotation was planned.*"))
    if within:
        blocks.append(context(f"No token is known to expire within {escape(within)}."))
    if others:
        wait = "waits" if others == 1 else "wait"
        blocks.append(context(f"{others} of them {wait} for approvers, each by itself."))
    blocks += [_refused(refusal) for refusal in refused[:_SHOWN]]
    if left:
        blocks.append(
            context(
                f"… and {counted(len(left), 'more gateway')}, whose tokens last longer. Repeat the "
                "command once these are done."
            )
        )
    if len(mine) > 1:
        blocks.append({"type": "actions", "elements": [_all(mine)]})
    summary = f"{counted(len(proposed), 'rotation')} planned"
    return Reply(f"{summary}, {len(refused)} not" if refused else summary, tuple(blocks))


def confirmed(done: int, left: int, refused: Sequence[Refusal] = ()) -> Reply:
    """What the button did; `refused` are those that nobody may confirm now."""
    text = f"{counted(done, 'rotation')} confirmed."
    if left:
        text += f" {counted(left, 'other')} had been decided before, or is not yours to decide."
    sign = ":white_check_mark:" if done or not refused else ":warning:"
    told = [_refused(refusal) for refusal in refused]
    return Reply(text, (section(f"{sign} {text}"), *told))


def _refused(refusal: Refusal) -> Block:
    return context(f":warning: *{escape(refusal.name)}*: {escape(refusal.why)}")


def _all(mine: Sequence[Proposed]) -> Block:
    count = counted(len(mine), "rotation")
    return button(
        f"Confirm {count}",
        "rotate_confirm_all",
        ",".join(p.id for p in mine),
        style="primary",
        confirm=confirm(
            f"Confirm {count}",
            "Each is carried out as its own message shows it, one after another.",
            "Confirm",
        ),
    )
