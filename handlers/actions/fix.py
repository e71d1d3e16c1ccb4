"""The Fix buttons under a plan: the same once more, with what a rule advises."""

from deploy.actions.action import State
from deploy.plans.plan import Plan
from handlers.actions import again
from handlers.actions.decisions import Needs
from handlers.slack.payloads import Click
from handlers.views import fixes, refusals
from handlers.views.reply import Reply


def fix(needs: Needs, click: Click) -> Reply | None:
    """Plan it anew with the finding's fix; the plan without it ends once there is the new one.

    Nothing but an action's id and a rule's name is taken from the click: the fix itself is looked
    up in what was planned, and the new plan is judged and decided as any other.
    """
    action_id, rule = fixes.read(click.value)
    action = needs.store.get(action_id)
    result = "already"
    if action is not None and action.requester != click.user:
        result = "not-requester"
    elif action is not None and action.state is State.PENDING and _advises(action.plan, rule):
        # A click of its own each time: where the fixed plan cannot be made, one tries it again.
        needs.accept(again.renewal(action, f"{click.id}:{action.id}", rule=rule))
        return None
    return refusals.refused(result, action)


def _advises(plan: Plan, rule: str) -> bool:
    return any(f.rule == rule and f.fix_patch for f in plan.findings)


CLICKS = dict.fromkeys(fixes.ACTIONS, fix)
