"""Asks what one person may do about an action now, for what is shown to them alone.

It is only what is shown: each button is judged again when it is clicked.
"""

from deploy.access import Right
from deploy.actions.action import Action, State
from deploy.actions.decision import Choice
from deploy.changes.authority import Authority
from deploy.changes.decide import COUNTS, Decider
from deploy.changes.refusal import NotAllowed
from deploy.errors import GatewayBotError
from handlers.views import allowed as view
from handlers.views.allowed import Allowed
from handlers.views.text import escape
from handlers.views.words import deciding as words


def allowed(decider: Decider, authority: Authority, action: Action, user: str) -> Allowed:
    """The buttons that `user` may click, and why not more. All of them where that cannot be read."""
    mine = view.REQUESTERS if action.requester == user else frozenset[str]()
    try:
        if action.state is State.PENDING:
            return _deciding(decider, action, user, mine)
        if action.state is State.RUNNING and authority.may_act(Right.STOP, user, action).allowed:
            mine |= view.STOPPING
    except GatewayBotError as error:
        note = words.UNKNOWN.format(why=escape(error.happened))
        return Allowed(view.JUDGED, note)
    return Allowed(mine)


def _deciding(decider: Decider, action: Action, user: str, mine: frozenset[str]) -> Allowed:
    by_approvers = action.policy.by == "approvers"
    if action.plan.denied:
        # Its message says that nobody can agree to it.
        may_deny = by_approvers and not _why_not(decider, "deny", action, user)
        return Allowed(mine | {view.DENY} if may_deny else mine)
    why = _why_not(decider, "approve" if by_approvers else "confirm", action, user)
    if not by_approvers:
        buttons = mine if why else mine | {view.CONFIRM}
        return Allowed(buttons, why or words.CAN_CONFIRM, decides=not why)
    if not why:
        return Allowed(mine | {view.APPROVE, view.DENY}, words.CAN_APPROVE, decides=True)
    if _why_not(decider, "deny", action, user):
        return Allowed(mine, why)
    return Allowed(mine | {view.DENY}, f"{why} {words.CAN_DENY}")


def _why_not(decider: Decider, choice: Choice, action: Action, user: str) -> str:
    """Why that decision would not count now; empty where it would."""
    try:
        result = decider.would(choice, action, user)
    except NotAllowed as refused:
        return view.refused(refused.verdict, escape(refused.happened), action)
    if result in COUNTS:
        return ""
    if result == "forbidden":
        refusal = decider.forbidden(action)
        return escape(refusal.happened) if refusal is not None else view.why_not(result, action)
    return view.why_not(result, action)
