"""How a rotation ended, in words: what happened, what it means now, what to do next."""

import datetime

from deploy.actions.action import Outcome, State
from deploy.commands import Command
from deploy.errors import GatewayBotError, Unavailable
from deploy.gateway import GatewayRef
from deploy.observed.causes import Cause
from deploy.observed.progress import Progress
from deploy.rollouts.collecting import Collected
from deploy.rollouts.reasons import Reason, reason_of
from deploy.rollouts.verdicts import serving, span
from deploy.rollouts.verification import Answer, Judged
from deploy.times import minute
from deploy.tokens.token_plan import TokenPlan

_REMEDY_REFUSED = (
    "If the token names this gateway, the gateway may belong to another API Management "
    "instance, or its key may have been regenerated. Check `apim` in the settings, then"
)
_REMEDY_STUCK = "Fix what prevents new pods from becoming ready, then"


def refused(evidence: str) -> Reason:
    """Why to go back: what shows that Azure refuses the token."""
    return Reason(Cause.TOKEN_REFUSED, f"Azure refuses the new token ({evidence}).")


def stuck(progress: Progress) -> Reason:
    """Why to go back: the rollout did not finish."""
    reason = reason_of(progress)
    text = f"Only {progress.ready} of {progress.desired} pods became ready with the new token."
    return Reason(reason.cause, f"{text} {reason.told}".strip())


def rotated(
    token: TokenPlan,
    progress: Progress,
    judged: Judged,
    expires_at: float | None,
    collected: Collected,
    *,
    kept: str,
    seconds: float,
) -> Outcome:
    """Every pod runs with the new token, and nothing speaks against Azure taking it. `kept` says what
    is kept for going back."""
    proof = (
        "Azure accepts it"
        if judged.answer is Answer.PROVEN
        else ("There is no sign that Azure refuses it")
    )
    meaning = [
        f"{proof}: {judged.evidence}.",
        f"Made with the {token.key} key{_until(expires_at)}.",
        kept,
        _collected(collected),
    ]
    return Outcome(
        State.SUCCEEDED,
        f"{progress.ready} of {progress.desired} pods run with the new token after {span(seconds)}",
        " ".join(part for part in meaning if part),
    )


def nothing_runs(token: TokenPlan) -> Outcome:
    """It is scaled to zero."""
    return Outcome(
        State.SUCCEEDED,
        "The new token is in place, but no pod is running to use it",
        f"Whether Azure accepts it is unknown. Secret {token.previous} is kept.",
    )


def unverified(ref: GatewayRef, token: TokenPlan, evidence: str) -> Outcome:
    """It is rolled out, and what there is to see decides nothing."""
    return Outcome(
        State.UNKNOWN,
        "The new token is rolled out, but there is no evidence that Azure accepts it.",
        f"Evidence so far: {evidence}. Nothing was rolled back or deleted: Secret "
        f"{token.previous} is kept.",
        f"Check {Command('status', ref)}. It is safe to rotate again: {Command('rotate', ref)}.",
    )


def went_back(
    ref: GatewayRef, secret: str, reason: Reason, progress: Progress, seen: Judged, forgotten: str
) -> Outcome:
    """The previous token is in use again, in that Secret; `forgotten` says what became of the new
    one."""
    return Outcome(
        State.FAILED,
        f"The previous token is in use again: {reason.text}",
        f"{progress.ready} of {progress.desired} pods are ready with Secret {secret} "
        f"({seen.evidence}). {forgotten}",
        _remedy(ref, reason),
    )


def not_back(ref: GatewayRef, token: TokenPlan, reason: Reason, progress: Progress) -> Outcome:
    """The way back was taken and does not get to its end."""
    state = State.UNKNOWN if progress.stale_since is not None else State.FAILED
    told = (
        "The cluster has not answered since."
        if progress.stale_since is not None
        else f"{' '.join(progress.trouble[:1])} {serving(progress)}".strip()
    )
    return Outcome(
        state,
        f"{reason.text} The rollback to Secret {token.previous} has not finished.",
        f"{told} Both Secrets are kept.",
        _look(ref),
    )


def too_late(
    ref: GatewayRef,
    token: TokenPlan,
    reason: Reason,
    expired: datetime.datetime,
    progress: Progress,
) -> Outcome:
    """The previous token has expired: pods that have the new one are better off with it."""
    return Outcome(
        State.FAILED,
        f"{reason.text} The previous token expired {minute(expired)}, so nothing was rolled back.",
        f"{serving(progress)} Secret {token.previous} is kept.",
        _remedy(ref, reason),
    )


def no_way_back(ref: GatewayRef, token: TokenPlan, reason: Reason) -> Outcome:
    """The previous Secret is gone."""
    return Outcome(
        State.FAILED,
        f"{reason.text} Secret {token.previous} no longer exists, so a rollback is not possible.",
        "Pods that are ready keep the new token.",
        _remedy(ref, reason),
    )


def back_failed(
    ref: GatewayRef, token: TokenPlan, reason: Reason, error: GatewayBotError
) -> Outcome:
    """Going back was refused, or cannot be seen."""
    return Outcome(
        State.UNKNOWN if isinstance(error, Unavailable) else State.FAILED,
        f"{reason.text} The rollback to Secret {token.previous} failed: {error.happened}",
        f"{error.meaning} Both Secrets are kept.".strip(),
        error.remedy or _look(ref),
    )


def _remedy(ref: GatewayRef, reason: Reason) -> str:
    first = _REMEDY_REFUSED if reason.cause is Cause.TOKEN_REFUSED else _REMEDY_STUCK
    return f"{first} rotate again: {Command('rotate', ref)}."


def _look(ref: GatewayRef) -> str:
    return f"Check {Command('status', ref)}, then rotate again: {Command('rotate', ref)}."


def _until(expires_at: float | None) -> str:
    if expires_at is None:
        return ""
    moment = datetime.datetime.fromtimestamp(expires_at, datetime.UTC)
    return f"; it expires {minute(moment)}"


def _collected(collected: Collected) -> str:
    count = len(collected.deleted)
    told = f"{count} older {'Secret was' if count == 1 else 'Secrets were'} deleted."
    parts = [told if count else ""]
    if collected.trouble:
        parts.append(f"Older Secrets are left over: {collected.trouble}")
    return " ".join(part for part in parts if part)
