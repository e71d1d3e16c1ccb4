"""The ways out of an action, by its record: what it is stuck on, and which version it put in place. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from deploy.actions.action import Action, State
from deploy.observed.causes import Cause, meaning_of, remedy_of
from deploy.rollouts.reasons import recorded_reason
from deploy.rollouts.work import APPLY

FAILED = (State.FAILED, State.STOPPED, State.UNKNOWN)
"""States in which an action has ended otherwise than it was meant to."""
RECENT = 3600.0
"""Seconds after its end for which a change may be the cause of trouble."""


@dataclass(frozen=True)
class Stuck:
    """What a rollout is stuck on, in a sentence, what to do, and when the rollout fails unless pods get
    ready (epoch seconds), if known."""

    cause: str
    means: str
    remedy: str
    until: float | None


@dataclass(frozen=True)
class FailingPod:
    """A pod of the wanted version that is not ready; `ran` says that an earlier run of its container ended."""

    name: str
    ran: bool


def stuck_on(action: Action) -> str:
    """The name of the cause that its rollout is stuck on; empty while it is not."""
    return str(_stuck(action).get("cause", ""))


def stuck(action: Action) -> Stuck | None:
    """What a running action is stuck on; None while it is not."""
    told = _stuck(action)
    if action.state is not State.RUNNING or action.stop_by or not told:
        return None
    cause = str(told["cause"])
    # A newer bot may know more causes than this one.
    known = Cause(cause) if cause in set(Cause) else Cause.OTHER
    means = meaning_of(known) or str(told.get("said", ""))
    return Stuck(cause, means, remedy_of(known), told.get("until"))


def waits_anyway(action: Action) -> bool:
    """Whether somebody has decided to wait for exactly what it is stuck on."""
    return action.patience is not None and action.patience.cause == stuck_on(action)


def failing_pod(action: Action) -> FailingPod | None:
    """The first pod that tells what is wrong; None where none does."""
    pods = (action.progress or {}).get("pods") or ()
    troubled = (pod for pod in pods if pod.get("trouble") and pod.get("updated", True))
    return next(
        (FailingPod(str(pod["name"]), bool(pod.get("last_exit"))) for pod in troubled), None
    )


def has_pods(action: Action) -> bool:
    """Whether it got as far as pods."""
    return bool((action.progress or {}).get("pods"))


def new_version(action: Action) -> Literal["first", "another"] | None:
    """Which version of the pods it has put in place, as far as is known: the first one, or another than ran
    before. None where it put none there, or went back to the previous one."""
    applied = any(step.name == APPLY for step in action.steps)
    if not applied or recorded_reason(action.steps) is not None or not action.plan.starts_pods:
        return None
    if action.plan.first:
        return "first"
    changed = (each.change for each in action.plan.changes if each.kind == "Deployment")
    return "another" if "update" in changed else None


def change_before(actions: Iterable[Action], since: float) -> Action | None:
    """The change that came right before trouble that started then (epoch seconds): the last action of the
    gateway that changed something by then, where it had ended within the hour before, or was running."""
    earlier = [
        action
        for action in actions
        if any(step.name == APPLY and step.at <= since for step in action.steps)
    ]
    last = max(earlier, key=lambda action: action.decided_at or 0.0, default=None)
    if last is None or not last.final or since - last.updated_at > RECENT:
        return None
    return last


def _stuck(action: Action) -> Mapping[str, Any]:
    return (action.progress or {}).get("stuck") or {}
