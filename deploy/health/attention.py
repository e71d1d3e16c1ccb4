"""What somebody should look at first. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from deploy.health.heartbeat import Refusal
from deploy.kube.objects import Manifest
from deploy.masking import mask_secrets
from deploy.observed.history import is_first_revision
from deploy.observed.pods import crashes, is_leaving, is_ready, pod_progress, restarts_of
from deploy.observed.token_facts import TokenFacts
from deploy.observed.workloads import is_managed, just_made, workload_kind

_WARN = 7 * 24 * 3600.0
"""Azure Advisor warns seven days before a token expires; so does this."""

BROKEN = 3
"""No request is served, or none will be once a pod restarts."""
WRONG = 2
SOON = 1


class Sign(StrEnum):
    """What kind of thing it is, whatever the words for it are."""

    NAMESPACE_ENDS = "namespace ends"
    SCALED_TO_ZERO = "scaled to zero"
    DOWN = "down"
    NOT_READY = "not ready"
    CRASHING = "crashing"
    NOT_RUNNING = "not running"
    RESTARTED = "restarted"
    ROLLOUT_FAILED = "rollout failed"
    NO_NEW_PODS = "no new pods"
    TOKEN_UNKNOWN = "token unknown"
    TOKEN_MISSING = "token missing"
    TOKEN_REFUSED = "token refused"
    TOKEN_SUSPECTED = "token suspected"
    TOKEN_OF_ANOTHER = "token of another gateway"
    TOKEN_EXPIRED = "token expired"
    TOKEN_EXPIRES = "token expires"


@dataclass(frozen=True)
class Attention:
    """One thing to look at. `urgency` is BROKEN, WRONG or SOON; `text` is for people alone."""

    urgency: int
    sign: Sign
    text: str


def attention(
    deployment: Manifest,
    pods: Sequence[Manifest],
    token: TokenFacts | None,
    gateway: str,
    now: float,
) -> tuple[Attention, ...]:
    """Everything about one gateway, the most urgent first.

    `gateway` is its name in API Management as the Deployment tells it, empty where it does not.
    """
    found = [
        *_of_pods(deployment, pods, now),
        *_of_conditions(deployment),
        *_of_token(token, gateway, now),
    ]
    return tuple(sorted(found, key=lambda item: -item.urgency))


def of_refusal(refusal: Refusal) -> Attention:
    """That Azure refuses the token, or is suspected of it."""
    if refusal.proven:
        killer = f" {refusal.killer}." if refusal.killer else ""
        return Attention(BROKEN, Sign.TOKEN_REFUSED, f"{refusal.why}.{killer}")
    return Attention(WRONG, Sign.TOKEN_SUSPECTED, f"Azure may refuse its token: {refusal.why}.")


def first_rollout(deployment: Manifest, now: float) -> bool:
    """Whether it has just been made and is still getting its first pods: whoever made it looks."""
    if not is_managed(deployment):
        return just_made(deployment, now)
    if not is_first_revision(deployment):
        return False
    for condition in (deployment.get("status") or {}).get("conditions") or ():
        if condition["type"] == "Progressing":
            over = ("NewReplicaSetAvailable", "ProgressDeadlineExceeded")
            return condition.get("reason") not in over
    return True


def _of_pods(deployment: Manifest, pods: Sequence[Manifest], now: float) -> Iterator[Attention]:
    desired = int(deployment["spec"].get("replicas", 1))
    ready = int((deployment.get("status") or {}).get("readyReplicas", 0))
    if desired == 0 and workload_kind(deployment) == "DaemonSet":
        yield Attention(
            BROKEN, Sign.SCALED_TO_ZERO, "No node fits its DaemonSet: nothing serves traffic."
        )
    elif desired == 0:
        yield Attention(
            BROKEN, Sign.SCALED_TO_ZERO, "It is scaled to zero: nothing serves traffic."
        )
    elif not ready and not first_rollout(deployment, now):
        yield Attention(BROKEN, Sign.DOWN, f"It is down: {_ready(0, desired)}")
    elif ready < desired:
        urgency = WRONG if ready else BROKEN
        yield Attention(urgency, Sign.NOT_READY, _ready(ready, desired))
    # One that is only ending is no longer one of those that should run.
    staying = [pod for pod in pods if not is_leaving(pod)]
    crashing = sum(map(crashes, staying))
    if crashing:
        what = "1 pod crashes" if crashing == 1 else f"{crashing} pods crash"
        yield Attention(WRONG, Sign.CRASHING, f"{what} repeatedly.")
    stuck = not_running(staying)
    if stuck:
        yield Attention(WRONG, Sign.NOT_RUNNING, stuck)
    restarted = [pod for pod in staying if is_ready(pod) and restarts_of(pod) >= 3]
    if restarted:
        most = max(map(restarts_of, restarted))
        yield Attention(SOON, Sign.RESTARTED, f"A pod has been restarted {most} times.")


def _ready(ready: int, desired: int) -> str:
    return f"{ready} of {desired} {'pod is' if desired == 1 else 'pods are'} ready."


def not_running(pods: Sequence[Manifest]) -> str:
    """How many of the pods do not run, and the cause of most of these in Kubernetes' words; empty where
    none is stuck. One that crashes runs."""
    staying = [pod for pod in pods if not is_leaving(pod)]
    waiting = [pod for pod in staying if not is_ready(pod) and not crashes(pod)]
    troubles = [said for pod in waiting if (said := pod_progress(pod).trouble)]
    if not troubles:
        return ""
    cause = max(troubles, key=troubles.count)
    of = f"{len(staying)} {'pods' if len(staying) > 1 else 'pod'}"
    return f"{len(troubles)} of {of} not running: {cause}"


def not_created(deployment: Manifest) -> str:
    """Why Kubernetes creates no pods of it, in its words; empty where it does."""
    for condition in (deployment.get("status") or {}).get("conditions") or ():
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            return mask_secrets(condition.get("message", ""))
    return ""


def _of_conditions(deployment: Manifest) -> Iterator[Attention]:
    for condition in (deployment.get("status") or {}).get("conditions") or ():
        if condition.get("reason") == "ProgressDeadlineExceeded":
            yield Attention(WRONG, Sign.ROLLOUT_FAILED, "Its last rollout did not finish.")
    if refused := not_created(deployment):
        yield Attention(WRONG, Sign.NO_NEW_PODS, f"Pods cannot be created: {refused}")


def _of_token(token: TokenFacts | None, gateway: str, now: float) -> Iterator[Attention]:
    if token is None:
        return
    facts = token.facts
    if token.missing:
        yield Attention(
            BROKEN,
            Sign.TOKEN_MISSING,
            f"Its token is missing: {token.error}. A pod that starts now cannot run.",
        )
        return
    if facts is None:
        yield Attention(SOON, Sign.TOKEN_UNKNOWN, f"Its token cannot be read: {token.error}.")
        return
    if facts.gateway and gateway and facts.gateway != gateway:
        yield Attention(
            BROKEN,
            Sign.TOKEN_OF_ANOTHER,
            f"Its token belongs to gateway {facts.gateway}, not to {gateway}.",
        )
    if facts.expires_at is None:
        return
    left = facts.expires_at.timestamp() - now
    if left <= 0:
        yield Attention(BROKEN, Sign.TOKEN_EXPIRED, "Its token has expired.")
    elif left < _WARN:
        hours = int(left // 3600)
        shown = f"{hours // 24} days" if hours >= 48 else f"{hours} hours"
        yield Attention(SOON, Sign.TOKEN_EXPIRES, f"Its token expires in {shown}.")
