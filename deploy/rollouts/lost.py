"""What an action whose record Redis has lost left behind, read off its gateway's cluster.

Nothing but the cluster can still say whether it had started: its Lease names the action that held the
gateway last, its Deployment the one that wrote it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from deploy.actions.fencing import held_of, lease_name
from deploy.errors import NotFound, Unavailable
from deploy.gateway import GatewayRef
from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.observed.progress import progress_of
from deploy.observed.selecting import chosen_by, labelled
from deploy.rollouts.live_state import ready_pods, wanted, within, written_by

_READ_SECONDS = 5.0


@dataclass(frozen=True)
class Remains:
    """What the cluster holds of a gateway, in words, and whether a lost action had started there."""

    begun: bool
    held: str


class StillRuns(Unavailable):
    """A bot still works on the lost action: what the cluster holds may change at any moment."""


class LostActions:
    """Reads what lost actions left on the clusters."""

    def __init__(self, clusters: Mapping[str, Cluster], seconds: float = _READ_SECONDS) -> None:
        self._clusters = clusters
        self._seconds = seconds

    def of(self, ref: GatewayRef, action_id: str) -> Remains:
        """What one left. StillRuns until its run has ended, NotFound where the settings no longer
        have the cluster, and the cluster's errors."""
        cluster = self._clusters.get(ref.cluster)
        if cluster is None:
            raise NotFound(f"Cluster “{ref.cluster}” is no longer in the bot's settings.")
        lease, deployment = within(
            self._seconds,
            cluster,
            [
                lambda: cluster.get("Lease", ref.namespace, lease_name(ref)),
                lambda: cluster.get("Deployment", ref.namespace, ref.name),
            ],
        )
        held = held_of(lease) if lease else None
        mine = held is not None and held.action_id == action_id
        if held is not None and mine and held.holder and held.until > cluster.now():
            raise StillRuns(f"The bot {held.holder} is still working on {ref}.")
        # Those of a Deployment that is gone had the usual label.
        chosen = chosen_by(deployment) if deployment else labelled({"app": ref.name})
        sets, pods = within(
            self._seconds,
            cluster,
            [
                lambda: cluster.list("ReplicaSet", ref.namespace),
                lambda: cluster.list("Pod", ref.namespace, label_selector=chosen),
            ],
        )
        begun = mine or (deployment is not None and written_by(deployment) == action_id)
        return Remains(begun, _held(ref, deployment, sets, pods, action_id))


def _held(
    ref: GatewayRef,
    deployment: Manifest | None,
    sets: list[Manifest],
    pods: list[Manifest],
    action_id: str,
) -> str:
    running = ready_pods(deployment, sets, pods, action_id)
    if deployment is None:
        return f"There is no Deployment {ref.name} in {ref.cluster}/{ref.namespace}. {running}"
    how = "written" if written_by(deployment) == action_id else "not written"
    going = ""
    if not progress_of(deployment, sets, pods).complete:
        going = (
            " The rollout is not complete: Kubernetes continues it, but the bot no longer "
            "follows it."
        )
    what = f"Deployment {ref.name}, {how} by this action: {wanted(deployment)}."
    return f"{what} {running}{going}"
