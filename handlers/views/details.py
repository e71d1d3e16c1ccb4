"""The whole plan of an action, and every step of its runs so far, in a modal."""

from deploy.access import Environment
from deploy.actions.action import Action
from handlers.views import plan as plan_view
from handlers.views.action import title_of
from handlers.views.places import heading
from handlers.views.reply import Block, View
from handlers.views.text import context, counted, cut, date, escape, fence, section

_MODAL_FENCE = 2900
_MODAL_LINE = 300
_MODAL_FENCES = 30


def modal(action: Action, environment: Environment | None = None) -> View:
    """The whole plan and every step so far."""
    plan = action.plan
    blocks: list[Block] = [
        section(f"*{escape(heading(title_of(action), environment))}*"),
        context(f"Plan `{action.digest}`"),
    ]
    left = [
        line[at : at + _MODAL_LINE]
        for line in plan_view.lines(plan, None)
        for at in range(0, len(line), _MODAL_LINE)
    ]
    for _ in range(_MODAL_FENCES):
        if not left:
            break
        text, remaining = fence(left, _MODAL_FENCE)
        blocks.append(section(text))
        left = left[len(left) - remaining :]
    if left:
        fit = "does not fit" if len(left) == 1 else "do not fit"
        blocks.append(context(f":warning: {counted(len(left), 'more line')} {fit} here."))
    blocks += plan_view.findings_in_full(plan.findings)
    if action.steps:
        rows = "\n".join(
            f"{date(step.at, '{time_secs}')}  {escape(step.name)} {escape(cut(step.detail, 200))}"
            for step in action.steps[-30:]
        )
        blocks.append(section(f"*Steps*\n{rows}"))
    return {
        "type": "modal",
        "callback_id": "action_details",
        "title": {"type": "plain_text", "text": f"Action {action.id}"[:24]},
        "close": {"type": "plain_text", "text": "Close"},
        "blocks": blocks,
    }
