"""A request in a few lines, for lists of them: what changes from what to what, who asked, since and
until when, and what it still needs. Pure."""

from deploy.access import Environment
from deploy.actions.action import Action, State
from deploy.policy import Requirement
from handlers.views import pauses, ways_out
from handlers.views.action import title_of
from handlers.views.deciders import agreed, mentions
from handlers.views.difference import difference, line
from handlers.views.places import heading
from handlers.views.text import counted, date, escape
from handlers.views.words.reasons import given

_REASON = 120


def text_of(action: Action, environment: Environment | None, more: str = "") -> str:
    """The request as mrkdwn; `more` is a last line, such as what its reader may do about it."""
    lines = [
        f"*{escape(heading(title_of(action), environment))}*",
        escape(difference(action.plan)),
        f"`{action.id}` · {_asked(action)}",
        f"Reason: {line(escape(given(action.why)), _REASON)}" if action.why else "",
        needed(action),
        more,
    ]
    return "\n".join(line for line in lines if line)


def needed(action: Action) -> str:
    """What a request waits for, as a sentence; how it stands, once it is decided."""
    if action.state is State.RUNNING:
        return _running(action)
    if action.state is State.APPROVED:
        return f"{agreed(action)}. It {pauses.waiting(action) or 'has not started yet'}."
    if action.state is not State.PENDING:
        return f"{action.state.value.capitalize()}."
    if action.plan.denied:
        return "The rules forbid it, so nobody can approve it."
    if action.policy.by == "requester":
        return f"Waiting for <@{action.requester}> to confirm."
    several = len(action.policy.open) > 1
    still = [said for each in action.policy.open if (said := _still(action, each, several))]
    return f"Needs {' and '.join(still)}." if still else "Has every approval that it needs."


def _asked(action: Action) -> str:
    who = "the bot" if action.automatic else f"<@{action.requester}>"
    until = f" · open until {date(action.expires_at)}" if action.state is State.PENDING else ""
    return f"asked by {who} {date(action.created_at)}{until}"


def _still(action: Action, requirement: Requirement, several: bool) -> str:
    """What that environment still requires; empty where it has it."""
    have = sum(vote.counts_for(requirement.environment) for vote in action.votes)
    left = requirement.quorum - have
    if left < 1:
        return ""
    what = counted(left, "more approval" if have else "approval")
    where = f" for {escape(requirement.environment)}" if several else ""
    return f"{what} from {mentions(requirement.approvers)}{where}"


def _running(action: Action) -> str:
    if action.stop_by:
        return f"<@{action.stop_by}> stopped it; it ends at the next safe point."
    progress = action.progress or {}
    if "desired" not in progress:
        return "Running."
    figures = f"{progress['ready']} of {counted(int(progress['desired']), 'pod')} ready."
    stuck = ways_out.headline(action)
    return f":warning: {escape(stuck)}. {figures}" if stuck else f"Running: {figures}"
