"""Gathers what there is to know about a gateway's link to Azure, within a bound of time."""

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for

from deploy.cluster import Cluster
from deploy.errors import GatewayBotError
from deploy.heartbeat import WINDOW, Evidence, Heartbeat, PodEvidence, heartbeat_of
from deploy.inventory import container_of
from deploy.plan import Manifest
from deploy.pod_template import HTTP, STATUS_PATH
from deploy.pods import PodProgress, pod_progress, token_secret_of
from deploy.times import epoch
from deploy.tokens import SecretFacts

BOUND = 5.0
"""How long, in seconds, evidence is gathered for; what has not come by then is unknown."""
_ASKED = 20
"""Of how many pods of one gateway logs and status are asked."""
_AT_ONCE = 16
_LOG_LINES = 1000
_TOO_LATE = "it did not answer in time"

Told = tuple[str | None, str]
"""What was found, and why nothing was."""


def heartbeat(
    cluster: Cluster,
    deployment: Manifest,
    pods: Sequence[Manifest],
    secret: Manifest | None,
    facts: SecretFacts | None,
    *,
    bound: float = BOUND,
) -> Heartbeat:
    """Ask the pods and judge what they say. Nothing is raised: what cannot be read is unknown."""
    now = time.time()
    living = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
    asked = [pod for pod in living if _runs(pod)][:_ASKED]
    pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="evidence")
    try:
        logs = [pool.submit(_log, cluster, deployment, pod) for pod in asked]
        answers = [pool.submit(_answer, cluster, pod) for pod in asked]
        wait_for([*logs, *answers], timeout=bound)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    told = {
        pod["metadata"]["name"]: (_in_time(log), _in_time(answer))
        for pod, log, answer in zip(asked, logs, answers, strict=True)
    }
    return heartbeat_of(
        Evidence(
            tuple(
                _evidence(pod, told, stale_token(pod, deployment, secret, facts, now))
                for pod in living
                if pod in asked or not _runs(pod)
            ),
            now,
        )
    )


def stale_token(
    pod: Manifest,
    deployment: Manifest,
    secret: Manifest | None,
    facts: SecretFacts | None,
    now: float,
) -> str:
    """Why the pod holds a token that is no longer the right one; empty when nothing shows that."""
    template = deployment["spec"]["template"].get("spec") or {}
    current, own = token_secret_of(template), token_secret_of(pod["spec"])
    if own and current and own[0] != current[0]:
        return f"it still reads its token from Secret {own[0]}, not from {current[0]}"
    if facts and facts.expires_at is not None and facts.expires_at.timestamp() <= now:
        return f"its token expired on {facts.expires_at:%Y-%m-%d at %H:%M} UTC"
    started = pod_progress(pod).started_at
    changed = _changed_at(secret)
    if started is not None and changed is not None and started < changed:
        return "it started before the token in its Secret was changed"
    return ""


def _changed_at(secret: Manifest | None) -> float | None:
    """When the content of a Secret may last have changed; None for one whose content cannot."""
    if secret is None or secret.get("immutable"):
        return None
    metadata = secret["metadata"]
    times = [epoch(entry.get("time")) for entry in metadata.get("managedFields") or ()]
    known = [moment for moment in times if moment is not None]
    return max(known) if known else epoch(metadata.get("creationTimestamp"))


def _runs(pod: Manifest) -> bool:
    return pod_progress(pod).started_at is not None


def _evidence(pod: Manifest, told: dict[str, tuple[Told, Told]], stale: str) -> PodEvidence:
    seen: PodProgress = pod_progress(pod)
    if seen.name not in told:
        return PodEvidence(seen.name, seen.ready, seen.state, log="", stale=stale)
    (log, log_error), (silence, status_error) = told[seen.name]
    return PodEvidence(
        pod=seen.name,
        ready=seen.ready,
        state=seen.state,
        answers=None if silence is None else silence == "",
        status_error=status_error or silence or "",
        log=log,
        log_error=log_error,
        stale=stale,
    )


def _log(cluster: Cluster, deployment: Manifest, pod: Manifest) -> str:
    metadata = pod["metadata"]
    return cluster.logs(
        metadata["namespace"],
        metadata["name"],
        str(container_of(deployment).get("name", "")),
        tail=_LOG_LINES,
        since_seconds=int(WINDOW),
        timestamps=True,
    )


def _answer(cluster: Cluster, pod: Manifest) -> str:
    metadata = pod["metadata"]
    return cluster.probe(metadata["namespace"], metadata["name"], HTTP, STATUS_PATH)


def _in_time(future: Future[str]) -> Told:
    if not future.done() or future.cancelled():
        return None, _TOO_LATE
    try:
        return future.result(), ""
    except GatewayBotError as error:
        return None, error.happened.rstrip(".")
