"""Every option of a spec: what is planned is what the cluster keeps, so nothing is left to do."""

import dataclasses
import datetime
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from deploy.kube.cluster import Cluster, connect
from deploy.plans.plan import Plan
from deploy.plans.planning import Planner
from deploy.rendering.manifests import token_secret
from deploy.rollouts.rollout import apply_plan
from deploy.specs.fields import SPEC
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.options import Disruption
from deploy.specs.spec import spec_from_mapping
from deploy.tokens.token import expiry_for
from tests.cluster.conftest import Target
from tests.support.gateway_bed import INSTANCE, INSTANCES, PATIENT, Mint
from tests.support.kube_api import MERGE, KubeApi

_SPECS = {path.stem: path for path in Path("tests/data/specs").glob("*.yaml")}
_ORDER = sorted(_SPECS)
_TAGS = ("2.11.1", "2.10.0")
_NODE_PORTS = itertools.count(30010)
"""Of the band that an API server gives to nobody by itself; each is asked for once, since those of
a namespace that is being deleted are still taken."""


@pytest.fixture
def cluster(target: Target) -> Iterator[Cluster]:
    """The cluster as the bot uses it."""
    found = connect("west", kubeconfig=target.kubeconfig, context=target.context, timeouts=PATIENT)
    yield found
    found.close()


def _spec(stem: str, namespace: str, **changes: str) -> GatewaySpec:
    mapping = yaml.safe_load(_SPECS[stem].read_text())
    node_ports = mapping.get("service", {}).get("nodePorts", {})
    node_ports.update({name: next(_NODE_PORTS) for name in node_ports})
    return spec_from_mapping({**mapping, "namespace": namespace, **changes})


def _plan(cluster: Cluster, spec: GatewaySpec, action_id: str, *, take_over: bool = False) -> Plan:
    planner = Planner(lambda _: cluster, lambda: _TAGS, instances=INSTANCES)
    return planner.plan(spec, action_id, take_over=take_over)


def _deploy(
    cluster: Cluster, spec: GatewaySpec, action_id: str, *, take_over: bool = False
) -> Plan:
    plan = _plan(cluster, spec, action_id, take_over=take_over)
    assert plan.conflicts == ()
    secret = plan.token.secret
    if plan.token.mint and secret is not None:
        expires_at = expiry_for(datetime.datetime.now(datetime.UTC))
        token = Mint().generate_token(INSTANCE, spec.apim.gateway, "primary", expires_at)
        cluster.create(token_secret(spec, secret, token, action_id))
    apply_plan(cluster, plan, action_id=action_id, requester="U1", force=take_over)
    return plan


def _assert_nothing_is_left(cluster: Cluster, spec: GatewaySpec, action_id: str) -> None:
    again = _plan(cluster, spec, action_id)
    assert again.conflicts == ()
    assert again.changes == ()
    assert again.empty


@pytest.mark.parametrize("name", _ORDER)
def test_a_deployed_spec_planned_again_changes_nothing(
    cluster: Cluster, ns: str, name: str
) -> None:
    spec = _spec(name, ns)
    first = _deploy(cluster, spec, "ABC234")
    assert {change.change for change in first.changes} == {"create"}
    assert len(first.changes) == len(first.objects)
    _assert_nothing_is_left(cluster, spec, "ABC235")


@pytest.mark.parametrize("name", _ORDER)
def test_a_spec_takes_the_place_of_every_option_and_gives_it_back(
    cluster: Cluster, ns: str, name: str
) -> None:
    """Options that are turned on in place and off again leave nothing behind."""
    # A load balancer's class may be set only together with its type.
    plain = dataclasses.replace(_spec("trivial", ns, name="gw"), service_type="ClusterIP")
    asked = _spec(name, ns, name="gw")
    _deploy(cluster, plain, "ABC234")
    before = cluster.get("Deployment", ns, "gw")
    _deploy(cluster, asked, "ABC235")
    _assert_nothing_is_left(cluster, asked, "ABC236")
    back = _deploy(cluster, plain, "ABC237", take_over=True)
    for kind in {change.kind for change in back.changes if change.change == "delete"}:
        assert cluster.get(kind, ns, "gw") is None
    _assert_nothing_is_left(cluster, plain, "ABC238")
    after = cluster.get("Deployment", ns, "gw")
    assert before is not None
    assert after is not None
    assert _pod(after) == _pod(before)


def _pod(deployment: dict[str, object]) -> object:
    spec = deployment["spec"]
    assert isinstance(spec, dict)
    # An autoscaler may have changed it meanwhile, and what it has set stays.
    spec.pop("replicas")
    pod = spec["template"]["spec"]
    # An account that is gone is said to be the default one, which is the same.
    for name in ("serviceAccount", "serviceAccountName"):
        assert pod.pop(name, "default") == "default"
    # A gateway that has signed in otherwise meanwhile gets a new token.
    for container in pod["containers"]:
        container.pop("env", None)
    return spec


def test_turning_autoscaling_on_keeps_the_pods_that_there_are(cluster: Cluster, ns: str) -> None:
    """A number that nobody says any more would become one, and stop the other pods."""
    _deploy(cluster, dataclasses.replace(_spec("trivial", ns, name="gw"), replicas=5), "ABC234")
    asked = _spec("autoscaled", ns, name="gw")
    plan = _deploy(cluster, asked, "ABC235")
    changed = [f.path for change in plan.changes for f in change.fields]
    assert "spec.replicas" not in changed
    found = cluster.get("Deployment", ns, "gw")
    assert found is not None
    assert found["spec"]["replicas"] == 5
    _assert_nothing_is_left(cluster, asked, "ABC236")


def test_an_autoscalers_number_is_not_taken_back(cluster: Cluster, api: KubeApi, ns: str) -> None:
    _deploy(cluster, _spec("trivial", ns, name="gw"), "ABC234")
    asked = _spec("autoscaled", ns, name="gw")
    _deploy(cluster, asked, "ABC235")
    scale = f"/apis/apps/v1/namespaces/{ns}/deployments/gw/scale"
    assert api.request("PATCH", scale, {"spec": {"replicas": 7}}, MERGE).status == 200
    _assert_nothing_is_left(cluster, asked, "ABC236")
    _deploy(cluster, dataclasses.replace(asked, tag="2.10.0"), "ABC237")
    found = cluster.get("Deployment", ns, "gw")
    assert found is not None
    assert found["spec"]["replicas"] == 7


def test_what_is_turned_off_is_deleted_unless_it_is_somebody_elses(
    cluster: Cluster, api: KubeApi, ns: str
) -> None:
    asked = _spec("autoscaled", ns, name="gw")
    _deploy(cluster, asked, "ABC234")
    plain = dataclasses.replace(
        _spec("trivial", ns, name="gw"), disruption=Disruption(enabled=False)
    )
    plan = _deploy(cluster, plain, "ABC235", take_over=True)
    deleted = {change.kind for change in plan.changes if change.change == "delete"}
    assert deleted == {"HorizontalPodAutoscaler", "PodDisruptionBudget"}
    assert all(cluster.get(kind, ns, "gw") is None for kind in deleted)
    path = f"/apis/policy/v1/namespaces/{ns}/poddisruptionbudgets"
    selector = {"matchLabels": {"app": "gw"}}
    api.create(path, {"metadata": {"name": "gw"}, "spec": {"selector": selector}})
    _assert_nothing_is_left(cluster, plain, "ABC236")


def test_the_specs_together_use_every_option() -> None:
    used = {path for stem in _ORDER for path in _paths(yaml.safe_load(_SPECS[stem].read_text()))}
    # Those of adopted gateways are proven by adopting some: a selector cannot be given in place.
    asked = {field.path for field in SPEC.fields if not field.path.startswith("objects.")}
    assert asked <= used


def _paths(mapping: dict[str, object], above: str = "") -> Iterator[str]:
    for key, value in mapping.items():
        yield f"{above}{key}"
        if isinstance(value, dict):
            yield from _paths(value, f"{above}{key}.")
