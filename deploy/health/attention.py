"""What somebody should look at first. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from deploy.kube.objects import Manifest
from deploy.masking import mask_secrets
from deploy.observed.pods import is_ready, state_of
from deploy.observed.token_facts import TokenFacts

_WARN = 7 * 24 * 3600.0
"""Azure Advisor warns seven days before a token expires; so does this."""

BROKEN = 3
"""No request is served, or none will be once a pod restarts."""
WRONG = 2
SOON = 1


@dataclass(frozen=True)
class Attention:
    """One thing to look at. `urgency` is BROKEN, WRONG or SOON."""

    urgency: int
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
        *_of_pods(deployment, pods),
        *_of_conditions(deployment),
        *_of_token(token, gateway, now),
    ]
    return tuple(sorted(found, key=lambda item: -item.urgency))


def _of_pods(deployment: Manifest, pods: Sequence[Manifest]) -> Iterator[Attention]:
    desired = int(deployment["spec"].get("replicas", 1))
    ready = int((deployment.get("status") or {}).get("readyReplicas", 0))
    if desired == 0:
        yield Attention(BROKEN, "It is scaled to zero: nothing serves traffic.")
    elif ready < desired:
        yield Attention(WRONG if ready else BROKEN, f"{ready} of {desired} pods are ready.")
    crashing = sum(state_of(pod) == "CrashLoopBackOff" for pod in pods)
    if crashing:
        what = "1 pod crashes" if crashing == 1 else f"{crashing} pods crash"
        yield Attention(WRONG, f"{what} again and again.")
    restarted = [pod for pod in pods if is_ready(pod) and _restarts(pod) >= 3]
    if restarted:
        most = max(map(_restarts, restarted))
        yield Attention(SOON, f"A pod has been restarted {most} times.")


def _of_conditions(deployment: Manifest) -> Iterator[Attention]:
    for condition in (deployment.get("status") or {}).get("conditions") or ():
        if condition.get("reason") == "ProgressDeadlineExceeded":
            yield Attention(WRONG, "Its last rollout did not finish.")
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            said = mask_secrets(condition.get("message", ""))
            yield Attention(WRONG, f"Pods cannot be created: {said}")


def _of_token(token: TokenFacts | None, gateway: str, now: float) -> Iterator[Attention]:
    if token is None:
        return
    facts = token.facts
    if facts is None:
        yield Attention(SOON, f"Its token is not known: {token.error}.")
        return
    if facts.gateway and gateway and facts.gateway != gateway:
        yield Attention(BROKEN, f"Its token belongs to gateway {facts.gateway}, not to {gateway}.")
    if facts.expires_at is None:
        return
    left = facts.expires_at.timestamp() - now
    if left <= 0:
        yield Attention(BROKEN, "Its token has expired.")
    elif left < _WARN:
        hours = int(left // 3600)
        shown = f"{hours // 24} days" if hours >= 48 else f"{hours} hours"
        yield Attention(SOON, f"Its token expires in {shown}.")


def _restarts(pod: Manifest) -> int:
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return sum(int(status.get("restartCount", 0)) for status in statuses)
