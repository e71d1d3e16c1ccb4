"""The Fix buttons under a plan: the same once more, with what a rule advises."""

from deploy.actions.action import State
from deploy.changes.decide import By
from deploy.plans.plan import Plan
from handlers.actions import again
from handlers.actions.decisions import Needs
from handlers.slack import replies
from handlers.slack.payloads import Click
from handlers.views import action as view
from handlers.views import fixes


def fix(needs: Needs, click: Click) -> None:
    """Plan it anew with the finding's fix, and take the plan without it back.

    Nothing but an action's id and a rule's name is taken from the click: the fix itself is looked
    up in what was planned, and the new plan is judged and decided on as any other.
    """
    action_id, rule = fixes.read(click.value)
    action = needs.store.get(action_id)
    result = "already"
    if action is not None and action.requester != click.user:
        result = "not-requester"
    elif action is not None and action.state is State.PENDING and _advises(action.plan, rule):
        needs.accept(again.renewal(action, f"{action.id}:{rule}", rule=rule))
        by = By(click.user, action.digest, f"fix:{action.id}:{rule}")
        needs.decider.cancel(action.id, by)
        return
    replies.send(
        needs.slack,
        view.refused(result, action),
        user=click.user,
        channel=click.channel,
        response_url="",
    )


def _advises(plan: Plan, rule: str) -> bool:
    return any(f.rule == rule and f.fix_patch for f in plan.findings)


CLICKS = dict.fromkeys(fixes.ACTIONS, fix)
