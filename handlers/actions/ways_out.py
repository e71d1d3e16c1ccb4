"""The buttons of a rollout that is stuck: stop it and plan the rollback or the deletion, or keep waiting."""

import json
from collections.abc import Callable, Mapping

from deploy.actions.action import State
from deploy.changes.kinds import DELETE, ROLLBACK
from handlers.actions.decisions import Needs, asked_by
from handlers.slack.payloads import Click, Request
from handlers.views import refusals
from handlers.views.reply import Reply
from handlers.views.ways_out import KEEP_WAITING, ROLL_BACK, STOP_AND_DELETE

_NOT_BEGUN = ("gone", "not-running", "expired")


def roll_back(needs: Needs, click: Click) -> Reply | None:
    """Stop what runs and have the rollback planned, for whoever clicked. It begins once it is decided, and
    once the run has ended: until then the gateway is that one's.

    While a pause keeps the rollback from starting, nothing is stopped: a rollout that is left half-way
    until then is worse than one that runs. Where it has ended meanwhile the rollback is planned all the
    same; where a plan is open already, that is said.
    """
    return _stop_and_plan(needs, click, ROLLBACK, in_id="roll back")


def delete(needs: Needs, click: Click) -> Reply | None:
    """The same with the plan of the deletion: a gateway's first version has none to go back to."""
    return _stop_and_plan(needs, click, DELETE, in_id="delete")


def _stop_and_plan(needs: Needs, click: Click, kind: str, *, in_id: str) -> Reply | None:
    action_id, by = asked_by(click)
    running = needs.store.get(action_id)
    if running is not None and running.state is State.RUNNING and not running.stop_by:
        pause = needs.authority.paused(running)
        if pause is not None:
            return refusals.paused(pause, running, kind)
    decision = needs.decider.stop(action_id, by)
    if decision.action is None or decision.result in _NOT_BEGUN:
        return refusals.refused(decision.result, decision.action)
    ref = decision.action.ref
    open_plan = next(
        (
            each
            for each in needs.store.open_on(ref)
            # What is being stopped may be of that kind itself.
            if each.id != action_id and (each.requester, each.kind) == (click.user, kind)
        ),
        None,
    )
    if open_plan is not None:
        return refusals.planned_already(open_plan)
    needs.accept(
        Request(
            # The button goes with the stop: a second click of the same person means the same plan, also
            # where a bot of the previous version takes it.
            id=f"{in_id}:{action_id}:{click.user}",
            verb=kind,
            user=click.user,
            channel=click.channel,
            response_url=click.response_url,
            gateway=str(ref),
        )
    )
    return None


def keep_waiting(needs: Needs, click: Click) -> Reply | None:
    """Wait although it is stuck, until it fails or something else holds it up."""
    action_id, by = asked_by(click)
    decision = needs.decider.keep_waiting(action_id, by, _cause(click))
    return None if decision.counted else refusals.refused(decision.result, decision.action)


def _cause(click: Click) -> str:
    """What it was stuck on as the button was drawn; empty where it does not say."""
    try:
        return str(json.loads(click.value)["cause"])
    except (ValueError, KeyError, TypeError):
        return ""


CLICKS: Mapping[str, Callable[[Needs, Click], Reply | None]] = {
    ROLL_BACK: roll_back,
    STOP_AND_DELETE: delete,
    KEEP_WAITING: keep_waiting,
}
"""What each button does, by its action_id."""
