"""Gateways that others installed are adopted without a moment of fewer pods."""

import dataclasses
import datetime
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.azure import ApimInstance
from deploy.gateway import GatewayRef
from deploy.kube.cluster import Cluster, connect
from deploy.observed.given import read_given
from deploy.observed.selecting import labelled
from deploy.plans.adoption import derive
from deploy.plans.ownership import take_whole
from deploy.plans.planning import Planner
from deploy.rendering.labels import selector
from deploy.rendering.manifests import render, token_secret
from deploy.rollouts.rollout import apply_plan, follow
from deploy.tokens.token import Token
from tests.cluster.conftest import Target
from tests.support.gateway_bed import PATIENT
from tests.support.kube_api import KubeApi, Obj
from tests.support.node_bed import CONFIGURATION_HOST
from tests.support.tiny_configuration import TOKEN
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("needs_controllers")
_FIXTURES = Path(__file__).parents[2] / "data" / "adoption"
_CASES = Path(__file__).parents[2] / "data" / "settings"
_PATHS = {
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "Secret": "/api/v1/namespaces/{}/secrets",
    "Service": "/api/v1/namespaces/{}/services",
    "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "PodDisruptionBudget": "/apis/policy/v1/namespaces/{}/poddisruptionbudgets",
}
_INSTANCE = ApimInstance("contoso", "sub", "group", "contoso", CONFIGURATION_HOST)


def _install(target: Target, ns: str, fixture: str) -> Obj:
    """Install as `kubectl apply` does; the Deployment, with its pods ready."""
    deployment: Obj = {}
    for body in yaml.safe_load_all((_FIXTURES / f"{fixture}.yaml").read_text()):
        if body["kind"] == "Deployment":
            body["spec"]["template"]["spec"] |= target.placed
            deployment = body
        if body["kind"] == "Secret":
            body.pop("data", None)
            key = next(iter(body["stringData"]))
            body["stringData"] = {key: TOKEN}
        path = _PATHS[body["kind"]].format(ns)
        target.api.create(f"{path}?fieldManager=kubectl-client-side-apply", body)
    path = f"{_PATHS['Deployment'].format(ns)}/{deployment['metadata']['name']}"
    wanted = deployment["spec"].get("replicas", 1)
    until(
        lambda: target.api.get(path).get("status", {}).get("availableReplicas") == wanted,
        "ready pods",
    )
    return target.api.get(path)


@contextmanager
def _sampled(api: KubeApi, path: str) -> Iterator[list[int]]:
    """The available pods, looked at all the time while the block runs."""
    seen: list[int] = []
    ended = threading.Event()

    def sample() -> None:
        while not ended.is_set():
            seen.append(int(api.get(path)["status"].get("availableReplicas", 0)))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


def _adopt(cluster: Cluster, ns: str, live: Obj) -> tuple[Any, Planner]:
    adoption = derive(
        live,
        cluster.list("Service", ns),
        cluster.list("ConfigMap", ns),
        cluster.list("PodDisruptionBudget", ns),
        cluster.list("PersistentVolumeClaim", ns),
        cluster="west",
        instance=_INSTANCE,
        gateway="edge-1",
    )
    planner = Planner(lambda name: cluster, lambda: ("2.11.1",), instances={"contoso": _INSTANCE})
    plan = planner.plan(adoption.spec, "ABC234", take_over=True)
    if plan.token.mint:
        expires_at = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=29)
        text = f"edge-1&{expires_at:%Y%m%d%H%M}&{TOKEN.rpartition('&')[2]}"
        token = Token("edge-1", expires_at, text)
        assert plan.token.secret is not None
        cluster.create(token_secret(adoption.spec, plan.token.secret, token, "ABC234"))
    apply_plan(cluster, plan, action_id="ABC234", requester="U1", force=True)
    take_whole(cluster, render(adoption.spec, None))
    return adoption.spec, planner


@pytest.mark.parametrize("fixture", ["portal-v1", "portal-v2", "docs-2026", "helm-1.15"])
def test_a_gateway_is_adopted_with_every_pod_available_all_the_time(
    target: Target, ns: str, fixture: str
) -> None:
    live = _install(target, ns, fixture)
    name, wanted = live["metadata"]["name"], live["spec"].get("replicas", 1)
    path = f"{_PATHS['Deployment'].format(ns)}/{name}"
    cluster = connect(
        "west", kubeconfig=target.kubeconfig, context=target.context, timeouts=PATIENT
    )
    try:
        with _sampled(target.api, path) as seen:
            spec, planner = _adopt(cluster, ns, live)
            ref = GatewayRef("west", ns, name)
            stop = threading.Event()
            done = follow(
                cluster,
                ref,
                chosen=labelled(selector(spec)),
                deadline=90.0,
                on_progress=lambda progress: None,
                stop=stop,
            )
        assert done.complete, done.trouble
        assert len(seen) > 10
        assert min(seen) >= wanted, seen
        again = planner.plan(spec, "ABC235")
        assert again.empty, again.changes
        assert again.conflicts == ()
        other = planner.plan(dataclasses.replace(spec, replicas=wanted + 1), "ABC236")
        assert other.conflicts == (), "no field that the bot applies is anybody else's"
    finally:
        cluster.close()
    adopted = target.api.get(path)
    assert adopted["metadata"]["uid"] == live["metadata"]["uid"]
    assert adopted["spec"]["selector"] == live["spec"]["selector"]
    services = target.api.items(_PATHS["Service"].format(ns))
    labels = adopted["spec"]["template"]["metadata"]["labels"]
    for service in services:
        assert service["spec"]["selector"].items() <= labels.items(), service["metadata"]["name"]
    (container,) = adopted["spec"]["template"]["spec"]["containers"]
    assert container["name"] == live["spec"]["template"]["spec"]["containers"][0]["name"]
    managers = {m["manager"] for m in adopted["metadata"]["managedFields"]}
    assert "gateway-bot" in managers


@pytest.mark.parametrize("case", ["all-settings-in-env", "v1-url-in-env-probe-8082"])
def test_settings_in_variables_follow_the_spec_once_the_gateway_is_adopted(
    target: Target, ns: str, case: str
) -> None:
    name = ""
    for body in yaml.safe_load_all((_CASES / f"{case}.yaml").read_text()):
        body["metadata"]["namespace"] = ns
        name = body["metadata"]["name"]
        if body["kind"] == "Deployment":
            levels = {"name": "levels", "key": "level", "optional": True}
            from_elsewhere = {"valueFrom": {"configMapKeyRef": levels}}
            env = body["spec"]["template"]["spec"]["containers"][0]["env"]
            env.append({"name": "telemetry.logs.std.level", **from_elsewhere})
        path = _PATHS[body["kind"]].format(ns)
        target.api.create(f"{path}?fieldManager=kubectl-client-side-apply", body)
    live = target.api.get(f"{_PATHS['Deployment'].format(ns)}/{name}")
    cluster = connect(
        "west", kubeconfig=target.kubeconfig, context=target.context, timeouts=PATIENT
    )

    def given(setting: str) -> str:
        template = target.api.get(f"{_PATHS['Deployment'].format(ns)}/{name}")["spec"]["template"]
        return read_given(cluster, ns, template["spec"]).value(setting)

    try:
        spec, planner = _adopt(cluster, ns, live)
        assert given("config.service.endpoint") == CONFIGURATION_HOST
        again = planner.plan(spec, "ABC235")
        assert again.empty, again.changes
        changed = dataclasses.replace(spec, log_level="error", log_format="json")
        plan = planner.plan(changed, "ABC236")
        assert plan.conflicts == ()
        apply_plan(cluster, plan, action_id="ABC236", requester="U1")
        assert given("telemetry.logs.std.level") == "error"
        assert given("telemetry.logs.std") == "json"
        assert planner.plan(changed, "ABC237").empty
    finally:
        cluster.close()
