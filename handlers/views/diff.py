"""A gateway's drift: what others have changed since it was deployed."""

from deploy.plans.counting import is_count
from deploy.plans.plan import SETTINGS_ELSEWHERE, Plan
from handlers.views import plan as plan_view
from handlers.views.reply import Reply
from handlers.views.text import context, counted, escape, fence, section

_LIMIT = 2800


def drift(plan: Plan) -> Reply:
    """What others have changed since the gateway was deployed."""
    ref = plan.spec.ref
    elsewhere = plan_view.findings_in_full(
        [each for each in plan.unsettled if each.rule == SETTINGS_ELSEWHERE]
    )
    if not plan.changes and elsewhere:
        text = f"{ref} is as it was deployed, but variables or Secrets override its settings."
        return Reply(text, (section(f":left_right_arrow: *{escape(text)}*"), *elsewhere))
    if not plan.changes:
        text = f"No drift: {ref} is as it was deployed."
        return Reply(text, (section(f":ok_hand: {escape(text)}"),))
    text = f"{ref} differs from what was deployed: {counted(len(plan.changes), 'object')}"
    shown, left = fence(plan_view.lines(plan), _LIMIT)
    options = ["--take-over"] if plan.conflicts else []
    if any(is_count(each.kind, field.path) for each in plan.changes for field in each.fields):
        options.append(f"--replicas {plan.count}")
    again = "Deploying it again" + (f" with `{' '.join(options)}`" if options else "")
    blocks = [
        section(f":left_right_arrow: *{escape(text)}*"),
        section(shown),
        context(f"Left: live. Right: as deployed. {again} restores the right side."),
    ]
    blocks += elsewhere
    if left:
        blocks.append(context(f"… and {counted(left, 'more line')}."))
    owners = sorted({conflict.manager for conflict in plan.conflicts})
    if owners:
        blocks.append(context(f"Changed by {escape(', '.join(owners))}."))
    return Reply(text, tuple(blocks))
