"""The text of an action's message: what a notification shows and a screen reader says instead of the
blocks. One sentence: who, what, which gateway, where, and whether that is production. Pure."""

import re

from deploy.access import Environment
from deploy.actions.action import Action, State
from handlers.views import pauses, ways_out
from handlers.views.places import placed
from handlers.views.text import counted, cut, escape
from handlers.views.words.kinds import KIND_WORDS

_LONGEST = 300
_SPACE = re.compile(r"\s+")
_END = re.compile(r"[.!?…](\s|$)")


def sentence(action: Action, environment: Environment | None = None) -> str:
    """How the action stands."""
    asks = _asks(action, environment)
    if action.state is State.PENDING:
        return f"{_who(action)} asks to {asks}{_overriding(action)}: {_wanted(action)}"
    return f"{_whose(action)} to {asks} {_stands(action)}"


def first_sentence(text: str) -> str:
    """The first sentence of a text, without its full stop."""
    line = _SPACE.sub(" ", text).strip()
    found = _END.search(line)
    return cut(line[: found.start()] if found else line, _LONGEST)


def _who(action: Action) -> str:
    return "The bot" if action.automatic else f"<@{action.requester}>"


def _whose(action: Action) -> str:
    return "The bot's request" if action.automatic else f"<@{action.requester}>'s request"


def _asks(action: Action, environment: Environment | None) -> str:
    return KIND_WORDS[action.kind].clause.format(
        gateway=placed(action.ref, environment),
        tag=escape(action.plan.tag),
        request=action.request,
    )


def _overriding(action: Action) -> str:
    return ", overriding a freeze" if action.policy.break_glass else ""


def _wanted(action: Action) -> str:
    """What is to be done with the request, and by whom."""
    if action.plan.denied:
        return "the rules forbid it"
    if action.policy.by == "requester":
        return "confirm or cancel"
    needed = sum(each.quorum for each in action.policy.open)
    so_far = f", {action.met} of {counted(needed, 'approval')} so far" if action.met else ""
    return f"approve or deny{so_far}"


def _stands(action: Action) -> str:
    state = action.state
    if state is State.APPROVED:
        return f"{_agreed(action)} and {_waits(action)}"
    if state is State.RUNNING:
        return _runs(action)
    if state is State.DENIED:
        return f"was denied by <@{action.decided_by}>"
    if state is State.CANCELLED:
        return f"was cancelled by {_who(action)}"
    if state is State.EXPIRED:
        late = "it could begin" if action.decided_at is not None else "anybody decided it"
        return f"expired before {late}"
    how = _ENDS[state] + (f" by <@{action.stop_by}>" if state is State.STOPPED else "")
    if action.outcome is None:
        return how
    return f"{how}: {escape(first_sentence(action.outcome.happened))}"


_ENDS = {
    State.SUCCEEDED: "succeeded",
    State.FAILED: "failed",
    State.STOPPED: "was stopped",
    State.UNKNOWN: "ended with an unknown result",
    State.SUPERSEDED: "was superseded",
}


def _agreed(action: Action) -> str:
    if action.votes:
        return "was approved by " + " and ".join(f"<@{vote.by}>" for vote in action.votes)
    return "was approved by the settings" if action.policy.standing else "was confirmed"


def _waits(action: Action) -> str:
    progress = action.progress or {}
    if progress.get("waiting_for"):
        return f"waits for action {escape(str(progress['waiting_for']))} to end"
    if paused := pauses.waiting(action):
        return paused
    return "waits for its turn on its cluster" if progress.get("queued") else "is about to start"


def _runs(action: Action) -> str:
    if action.stop_by:
        return f"is being stopped by <@{action.stop_by}>"
    progress = action.progress or {}
    if "desired" not in progress:
        return "is running"
    pods = f"{progress['ready']} of {counted(progress['desired'], 'pod')} ready"
    found = ways_out.headline(action)
    how = f"is {escape(found[:1].lower() + found[1:])}" if found else "is running"
    return f"{how}, with {pods}"
