"""Ending that the bot keeps a token takes it from nobody who reads it."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest

from deploy.actions.action import Action, State, Step
from deploy.gateway import GatewayRef
from deploy.kube.cluster import Cluster, connect
from deploy.observed.token_only import KeptToken, stable_name
from deploy.plans.requests import EndTokenRequest
from deploy.plans.token_end import plan_token_end
from deploy.rendering.token_only import own_secret
from deploy.retry import RunLost
from deploy.rollouts.token_ender import TokenEnder
from deploy.tokens.token import Token
from tests.support.gateway_bed import TIMEOUTS, RecordingRun, action_for
from tests.support.kube_api import JSON_PATCH, KubeApi
from tests.support.portal import portal
from tests.support.running_cluster import RunningCluster

REF = GatewayRef("west", "dev", "edge-1")
STABLE = stable_name(REF.name)
SECRETS = "/api/v1/namespaces/dev/secrets"
DEPLOYMENTS = "/apis/apps/v1/namespaces/dev/deployments"


@pytest.fixture
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCluster]:
    with RunningCluster(tmp_path_factory.mktemp("ending"), namespaces=("dev",)) as found:
        yield found


@pytest.fixture
def cluster(running: RunningCluster) -> Iterator[Cluster]:
    found = connect("west", kubeconfig=running.kubeconfig(), timeouts=TIMEOUTS)
    yield found
    found.close()


@pytest.fixture
def api(running: RunningCluster) -> KubeApi:
    return KubeApi(running.kubeconfig())


class Dies(RecordingRun):
    """A run whose bot dies once it has recorded that it begins to write."""

    def step(self, name: str, detail: str = "") -> None:
        """Record a step."""
        super().step(name, detail)
        if name == "apply":
            raise RunLost


def kept(api: KubeApi, cluster: Cluster) -> None:
    """A gateway of others, and a Secret of the bot's with its token that its pods do not read yet."""
    for item in portal("dev", REF.name):
        kind = {"Secret": SECRETS, "Deployment": DEPLOYMENTS}.get(item["kind"])
        api.create(kind or "/api/v1/namespaces/dev/configmaps", item)
    token = Token.parse("GatewayKey edge-1&209912312359&c2lnbmF0dXJl")
    assert token is not None
    apim = KeptToken(REF.name, "contoso", "edge-1")
    cluster.create(
        own_secret(REF, STABLE, apim, "value", token, "ABC111", "primary", now=0.0, immutable=False)
    )


def ender(cluster: Cluster) -> TokenEnder:
    return TokenEnder({"west": cluster}, lambda action: plan_token_end(cluster, action.ref))


def ending(cluster: Cluster) -> Action:
    plan = plan_token_end(cluster, REF)
    assert {(each.name, each.change) for each in plan.changes} == {(STABLE, "delete")}
    return action_for(plan, kind="end-manage-token", request=EndTokenRequest(REF))


def broken_off(action: Action) -> Action:
    """The action as the bot finds it that continues what another began."""
    return dataclasses.replace(action, steps=(Step("plan", 0.0), Step("apply", 0.0)))


def test_a_secret_stays_that_pods_were_pointed_to_while_nobody_continued_the_run(
    api: KubeApi, cluster: Cluster
) -> None:
    kept(api, cluster)
    action = ending(cluster)
    with pytest.raises(RunLost):
        ender(cluster).execute(action, Dies())
    reference = "/spec/template/spec/containers/0/env/0/valueFrom/secretKeyRef/name"
    change = [{"op": "replace", "path": reference, "value": STABLE}]
    path = f"{DEPLOYMENTS}/{REF.name}"
    assert api.request("PATCH", path, change, content_type=JSON_PATCH).status == 200
    outcome = ender(cluster).execute(broken_off(action), RecordingRun())
    assert outcome.state is State.SUCCEEDED
    assert f"Secret {STABLE} stays, with its token." in outcome.meaning
    left = api.get(f"{SECRETS}/{STABLE}")
    assert left["data"]["value"]
    assert "gateway-bot" not in str({k: left["metadata"].get(k) for k in ("labels", "annotations")})


def leaves(api: KubeApi, **metadata: Any) -> None:
    """A pod that reads that Secret and is being deleted, for as long as somebody's finalizer keeps it."""
    source = {"secretKeyRef": {"name": STABLE, "key": "value"}}
    container = {"name": "gw", "image": "x", "env": [{"name": "T", "valueFrom": source}]}
    pods = "/api/v1/namespaces/dev/pods"
    named = {"name": "leaves", "finalizers": ["contoso.com/later"], **metadata}
    api.create(pods, {"metadata": named, "spec": {"containers": [container]}})
    api.delete(f"{pods}/leaves")


def test_a_pod_that_is_being_deleted_keeps_no_secret(api: KubeApi, cluster: Cluster) -> None:
    kept(api, cluster)
    leaves(api)
    assert ender(cluster).execute(ending(cluster), RecordingRun()).state is State.SUCCEEDED
    assert api.gone(f"{SECRETS}/{STABLE}")


def test_a_pod_whose_owner_may_put_another_in_its_place_keeps_its_secret(
    api: KubeApi, cluster: Cluster
) -> None:
    kept(api, cluster)
    # A Job is not among what is listed, and one such pod is all that tells of it.
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "u", "controller": True}
    leaves(api, ownerReferences=[owner])
    changes = {each.name: each.change for each in plan_token_end(cluster, REF).changes}
    assert changes.get(STABLE) != "delete"


def test_a_run_that_was_broken_off_deletes_what_still_nobody_reads(
    api: KubeApi, cluster: Cluster
) -> None:
    kept(api, cluster)
    action = ending(cluster)
    with pytest.raises(RunLost):
        ender(cluster).execute(action, Dies())
    assert ender(cluster).execute(broken_off(action), RecordingRun()).state is State.SUCCEEDED
    assert api.gone(f"{SECRETS}/{STABLE}")


def test_a_secret_of_that_name_that_somebody_else_made_meanwhile_is_left_alone(
    api: KubeApi, cluster: Cluster
) -> None:
    kept(api, cluster)
    action = ending(cluster)
    with pytest.raises(RunLost):
        ender(cluster).execute(action, Dies())
    api.delete(f"{SECRETS}/{STABLE}")
    theirs = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": STABLE}}
    api.create(SECRETS, theirs)
    assert ender(cluster).execute(broken_off(action), RecordingRun()).state is State.SUCCEEDED
    assert not api.gone(f"{SECRETS}/{STABLE}")
