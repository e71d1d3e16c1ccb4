"""A plan writes no object that is another gateway's, or that another workload runs on."""

import dataclasses
import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.kube.cluster import Cluster
from deploy.plans.adoption import derive
from deploy.plans.others import other_owner
from deploy.plans.plan import Plan
from deploy.plans.planning import Planner
from deploy.plans.redirection import redirections
from deploy.rendering.manifests import token_secret
from deploy.rollouts.rollout import apply_plan
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.overlay import merged
from deploy.specs.spec import spec_from_mapping, spec_to_mapping
from deploy.tokens.token import expiry_for
from tests.support.gateway_bed import INSTANCE, INSTANCES, SPEC, Mint
from tests.support.portal import portal

RULE = "object-of-another"
FIXTURES = Path(__file__).parents[2] / "data" / "adoption"
SHAPES = ("portal-v1", "portal-v2", "docs-2026", "helm-1.15")
GUID = "00000000-0000-0000-0000-000000000001"
COLLECTOR = {"apim": {"endpoint": "collector.example.net"}}
APP = {
    "auth": {
        "type": "entraApp",
        "clientId": GUID,
        "tenantId": GUID,
        "clientSecret": {"name": "app", "key": "secret"},
    }
}
"""How a gateway signs in for which no token is minted."""
IDENTITY = {"type": "workloadIdentity", "clientId": GUID, "tenantId": GUID}
OBJECTS: dict[str, tuple[dict[str, Any], str]] = {
    "its ConfigMap": ({"objects": {"configMap": "edge-1-env"}}, "ConfigMap edge-1-env"),
    "its Service": (
        {"objects": {"service": "edge-1-live-traffic"}},
        "Service edge-1-live-traffic",
    ),
    "its Service of discovery": (
        {"objects": {"discoveryService": "edge-1-instance-discovery"}},
        "Service edge-1-instance-discovery",
    ),
    "its PodDisruptionBudget": (
        {"objects": {"disruptionBudget": "edge-1"}},
        "PodDisruptionBudget edge-1",
    ),
    "its ServiceAccount": (
        {"auth": {**IDENTITY, "serviceAccount": "edge-1"}},
        "ServiceAccount edge-1",
    ),
}


@pytest.fixture
def planner(cluster: Cluster) -> Planner:
    return Planner({"west": cluster}.__getitem__, list, instances=INSTANCES)


def spec_with(*patches: dict[str, Any], name: str = "other") -> GatewaySpec:
    mapping: dict[str, Any] = spec_to_mapping(SPEC)
    for patch in (*patches, {"name": name}):
        mapping = merged(mapping, patch)
    return spec_from_mapping(mapping)


def deploy(cluster: Cluster, planner: Planner, spec: GatewaySpec) -> None:
    plan = planner.plan(spec, "ABC234", take_over=True)
    assert plan.digest, plan.findings
    if plan.token.mint:
        expiry = expiry_for(datetime.datetime.now(datetime.UTC))
        token = Mint().generate_token(INSTANCE, "edge-1", "primary", expiry)
        cluster.create(token_secret(spec, plan.token.secret or "", token, "ABC234"))
    apply_plan(cluster, plan, action_id="ABC234", requester="U1", force=True)


def owners(plan: Plan) -> str:
    """What the rule names; empty where it does not strike."""
    found = [f.fix.partition("Found: ")[2] for f in plan.findings if f.rule == RULE]
    assert plan.denied == bool(found)
    assert (plan.digest == "") == bool(found)
    return found[0] if found else ""


@pytest.mark.parametrize(("patch", "named"), OBJECTS.values(), ids=OBJECTS.keys())
def test_no_object_of_another_gateway_is_written(
    cluster: Cluster, planner: Planner, patch: dict[str, Any], named: str
) -> None:
    with_account = spec_with({"auth": IDENTITY}, name="edge-1")
    deploy(cluster, planner, with_account if "auth" in patch else SPEC)
    signed_in = {} if "auth" in patch else APP
    plan = planner.plan(spec_with(signed_in, COLLECTOR, patch), "XYZ789", take_over=True)
    assert owners(plan) == f"[{named} of edge-1]"


def test_a_gateway_writes_its_own_objects_whoever_reads_them_too(
    cluster: Cluster, planner: Planner
) -> None:
    deploy(cluster, planner, SPEC)
    reader = {"certificateAuthorities": [{"configMap": "edge-1-env", "key": "x"}]}
    deploy(cluster, planner, spec_with(APP, reader, name="reader"))
    changed = spec_with({"logs": {"level": "warn"}}, name="edge-1")
    assert owners(planner.plan(changed, "XYZ789")) == ""


def test_a_name_that_another_gateway_gave_its_object_first_is_its_own(
    cluster: Cluster, planner: Planner
) -> None:
    deploy(cluster, planner, spec_with(APP, {"objects": {"configMap": "edge-1-env"}}))
    assert owners(planner.plan(SPEC, "XYZ789")) == "[ConfigMap edge-1-env of other]"


@pytest.mark.parametrize("labels", [{"app.kubernetes.io/instance": "edge-1"}, {}])
def test_the_settings_of_a_gateway_that_something_else_installed_are_not_written(
    cluster: Cluster, planner: Planner, labels: dict[str, str]
) -> None:
    for item in portal("dev", "edge-1"):
        cluster.create({**item, "metadata": {**item["metadata"], "labels": labels}})
    wanted = spec_with(APP, COLLECTOR, {"objects": {"configMap": "edge-1-env"}})
    plan = planner.plan(wanted, "XYZ789", take_over=True)
    assert owners(plan) == "[ConfigMap edge-1-env of edge-1]"


def test_a_label_that_a_selector_brings_makes_nothing_ones_own(
    cluster: Cluster, planner: Planner
) -> None:
    deploy(cluster, planner, SPEC)
    posing = {"objects": {"selector": {"app.kubernetes.io/instance": "edge-1", "run": "other"}}}
    deploy(cluster, planner, spec_with(APP, posing))
    plan = planner.plan(
        spec_with(APP, merged(posing, {"objects": {"configMap": "edge-1-env"}})), "XYZ789"
    )
    assert owners(plan) == "[ConfigMap edge-1-env of edge-1]"


def test_a_gateway_of_which_only_the_settings_are_there_yet_is_another_too(
    cluster: Cluster, planner: Planner
) -> None:
    deploy(cluster, planner, SPEC)
    cluster.delete("Deployment", "dev", "edge-1")
    wanted = spec_with(APP, COLLECTOR, {"objects": {"configMap": "edge-1-env"}})
    assert owners(planner.plan(wanted, "XYZ789")) == "[ConfigMap edge-1-env of edge-1]"
    again = planner.plan(spec_with(COLLECTOR, APP, name="edge-1"), "XYZ789")
    assert owners(again) == ""
    assert redirections(again) == {"endpoint"}, "pods may be left that run on it"


def test_a_service_that_selects_only_anothers_pods_is_not_written(
    cluster: Cluster, planner: Planner
) -> None:
    for item in portal("dev", "edge-1"):
        cluster.create(item)
    ports = [{"name": "http", "port": 80, "targetPort": 8080}]
    cluster.create(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "public", "namespace": "dev"},
            "spec": {"selector": {"app": "edge-1"}, "ports": ports},
        }
    )
    wanted = spec_with(APP, {"objects": {"service": "public"}})
    assert owners(planner.plan(wanted, "XYZ789", take_over=True)) == "[Service public of edge-1]"


def install(cluster: Cluster, text: str) -> dict[str, list[dict[str, Any]]]:
    """Create what a file holds; its objects by kind, as they are live."""
    found: dict[str, list[dict[str, Any]]] = {}
    for item in yaml.safe_load_all(text):
        item["metadata"]["namespace"] = "dev"
        cluster.create(item)
        live = cluster.get(item["kind"], "dev", item["metadata"]["name"])
        assert live is not None
        found.setdefault(item["kind"], []).append(live)
    return found


def adopted(objects: dict[str, list[dict[str, Any]]]) -> GatewaySpec:
    return derive(
        objects["Deployment"][0],
        objects["Service"],
        objects["ConfigMap"],
        objects.get("PodDisruptionBudget", []),
        [],
        cluster="west",
        instance=INSTANCE,
        gateway="edge-1",
    ).spec


@pytest.mark.parametrize("shape", SHAPES)
def test_a_gateway_that_something_else_installed_keeps_its_objects_when_it_is_adopted(
    cluster: Cluster, planner: Planner, shape: str
) -> None:
    spec = adopted(install(cluster, (FIXTURES / f"{shape}.yaml").read_text()))
    plan = planner.plan(spec, "XYZ789", take_over=True)
    assert any((c.kind, c.change) == ("ConfigMap", "update") for c in plan.changes)
    assert owners(plan) == ""
    # It dies before the Deployment is written, and another bot begins anew.
    for item in plan.objects:
        if item["kind"] != "Deployment":
            cluster.apply(item, force=True)
    assert owners(planner.plan(spec, "XYZ789", take_over=True)) == ""
    deploy(cluster, planner, spec)
    changed = dataclasses.replace(spec, log_level="warn")
    assert owners(planner.plan(changed, "XYZ789", take_over=True)) == ""


def test_settings_that_two_gateways_share_are_written_for_neither(
    cluster: Cluster, planner: Planner
) -> None:
    objects = install(cluster, (FIXTURES / "portal-v2.yaml").read_text())
    (settings,), (deployment,) = objects["ConfigMap"], objects["Deployment"]
    copy = {**deployment, "metadata": {"name": "second", "namespace": "dev"}}
    copy.pop("status", None)
    cluster.create(copy)
    plan = planner.plan(adopted(objects), "XYZ789", take_over=True)
    assert owners(plan) == f"[ConfigMap {settings['metadata']['name']} of second]"


def test_the_spec_that_a_copy_carries_makes_nothing_its_own(
    cluster: Cluster, planner: Planner
) -> None:
    deploy(cluster, planner, SPEC)
    (live,) = cluster.list("Deployment", "dev")
    copy = {**live, "metadata": {**live["metadata"], "name": "copy"}}
    settings = cluster.get("ConfigMap", "dev", "edge-1-env")
    assert settings is not None
    assert other_owner(settings, "edge-1", [live, copy]) == ""
    assert other_owner(settings, "copy", [live, copy]) == "edge-1"
