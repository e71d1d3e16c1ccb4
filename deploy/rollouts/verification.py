"""Whether new pods really talk to Azure with their token.

A pod's token is an environment variable, so what a pod of the new token says is said with it. At
log level debug a successful poll proves it. At the usual levels success is silent, so no refusal,
ready, and an answering status path for a while is all there can be, and it is said to be just that.
Every pod is asked, a batch of them after the other, so that many take longer but no more memory.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from deploy.errors import GatewayBotError, NotFound
from deploy.health.evidence import ASKED, Asked, heartbeats
from deploy.health.heartbeat import Heartbeat, PodHeartbeat, heartbeat_of_pods
from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.log_context import carried
from deploy.observed.pods import is_leaving
from deploy.observed.selecting import labelled
from deploy.rendering.labels import selector
from deploy.retry import RunLost
from deploy.specs.gateway_spec import GatewaySpec


class Answer(StrEnum):
    """What the pods' evidence comes to."""

    PROVEN = "proven"
    QUIET = "quiet"
    DENIED = "denied"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Judged:
    """The answer and the evidence for it, in words."""

    answer: Answer
    evidence: str


@dataclass(frozen=True)
class Observing:
    """How long to look, in seconds: until silence counts, at most in all, and between two looks.

    `patience` is that of a gateway whose pods answer at once: the time of two looks comes on top.
    A gateway polls every ten seconds and a refusal comes at once (azure-docs,
    self-hosted-gateway-overview), so half a minute holds three polls.
    """

    quiet: float = 30.0
    patience: float = 150.0
    look: float = 3.0


def observing(quiet: float) -> Observing:
    """Looking for as long as silence takes, and two minutes more for what is slow to start."""
    return Observing(quiet=quiet, patience=quiet + 120.0)


def judge(heartbeat: Heartbeat) -> Judged:
    """What the heartbeat of all pods of one token comes to.

    One refusal is not enough: it may be the last of a moment in which Azure refused everybody.
    """
    pods = heartbeat.pods
    if not pods:
        return Judged(Answer.UNDECIDED, "no pod runs with it")
    refused = [pod for pod in pods if pod.level == "denied" and pod.refusals > 1]
    if refused:
        return Judged(Answer.DENIED, f"{len(refused)} of {len(pods)} pods: {refused[0].evidence}")
    levels = {pod.level for pod in pods}
    if levels == {"connected"}:
        return Judged(Answer.PROVEN, heartbeat.evidence)
    if levels <= {"connected", "no trouble seen"}:
        return Judged(Answer.QUIET, heartbeat.evidence)
    return Judged(Answer.UNDECIDED, heartbeat.evidence)


class Observer:
    """Looks at the pods that have one token; `reads` says of a pod whether it is such."""

    def __init__(
        self,
        cluster: Cluster,
        spec: GatewaySpec,
        reads: Callable[[Manifest], bool],
        observing: Observing,
    ) -> None:
        self._cluster = cluster
        self._spec = spec
        self._reads = reads
        self._observing = observing

    def look(self, lost: threading.Event | None = None) -> Judged:
        """What there is to see now: a few seconds at most for each fifty pods.

        RunLost when `lost` is set. Raises what reading the Deployment or its pods raises.
        """
        ref = self._spec.ref
        deployment = self._cluster.get("Deployment", ref.namespace, ref.name)
        if deployment is None:
            raise NotFound(f"The Deployment “{ref.name}” is gone from {ref.cluster}.")
        pods = [pod for pod in self._pods() if _stays(pod) and self._reads(pod)]
        found: list[PodHeartbeat] = []
        for first in range(0, len(pods), ASKED):
            if lost is not None and lost.is_set():
                raise RunLost
            asked = Asked(ref, deployment, pods[first : first + ASKED], None)
            found += heartbeats(self._cluster, [asked])[ref].pods
        return judge(heartbeat_of_pods(found))

    def watch(self, lost: threading.Event) -> Judged:
        """Look until it is clear, or until there is no more patience. RunLost when `lost` is set.

        A cluster that does not answer leaves it undecided; NotFound when the Deployment is gone.
        """
        began = time.monotonic()
        calm_since: float | None = None
        slowest = 0.0
        while True:
            looked = time.monotonic()
            judged = self._seen(lost)
            now = time.monotonic()
            slowest = max(slowest, now - looked)
            if judged.answer in (Answer.PROVEN, Answer.DENIED):
                return judged
            if judged.answer is Answer.QUIET:
                calm_since = calm_since if calm_since is not None else now
                if now - calm_since >= self._observing.quiet:
                    return judged
            else:
                calm_since = None
            if now - began >= self._observing.patience + 2 * slowest:
                return Judged(Answer.UNDECIDED, judged.evidence)
            if lost.wait(self._pause(now - looked)):
                raise RunLost

    @contextmanager
    def refusals(self, lost: threading.Event) -> Iterator["Refusals"]:
        """Look beside a rollout, which a refused token would only hold up until its deadline."""
        found = Refusals(lost)
        ended = threading.Event()

        def work() -> None:
            took = 0.0
            while not ended.wait(self._pause(took)):
                looked = time.monotonic()
                try:
                    judged = self._seen(ended)
                except (NotFound, RunLost):
                    # The follower of the rollout says it.
                    return
                took = time.monotonic() - looked
                if judged.answer is Answer.DENIED:
                    found.evidence = judged.evidence
                    return

        name = f"refusals of {self._spec.ref.name}"
        threading.Thread(target=carried(work), name=name, daemon=True).start()
        try:
            yield found
        finally:
            # Nobody waits for a look under way: it has a bound of its own.
            ended.set()

    def _pause(self, took: float) -> float:
        """Until the next look: the pods of a large gateway are not asked without end."""
        return max(self._observing.look, min(took, self._observing.quiet))

    def _seen(self, lost: threading.Event) -> Judged:
        try:
            return self.look(lost)
        except NotFound:
            raise
        except GatewayBotError as error:
            return Judged(Answer.UNDECIDED, error.happened.rstrip("."))

    def _pods(self) -> list[Manifest]:
        chosen = labelled(selector(self._spec))
        return self._cluster.list("Pod", self._spec.ref.namespace, label_selector=chosen)


class Refusals:
    """Set once Azure is seen to refuse a pod, or the run is lost."""

    def __init__(self, lost: threading.Event) -> None:
        self.evidence = ""
        self._lost = lost

    def is_set(self) -> bool:
        """Whether to look no further."""
        return bool(self.evidence) or self._lost.is_set()


def _stays(pod: Manifest) -> bool:
    return not is_leaving(pod)
