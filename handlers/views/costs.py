"""What a plan costs: what becomes of pods, of connections and of the token. Pure."""

from deploy.plans.plan import Plan
from handlers.views.text import counted, date, escape
from handlers.views.words import plans as words

_DAYS_COUNT = 3 * 86400
"""Seconds from which on a lifetime is told by its last day."""


def costs(plan: Plan, at: float | None = None) -> list[str]:
    """What becomes of pods, connections and the token; `at` is when the plan was made."""
    going = {change.kind for change in plan.changes if change.change == "delete"}
    if "Deployment" in going:
        kept = "PersistentVolumeClaim" not in going and plan.spec.backup.size is not None
        volumes = ["Its volume is kept"] if kept else []
        return [":wastebasket: Ends every pod", _connections(plan), *volumes]
    new = plan.first
    if new:
        pods = f"Starts {counted(plan.spec.least_replicas, 'pod')}"
    elif plan.restarts_pods:
        pods = ":arrows_counterclockwise: Replaces the running pods, one after another"
    else:
        pods = "Restarts no pod"
    return [
        pods,
        *([] if new else [_connections(plan)]),
        _token(plan, at),
        *_on_failure(plan),
    ]


def _on_failure(plan: Plan) -> list[str]:
    """What was decided with it for a rollout that fails."""
    back = plan.on_failure
    if back is None:
        return []
    what = f"Secret {escape(back.secret)}" if back.secret else f"revision {back.revision}"
    return [f":leftwards_arrow_with_hook: On failure: back to {what}"]


def _connections(plan: Plan) -> str:
    if plan.cuts_connections:
        return ":electric_plug: *Cuts open connections*"
    if plan.ends_pods:
        return f"Open requests get {plan.spec.rollout.termination_grace} s to end"
    return "Cuts no connection"


def _token(plan: Plan, at: float | None) -> str:
    if plan.token.secret is None:
        return "Signs in to Entra ID, without a token"
    if plan.token.mint:
        # Where any failure goes back to it, that is said already.
        said = plan.on_failure is not None and plan.on_failure.secret == plan.token.previous
        return _new_token(plan, at, to_previous=bool(plan.token.previous) and not said)
    if plan.token.expires_at:
        return f"Keeps its token until {escape(plan.token.expires_at[:16].replace('T', ' '))} UTC"
    return "Keeps its token"


def _new_token(plan: Plan, at: float | None, *, to_previous: bool) -> str:
    token = plan.token
    key = f" from the {escape(token.key)} key" if token.key else ""
    back = f"; back to `{escape(token.previous)}` if Azure refuses it" if to_previous else ""
    # That a gateway which is not there yet has none goes without saying.
    why = f". {escape(token.reason)}" if token.reason and not plan.first else ""
    lives = _lifetime(token.seconds)
    # The token is minted when the action runs: by then an hour may have passed.
    if at is not None and token.seconds >= _DAYS_COUNT:
        lives = words.valid_until(date(at + token.seconds, "{date_short}"))
    return f":key: New gateway token{key}, {lives}{back}{why}"


def _lifetime(seconds: int) -> str:
    days, hours = seconds // 86400, seconds % 86400 // 3600
    parts = [counted(days, "day") if days else "", counted(hours, "hour") if hours else ""]
    return words.valid_for(" ".join(part for part in parts if part) or "up to 30 days")
