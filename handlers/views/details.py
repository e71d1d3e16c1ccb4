"""The whole plan of an action, and every step of its runs so far, in a modal."""

import json
from collections.abc import Sequence

from deploy.access import Environment
from deploy.actions.action import Action
from deploy.plans.plan import Plan
from handlers.views import plan as plan_view
from handlers.views.action import title_of
from handlers.views.columns import wrapped
from handlers.views.places import heading
from handlers.views.reply import Block, View
from handlers.views.text import context, counted, cut, date, escape, fence, section, sections

_FENCE = 2900
_BLOCKS = 96
"""A modal holds a hundred, of which three more say what the plan is and what is left out."""
_BYTES = 240_000
"""A modal holds 250 kB."""
_CONFLICTS = 30


def modal(action: Action, environment: Environment | None = None) -> View:
    """The whole plan and every step so far."""
    plan = action.plan
    rest = [
        *sections(_taken_over(action)),
        *plan_view.findings_in_full(plan.findings),
        *sections(plan_view.warnings(plan)),
        *_steps(action),
    ]
    blocks: list[Block] = [
        section(f"*{escape(heading(title_of(action), environment))}*"),
        context(f"It {plan_view.summary(plan)}. Plan `{action.digest}`"),
        *_changes(plan, _BLOCKS - len(rest), _BYTES - _size(rest)),
        *rest,
    ]
    return {
        "type": "modal",
        "callback_id": "action_details",
        "title": {"type": "plain_text", "text": f"Action {action.id}"[:24]},
        "close": {"type": "plain_text", "text": "Close"},
        "blocks": blocks,
    }


def _changes(plan: Plan, count: int, size: int) -> list[Block]:
    """Every change, as far as so many blocks of that size together hold them."""
    left = [part for line in plan_view.lines(plan, None) for part in wrapped(line)]
    found: list[Block] = []
    while left and len(found) < count:
        text, remaining = fence(left, _FENCE)
        shown = section(text)
        size -= _size([shown])
        if size < 0:
            break
        found.append(shown)
        left = left[len(left) - remaining :]
    if left:
        found.append(context(f":warning: {counted(len(left), 'more line')} do not fit here."))
    return found


def _size(blocks: Sequence[Block]) -> int:
    return len(json.dumps(blocks, ensure_ascii=False).encode())


def _steps(action: Action) -> list[Block]:
    rows = [
        f"{date(step.at, '{time_secs}')}  {escape(step.name)} {escape(cut(step.detail, 200))}"
        for step in action.steps[-30:]
    ]
    return sections(["*Steps*", *rows]) if rows else []


def _taken_over(action: Action) -> list[str]:
    """The fields of others that the plan takes over."""
    conflicts = action.plan.conflicts
    lines = [
        f"`{escape(each.path)}` of {escape(each.kind)} {escape(each.name)}, "
        f"from {escape(each.manager)}"
        for each in conflicts[:_CONFLICTS]
    ]
    if len(conflicts) > _CONFLICTS:
        lines.append(f"… and {counted(len(conflicts) - _CONFLICTS, 'more field')}")
    return ["*Taken over*", *lines] if lines else []
