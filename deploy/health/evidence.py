"""Gathers what there is to know about gateways' links to Azure, within a bound of time."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import dataclass, replace

from deploy.background import reported
from deploy.errors import GatewayBotError
from deploy.gateway import GatewayRef
from deploy.health.heartbeat import (
    WINDOW,
    AzureEvent,
    Evidence,
    Heartbeat,
    PodEvidence,
    Refusal,
    heartbeat_of,
)
from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.log_context import carried
from deploy.observed import inventory
from deploy.observed.given import read_given
from deploy.observed.pods import PodProgress, pod_progress, token_secret_of
from deploy.observed.token_facts import TokenFacts
from deploy.rendering.pod_template import HTTP, STATUS_PATH

BOUND = 5.0
"""How long, in seconds, evidence is gathered for; what has not come by then is unknown."""
ASKED = 50
"""Of how many pods of one gateway logs and status are asked."""
_AT_ONCE = 32
_LOG_LINES = 1000
_TOO_LATE = "it did not answer in time"


@dataclass(frozen=True)
class Asked:
    """A gateway to look at: what is known of it beforehand, and what Azure said of its tokens;
    `signs_in` says that it has none."""

    ref: GatewayRef
    deployment: Manifest
    pods: Sequence[Manifest]
    token: TokenFacts | None
    azure_events: Sequence[AzureEvent] = ()
    signs_in: bool = False


@dataclass(frozen=True)
class _Told:
    """What was found, or why nothing was."""

    text: str | None
    why: str = ""


@dataclass(frozen=True)
class _Running:
    """Questions under way about one gateway: by pod its log and its answer, and its settings."""

    asked: Asked
    pods: Mapping[str, tuple["Future[str]", "Future[str]"]]
    unlogged: "Future[str]"

    def futures(self) -> list["Future[str]"]:
        return [self.unlogged, *(future for pair in self.pods.values() for future in pair)]


def heartbeats(
    cluster: Cluster,
    gateways: Sequence[Asked],
    *,
    bound: float = BOUND,
    log_lines: int = _LOG_LINES,
) -> dict[GatewayRef, Heartbeat]:
    """Ask the pods of every gateway at once and judge what they say.

    Nothing is raised, and nothing takes longer than `bound`: what could not be read by then is
    unknown, and why.
    """
    pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="evidence")
    try:
        running = [_begin(pool, cluster, asked, log_lines) for asked in gateways]
        wait_for([future for one in running for future in one.futures()], timeout=bound)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    now = cluster.now()
    return {one.asked.ref: _judge(one, now, log_lines) for one in running}


def stale_token(pod: Manifest, deployment: Manifest, token: TokenFacts | None, now: float) -> str:
    """Why the pod holds a token that is no longer the right one; empty when nothing shows that."""
    previous = _previous_token(pod, deployment, token)
    facts = token.facts if token else None
    if facts and facts.expires_at is not None and facts.expires_at.timestamp() <= now:
        return previous or f"its token expired on {facts.expires_at:%Y-%m-%d at %H:%M} UTC"
    return previous


def _previous_token(pod: Manifest, deployment: Manifest, token: TokenFacts | None) -> str:
    """What shows that the pod holds another token than the one in use; empty where nothing does."""
    template = deployment["spec"]["template"].get("spec") or {}
    current, own = token_secret_of(template), token_secret_of(pod["spec"])
    if own and current and own[0] != current[0]:
        return f"it still uses the token from Secret {own[0]} instead of {current[0]}"
    started = pod_progress(pod).started_at
    changed = token.changed_at if token else None
    if started is not None and changed is not None and started < changed:
        return "it started before the token in its Secret was changed"
    return ""


def _begin(pool: ThreadPoolExecutor, cluster: Cluster, asked: Asked, log_lines: int) -> _Running:
    pods = [pod for pod in _living(asked.pods) if _runs(pod)][:ASKED]
    return _Running(
        asked,
        {
            pod["metadata"]["name"]: (
                reported(pool.submit(carried(_log), cluster, asked.deployment, pod, log_lines)),
                reported(pool.submit(carried(_answer), cluster, pod)),
            )
            for pod in pods
        },
        reported(pool.submit(carried(_unlogged), cluster, asked.deployment)),
    )


def _judge(running: _Running, now: float, log_lines: int) -> Heartbeat:
    asked = running.asked
    living = _living(asked.pods)
    looked_at = [pod for pod in living if pod["metadata"]["name"] in running.pods or not _runs(pod)]
    evidence = [_evidence(pod, running, now, log_lines) for pod in looked_at]
    heartbeat = heartbeat_of(Evidence(tuple(evidence), now, len(living) - len(looked_at)))
    heartbeat = replace(heartbeat, refusal=_refusal(asked, heartbeat, living, now))
    hint = _why_refused(asked, now) if heartbeat.level == "denied" else ""
    return replace(heartbeat, evidence=f"{heartbeat.evidence}. {hint}") if hint else heartbeat


def _refusal(
    asked: Asked, heartbeat: Heartbeat, pods: Sequence[Manifest], now: float
) -> Refusal | None:
    """That Azure refuses the token in use, where pods that hold it show that."""
    token = asked.token
    if heartbeat.level != "denied" or token is None or inventory.signs_in(asked.deployment):
        return None
    if token.facts is not None and token.facts.source == "unknown":
        # Nothing shows that this Secret holds a gateway token at all.
        return None
    denied = {
        beat.pod: beat.refusals
        for beat in heartbeat.pods
        if beat.level == "denied" and beat.answered
    }
    holding = [
        denied[pod["metadata"]["name"]]
        for pod in pods
        if pod["metadata"]["name"] in denied and not _previous_token(pod, asked.deployment, token)
    ]
    if not holding:
        return None
    of = token.facts.identity if token.facts else ""
    return Refusal(True, "Azure refuses its token", heartbeat.since or now, of, max(holding))


def _why_refused(asked: Asked, now: float) -> str:
    """What a refusal can mean, as far as the token itself tells; empty where it does not."""
    if asked.signs_in or inventory.signs_in(asked.deployment):
        return "Its identity may lack the role that lets it fetch its configuration"
    facts = asked.token.facts if asked.token else None
    named = inventory.apim_gateway_of(asked.deployment)
    if facts is None or facts.gateway is None or facts.expires_at is None:
        return ""
    if (named and facts.gateway != named) or facts.expires_at.timestamp() <= now:
        # That is said separately.
        return ""
    return (
        f"Its token names {facts.gateway} and has not expired: it belongs to another API Management "
        "instance, or its key was regenerated"
    )


def _evidence(pod: Manifest, running: _Running, now: float, log_lines: int) -> PodEvidence:
    seen: PodProgress = pod_progress(pod)
    asked = running.asked
    stale = stale_token(pod, asked.deployment, asked.token, now)
    event = _event_about(pod, asked)
    if seen.name not in running.pods:
        return PodEvidence(seen.name, seen.ready, seen.state, log="", stale=stale, event=event)
    log, answer = (_in_time(future) for future in running.pods[seen.name])
    unlogged = _in_time(running.unlogged)
    return PodEvidence(
        pod=seen.name,
        ready=seen.ready,
        state=seen.state,
        answers=None if answer.text is None else answer.text == "",
        status_error=answer.why or answer.text or "",
        log=log.text,
        log_error=log.why,
        log_cut=log.text is not None and log.text.count("\n") >= log_lines,
        unlogged=unlogged.text
        if unlogged.text is not None
        else f"its settings cannot be read: {unlogged.why}",
        stale=stale,
        event=event,
        started_at=seen.started_at,
    )


def _event_about(pod: Manifest, asked: Asked) -> AzureEvent | None:
    """The newest event that may be about this pod: about it by name, else about no pod by name.

    One about another token than the one in use is not news.
    """
    names = {item["metadata"]["name"] for item in asked.pods}
    facts = asked.token.facts if asked.token else None
    expires_at = facts.expires_at.timestamp() if facts and facts.expires_at else None
    about = [
        event
        for event in asked.azure_events
        if (event.instance == pod["metadata"]["name"] or event.instance not in names)
        and (expires_at is None or abs(expires_at - event.expires_at) < 60)
    ]
    return max(about, key=lambda event: event.order, default=None)


def _living(pods: Sequence[Manifest]) -> list[Manifest]:
    return [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]


def _runs(pod: Manifest) -> bool:
    return pod_progress(pod).started_at is not None


def _log(cluster: Cluster, deployment: Manifest, pod: Manifest, lines: int) -> str:
    metadata = pod["metadata"]
    return cluster.logs(
        metadata["namespace"],
        metadata["name"],
        str(inventory.container_of(deployment).get("name", "")),
        tail=lines,
        since_seconds=int(WINDOW),
        timestamps=True,
    )


def _answer(cluster: Cluster, pod: Manifest) -> str:
    metadata = pod["metadata"]
    return cluster.probe(metadata["namespace"], metadata["name"], HTTP, STATUS_PATH)


def _unlogged(cluster: Cluster, deployment: Manifest) -> str:
    pod_spec = deployment["spec"]["template"].get("spec") or {}
    namespace = deployment["metadata"]["namespace"]
    return inventory.unlogged(read_given(cluster, namespace, pod_spec))


def _in_time(future: "Future[str]") -> _Told:
    if not future.done() or future.cancelled():
        return _Told(None, _TOO_LATE)
    try:
        return _Told(future.result())
    except GatewayBotError as error:
        return _Told(None, error.happened.rstrip("."))
