"""Why a decision changed nothing, for whoever tried. Pure."""

from deploy.actions.action import Action, State
from deploy.actions.pauses import Pause
from handlers.views import pauses
from handlers.views.action import lapsed, value
from handlers.views.deciders import agreed, mentions
from handlers.views.reply import Reply
from handlers.views.text import button, context, date, escape, lowered, section
from handlers.views.words import deciding
from handlers.views.words import ways_out as words
from handlers.views.words.kinds import KIND_WORDS


def gone() -> Reply:
    """The action is not known any longer."""
    text = "This request is gone: it was too old, or the bot's store was emptied."
    return Reply(
        text, (section(f":ghost: {text}"), context("Nothing was changed by it. Ask again."))
    )


def planned_already(action: Action) -> Reply:
    """That the rollback or deletion somebody asks for is planned and open, and the button that shows it."""
    text = words.planned_already(KIND_WORDS[action.kind].noun, escape(str(action.ref)), action.id)
    shown = button(words.SHOW_PLAN, "action_show", value(action))
    return Reply(text, (section(f":information_source: {text}", accessory=shown),))


def paused(pause: Pause, action: Action, kind: str) -> Reply:
    """That a change of that kind could not start now, so nothing was stopped for it."""
    text = pauses.of_stop_and(KIND_WORDS[kind].noun, pause, KIND_WORDS[action.kind].stop)
    return Reply(pauses.nothing_stopped(pause), (section(text),))


_REFUSALS = {
    "not-requester": "Only the requester, <@{requester}>, can do this.",
    "no-approval": "This requires no approval: <@{requester}> can confirm it, or cancel it with "
    "`/gateway cancel {id}`.",
    "not-approver": "Only {approvers} can approve or deny this.",
    "self": deciding.OWN,
    "voted": deciding.APPROVED_ALREADY,
    "grown": "This now requires more approvals than it shows. The bot makes a new plan and asks the "
    "current approvers.",
    "window-closed": deciding.WINDOW_CLOSED,
    "stale": "The current plan of this request is another one. Look at its newest message.",
    "expired": "The time to decide was over at {expires}. Ask again.",
    "already": "{already}",
    "not-running": "This is not running. Cancel it instead.",
    "stopping": "This is stopping already.",
    "moved-on": "This is no longer stuck on that. Look at its message.",
    "patient": "{patient}",
    "forbidden": "This cannot be approved now.",
}


def refused(result: str, action: Action | None) -> Reply:
    """Why a decision changed nothing."""
    if action is None:
        return gone()
    if result == "expired" and lapsed(action):
        result = "window-closed"
    text = _REFUSALS.get(result, _REFUSALS["already"]).format(
        id=action.id,
        requester=action.requester,
        approvers=mentions(action.policy.approvers),
        expires=date(action.expires_at),
        already=_already(action),
        patient=_patient(action),
    )
    return Reply(text, (section(f":information_source: {text}"),))


def _patient(action: Action) -> str:
    """The person who keeps waiting, and since when."""
    if action.patience is None:
        return ""
    at = date(action.patience.at, "{time}")
    return f"<@{action.patience.by}> already decided to keep waiting, at {at}."


_SINCE = {
    State.APPROVED: "it has not started yet",
    State.RUNNING: "it is running",
    State.SUCCEEDED: "it has succeeded",
    State.FAILED: "it has failed",
    State.UNKNOWN: "it has ended, with an unknown result",
}


def _already(action: Action) -> str:
    """Who came first, when, and what has become of it."""

    def at(moment: float | None) -> str:
        return f" at {date(moment, '{time}')}" if moment else ""

    if action.state in _SINCE:
        said = f"{lowered(agreed(action))}{at(action.decided_at)}; {_SINCE[action.state]}"
    elif action.state is State.CANCELLED:
        said = f"cancelled by <@{action.requester}>{at(action.updated_at)}"
    elif action.state is State.STOPPED:
        said = f"stopped by <@{action.stop_by}>{at(action.stop_at)}"
    elif action.state is State.DENIED:
        said = f"denied by <@{action.decided_by}>{at(action.decided_at)}"
    elif action.state is State.PENDING:
        return "This is still pending, and nothing was changed."
    else:
        said = f"{action.state.value}{at(action.updated_at)}"
    return f"This was already {said}."
