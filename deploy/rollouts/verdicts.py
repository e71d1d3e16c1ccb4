"""How a deployment ended, in words: what happened, what it means now, what to do next."""

import dataclasses
import json
from collections.abc import Sequence

from deploy.actions.action import Outcome, State
from deploy.gateway import GatewayRef
from deploy.masking import masked
from deploy.observed.causes import remedy_of
from deploy.observed.pausing import Pause
from deploy.observed.progress import Progress
from deploy.plans.plan import FieldChange, Plan
from deploy.rollouts.reading_back import Changed
from deploy.rollouts.reasons import Reason, reason_of
from deploy.specs.gateway_spec import GatewaySpec

_FIELDS = 3
_LONGEST_VALUE = 80
_SETTLE = "Agree with them on who manages the gateway, then deploy again."
_NO_HINT = (
    "Check the pods with `kubectl describe pods`. Pods that run but do not become ready often "
    "cannot load their configuration from Azure."
)


def rolled_out(
    progress: Progress, seconds: float, left_over: str = "", warnings: Sequence[str] = ()
) -> Outcome:
    """Every pod of the wanted version is ready and the ones before are gone.

    `left_over` is why token Secrets that nothing needs any longer could not be deleted, `warnings` what
    the API server warned of and the plan did not show.
    """
    said = [f"Old token Secrets are left over: {left_over}"] if left_over else []
    if warnings:
        said.append(f"Kubernetes warns: {'; '.join(warnings)}")
    return Outcome(
        State.SUCCEEDED,
        f"{progress.ready} of {progress.desired} pods ready after {span(seconds)}",
        " ".join(said),
    )


def also_open(outcome: Outcome, why: str) -> Outcome:
    """An end after which the NetworkPolicy could not be narrowed, if there is a reason `why`."""
    if not why:
        return outcome
    said = f"The NetworkPolicy may still open what the other version needed: {why}"
    return dataclasses.replace(outcome, meaning=f"{outcome.meaning} {said}".strip())


def while_paused(done: Outcome, ref: GatewayRef, pause: Pause | None) -> Outcome:
    """A success whose Deployment is paused by now: all of it is there, and nothing that follows would
    be."""
    if pause is None:
        return done
    who = " and ".join(pause.by)
    have = "have" if len(pause.by) > 1 else "has"
    said = f"{who} {have} paused the Deployment" if who else "the Deployment is paused"
    means = (
        "Kubernetes does not replace its pods until it is resumed, so later changes are not "
        "rolled out."
    )
    resume = f"Run `kubectl rollout resume deployment/{ref.name} -n {ref.namespace}`, or ask whoever paused it."
    return Outcome(
        done.state,
        f"{done.happened}, but {said}",
        f"{means} {done.meaning}".strip(),
        f"{resume} {done.remedy}".strip(),
    )


def superseded(plan: Plan, *, begun: bool = False) -> Outcome:
    """The cluster, or what rules say, moved between the decision and the run.

    `begun` says that an earlier run of it had started to apply it.
    """
    untouched = "An interrupted run had started to apply it." if begun else ""
    forbidding = next((f for f in plan.findings if f.severity == "deny"), None)
    if forbidding is not None:
        return Outcome(
            State.SUPERSEDED,
            f"A rule forbids this now: {forbidding.what}",
            untouched or "Nothing was changed.",
            forbidding.fix,
        )
    return Outcome(
        State.SUPERSEDED,
        f"{plan.spec.ref} has changed on the cluster since this plan was shown.",
        untouched or "Nothing was changed: only a plan that was shown may be applied.",
        "The bot makes a new plan.",
    )


def unfinished(
    spec: GatewaySpec,
    progress: Progress,
    seconds: float,
    reason: Reason | None = None,
    *,
    first: bool = False,
) -> Outcome:
    """The rollout did not get on before its deadline, or cannot be seen any longer; `reason` is why,
    where more is known than its progress tells. `first` is that of a gateway's first version."""
    if progress.stale_since is not None:
        return Outcome(
            State.UNKNOWN,
            f"Cluster “{spec.ref.cluster}” stopped answering during the rollout.",
            "The plan was applied; whether the pods became ready is unknown.",
            "Check the gateway's status once the cluster answers again.",
        )
    reason = reason or reason_of(progress)
    return Outcome(
        State.FAILED,
        f"The rollout did not finish: {progress.ready} of {progress.desired} pods ready after "
        f"{span(seconds)}.",
        f"{reason.told} {_served(progress, first)}".strip(),
        _remedy(reason),
    )


def changed(found: Changed, *, back: bool = False) -> Outcome:
    """Somebody else changed the Deployment after it was applied, and the rollout was theirs; `back`
    says that it had gone back automatically."""
    return Outcome(
        State.FAILED,
        f"{_by(found)} changed it during the rollout: {_differences(found)}.",
        "The rollout failed and the previous version was applied again, but something else runs "
        "now."
        if back
        else "The plan was applied, but something else runs now.",
        _SETTLE,
    )


def reverted(found: Changed) -> str:
    """Somebody else changed the Deployment after its action had succeeded."""
    return (
        f"This is no longer in effect. {_by(found)} has changed it since: {_differences(found)}. "
        f"{_SETTLE}"
    )


def _by(found: Changed) -> str:
    return " and ".join(found.by) or "Somebody"


def _differences(found: Changed) -> str:
    said = "; ".join(_wanted(field) for field in found.fields[:_FIELDS])
    more = len(found.fields) - _FIELDS
    return said + (f"; and {more} more" if more > 0 else "")


def _wanted(field: FieldChange) -> str:
    before, _, name = field.path.rpartition(".")
    if name in ("name", "value"):
        # Of what, stands before it.
        name = f"{before.rpartition('.')[2]}.{name}"
    return f"{name} wanted {_value(field.new)}, now {_value(field.old)}"


def _value(value: object) -> str:
    if value is None:
        return "absent"
    return masked(value if isinstance(value, str) else json.dumps(value), _LONGEST_VALUE)


FIRST = "Nothing serves traffic yet: this is its first version."


def nothing_before(outcome: Outcome) -> Outcome:
    """It was to go back automatically, and there is nothing to go back to."""
    told = f"{outcome.meaning} There was no working previous version to roll back to."
    return dataclasses.replace(outcome, meaning=told.strip())


def came_back(before: GatewaySpec, progress: Progress, reason: Reason) -> Outcome:
    """The previous version is wanted again, because of `reason`."""
    stuck = f"The rollout did not finish, so {before.tag} is"
    if progress.complete:
        pods = f"{progress.ready} of {progress.desired} pods ready"
        return Outcome(State.FAILED, f"{stuck} back: {pods}.", reason.told, _remedy(reason))
    if progress.stale_since is not None:
        return Outcome(
            State.UNKNOWN,
            f"{stuck} being restored, but cluster “{before.ref.cluster}” has not answered since.",
            reason.told,
            "Check the gateway's status once the cluster answers again.",
        )
    now = reason_of(progress)
    return Outcome(
        State.FAILED,
        f"{stuck} being restored, which has not finished either.",
        " ".join(part for part in (reason.told, now.told, serving(progress)) if part),
        _remedy(now),
    )


def span(seconds: float) -> str:
    """A length of time as one reads it, in minutes and hours that are over."""
    whole = max(0, round(seconds))
    if whole < 120:
        return f"{whole} s"
    minutes = whole // 60
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"


def serving(progress: Progress) -> str:
    """The pods that serve traffic while a rollout is not finished."""
    old, new = progress.serving, progress.ready
    if old and new:
        return f"{_pods(old)} of the previous version and {new} of the new one serve traffic."
    if old:
        return f"{_pods(old)} of the previous version still {_serve(old)} traffic."
    if new:
        return f"{_pods(new)} of the new version {_serve(new)} traffic."
    return "No pod of this gateway serves traffic."


def _served(progress: Progress, first: bool) -> str:
    return FIRST if first and not progress.ready else serving(progress)


def _pods(count: int) -> str:
    return "1 pod" if count == 1 else f"{count} pods"


def _serve(count: int) -> str:
    return "serves" if count == 1 else "serve"


def _remedy(reason: Reason) -> str:
    return remedy_of(reason.cause) or _NO_HINT
