"""An executor whose effect is not idempotent, so that doing it twice shows."""

import threading

from deploy.actions.action import Action, Outcome, State
from deploy.actions.executor import Run
from deploy.changes.kinds import Kind, Means, Workings
from deploy.gateway import GatewayRef
from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.plans.requests import DeployRequest
from deploy.retry import RunLost, patiently
from tests.support.actions import plan_of

STAMP = "stamp"


def stamps_of(cluster: Cluster, ref: GatewayRef) -> list[str]:
    """The ids of the actions that have stamped a gateway, one for each time, in order."""
    found = cluster.get("ConfigMap", ref.namespace, f"stamps-{ref.name}")
    return str((found or {}).get("data", {}).get("stamps", "")).split()


class Stamper:
    """Adds the action's id to a list on the cluster, unless it is there: read, look, write.

    Between reading and writing there is time for another to do the same, if anything lets it in.
    """

    def __init__(self, cluster: Cluster, pause: float = 0.05) -> None:
        self._cluster = cluster
        self._pause = pause
        self.executions = 0
        self.most = 0
        self._now: dict[GatewayRef, int] = {}
        self._lock = threading.Lock()

    def execute(self, action: Action, run: Run) -> Outcome:
        """Stamp the gateway once."""
        with self._lock:
            self.executions += 1
            self._now[action.ref] = self._now.get(action.ref, 0) + 1
            self.most = max(self.most, self._now[action.ref])
        try:
            run.step("read")
            patiently(lambda: self._stamp(action, run), run.lost, 60)
            run.step("told")
            return Outcome(State.SUCCEEDED, "stamped")
        finally:
            with self._lock:
                self._now[action.ref] -= 1

    def _stamp(self, action: Action, run: Run) -> None:
        ref = action.ref
        before = stamps_of(self._cluster, ref)
        if action.id in before:
            return
        if run.lost.wait(self._pause):
            raise RunLost
        run.guard()
        self._write(ref, [*before, action.id])

    def _write(self, ref: GatewayRef, stamps: list[str]) -> None:
        manifest: Manifest = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": f"stamps-{ref.name}", "namespace": ref.namespace},
            "data": {"stamps": " ".join(stamps)},
        }
        self._cluster.apply(manifest, force=True)


def _workings(means: Means) -> Workings:
    return Workings(
        lambda request, action_id: plan_of(request.spec.ref),
        Stamper(means.clusters["west"], pause=0.3),
        means.left,
    )


STAMPING = Kind(STAMP, DeployRequest, _workings)
"""Its plan says nothing of what it does: nothing is decided by it here."""
