"""How a token gets to pods that read one Secret of this bot's, and back, step by step."""

from deploy.deadline import Deadline
from deploy.health.cache import ClusterCache
from deploy.kube.cluster import Cluster
from deploy.plans.plan import Plan
from deploy.rollouts.survey import Survey
from deploy.rollouts.token_ways import Way, way_of
from tests.deploy.plans.test_token_only import cluster, install, planned, running
from tests.deploy.rollouts.test_token_places import token
from tests.support.actions import as_stored
from tests.support.gateway_bed import action_for
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


def held(cluster: Cluster, name: str) -> str:
    secret = cluster.get("Secret", "dev", name)
    return str((secret or {}).get("data", {}).get("value", ""))


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


def test_going_back_that_was_done_but_for_its_record_is_done_when_another_bot_repeats_it(
    running: RunningCluster, cluster: Cluster
) -> None:
    name, stable = "edge-back", "edge-back-managed-token"
    declared(running, name)
    written(cluster, planned(cluster, name, action_id="ABC234"), "one", "ABC234")
    before = held(cluster, stable)
    at = "/spec/template/spec/containers/0/env/0/valueFrom/secretKeyRef/name"
    edit = {"op": "replace", "path": at, "value": stable}
    path = f"/apis/apps/v1/namespaces/dev/deployments/{name}"
    kind = "application/json-patch+json"
    assert running.request("PATCH", path, [edit], content_type=kind)[0] == 200
    plan = planned(cluster, name, action_id="ABC235")
    assert plan.manages is not None
    assert not plan.manages.waits
    action = action_for(plan, "ABC235")
    way = written(cluster, plan, "two", action.id)
    assert held(cluster, stable) != before
    assert way.put_back(cluster, action)
    way.forget(cluster)
    assert way_of(action.plan).put_back(cluster, action)
    assert held(cluster, stable) == before


def test_without_a_copy_nothing_is_put_back_and_nothing_is_claimed(
    running: RunningCluster, cluster: Cluster
) -> None:
    name = "edge-lost"
    declared(running, name, "edge-lost-managed-token")
    plan = planned(cluster, name, action_id="ABC234")
    action = action_for(plan, "ABC234")
    assert not written(cluster, plan, "one", action.id).put_back(cluster, action)


def test_a_key_that_is_made_anew_is_said_to_kill_a_token_that_waits_to_be_read(
    running: RunningCluster, cluster: Cluster
) -> None:
    name, stable = "edge-key", "edge-key-managed-token"
    declared(running, name)
    plan = planned(cluster, name, action_id="ABC234")
    written(cluster, plan, "one", "ABC234")
    cache = ClusterCache(cluster)
    cache.start()
    try:
        spare = Survey({"west": cache}).holding(plan.spec).spare
        assert [(h.secret, h.facts.key) for h in spare if h.ref.name == name and h.facts] == [
            (stable, "primary")
        ]
    finally:
        cache.stop(Deadline.after(5))


def test_a_key_that_is_made_anew_is_said_to_kill_the_token_that_is_kept_for_going_back(
    running: RunningCluster, cluster: Cluster
) -> None:
    name = "edge-versions"
    install(running, name)
    made = []
    for action_id in ("ABC234", "ABC235"):
        plan = planned(cluster, name, action_id=action_id)
        action = action_for(plan, action_id)
        written(cluster, plan, action_id, action_id).put(cluster, plan, action, force=False)
        made.append(plan.token.secret)
    cache = ClusterCache(cluster)
    cache.start()
    try:
        spare = Survey({"west": cache}).holding(plan.spec).spare
        assert made[0] in {h.secret for h in spare if h.ref.name == name}
    finally:
        cache.stop(Deadline.after(5))
