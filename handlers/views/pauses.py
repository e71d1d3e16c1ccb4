"""Pauses of a cluster or an environment, shown before and while an action waits for their end. Pure."""

from deploy.actions.action import Action
from deploy.actions.pauses import Pause, waits_for
from deploy.actions.store import LONGEST_WAIT_SECONDS
from handlers.views.text import cut, date, escape
from handlers.views.words import pauses as words
from handlers.views.words.reasons import given

_REASON = 200


def line(pause: Pause) -> str:
    """One pause, for whoever looks at gateways."""
    return f"{_paused(pause)} {words.nothing_starts(_since(pause), escape(pause.by))}"


def of_plan(pause: Pause) -> str:
    """The same for whoever decides a plan."""
    return f"{_paused(pause)} {words.plan_waits(_where(pause), _since(pause), escape(pause.by))}"


def of_stop_and(what: str, pause: Pause, stop: str) -> str:
    """The same for whoever would stop what runs for a rollback or the like; `stop` labels the button that only
    stops it."""
    why = words.not_stopped_for(what, _where(pause), stop, _since(pause), escape(pause.by))
    return f"{_paused(pause)} {why}"


def nothing_stopped(pause: Pause) -> str:
    """The same, for notifications."""
    return words.nothing_stopped(_where(pause))


def of_waiting(action: Action) -> str:
    """Why a decided action has not started; empty where that is not because of a pause."""
    pause = waits_for(action)
    if pause is None:
        return ""
    decided = action.decided_at
    deadline = date(decided + LONGEST_WAIT_SECONDS) if decided is not None else ""
    return f"{_paused(pause)}\n{words.action_waits(_since(pause), escape(pause.by), deadline)}"


def waiting(action: Action) -> str:
    """The same as the end of a sentence, without mark-up."""
    pause = waits_for(action)
    return words.waits(_where(pause)) if pause is not None else ""


def _paused(pause: Pause) -> str:
    until = date(pause.until) if pause.until is not None else ""
    return words.paused(_where(pause), until, escape(given(cut(pause.reason, _REASON))))


def _where(pause: Pause) -> str:
    return words.place(escape(pause.scope), escape(pause.name))


def _since(pause: Pause) -> str:
    return date(pause.since) if pause.since is not None else ""
