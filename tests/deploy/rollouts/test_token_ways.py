"""How a token gets to pods that read one Secret of this bot's, and back, step by step."""

from deploy.kube.cluster import Cluster
from deploy.plans.plan import Plan
from deploy.rollouts.token_ways import Way, way_of
from tests.deploy.plans.test_token_only import cluster, install, planned, running
from tests.deploy.rollouts.test_token_places import token
from tests.support.actions import as_stored
from tests.support.running_cluster import RunningCluster

__all__ = ["cluster", "running"]
ARGO = "argocd.argoproj.io/tracking-id"


def declared(running: RunningCluster, name: str, secret: str = "") -> None:
    install(running, name, secret, **{ARGO: f"edge:apps/Deployment:dev/{name}"})


def written(cluster: Cluster, plan: Plan, text: str, action_id: str, **more: float) -> Way:
    way = way_of(plan)
    assert way.place is not None
    way.place.write(cluster, token(text, **more), action_id, "primary")
    return way


def test_while_no_pod_reads_the_bots_secret_no_token_in_it_is_one_to_go_back_to(
    running: RunningCluster, cluster: Cluster
) -> None:
    declared(running, "edge-waits")
    written(
        cluster,
        as_stored(planned(cluster, "edge-waits", action_id="ABC234")),
        "one",
        "ABC234",
        days=2,
    )
    written(cluster, as_stored(planned(cluster, "edge-waits", action_id="ABC235")), "two", "ABC235")
    assert cluster.get("Secret", "dev", "edge-waits-managed-token-previous") is None
