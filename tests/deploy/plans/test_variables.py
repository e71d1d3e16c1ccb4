"""Settings that stand in variables of a Deployment: adopted, and then changed by the spec."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.azure import ApimInstance
from deploy.errors import Conflict
from deploy.gateway import GatewayRef
from deploy.kube.cluster import Cluster
from deploy.observed.effective import EffectiveSettings
from deploy.observed.given import read_given
from deploy.observed.pods import token_secret_of
from deploy.plans.adoption import Adoption, derive
from deploy.plans.ownership import take_whole
from deploy.plans.plan import SETTINGS_ELSEWHERE, Plan
from deploy.plans.planning import Planner
from deploy.rendering.manifests import render
from deploy.rollouts.rollout import apply_plan
from deploy.specs.gateway_spec import GatewaySpec
from handlers.views import action as action_view
from handlers.views import diff as diff_view
from tests.support.gateway_bed import HOST, INSTANCE, SPEC

CASES = Path(__file__).parents[2] / "data" / "settings"
ENDPOINT = "config.service.endpoint"
OTHER = "eu.contoso.example"
LISTED = dataclasses.replace(INSTANCE, endpoints=(OTHER,))
FREE = "net.server.http.forwarded.proto.enabled"


@pytest.fixture
def planner(cluster: Cluster) -> Planner:
    return Planner({"west": cluster}.__getitem__, list, instances={"contoso": LISTED})


def install(
    cluster: Cluster, name: str, *env: dict[str, Any], sources: Sequence[dict[str, Any]] = ()
) -> dict[str, Any]:
    """A case, in namespace dev; `env` and `sources` are further variables of its gateway's container,
    and further objects that it takes in whole."""
    found: dict[str, Any] = {}
    text = (
        (CASES / f"{name}.yaml").read_text().replace("@TOKEN:", "a&203012010000&").replace("@", "")
    )
    for item in yaml.safe_load_all(text):
        item["metadata"]["namespace"] = "dev"
        if item["kind"] == "Deployment":
            container = item["spec"]["template"]["spec"]["containers"][-1]
            container.setdefault("env", []).extend(env)
            container.setdefault("envFrom", []).extend(sources)
            found = item
        cluster.apply(item, manager="kubectl")
    live = cluster.get("Deployment", "dev", found["metadata"]["name"])
    assert live is not None
    return live


def derived(cluster: Cluster, live: dict[str, Any], instance: ApimInstance = INSTANCE) -> Adoption:
    kinds = ("Service", "ConfigMap", "PodDisruptionBudget", "PersistentVolumeClaim")
    services, maps, budgets, claims = (cluster.list(kind, "dev") for kind in kinds)
    return derive(
        live, services, maps, budgets, claims, cluster="west", instance=instance, gateway="edge-1"
    )


def adopt(cluster: Cluster, planner: Planner, live: dict[str, Any]) -> GatewaySpec:
    spec = derived(cluster, live).spec
    plan = planner.plan(spec, "ABC234", take_over=True)
    assert plan.digest, [f for f in plan.findings if f.severity == "deny"]
    apply_plan(cluster, plan, action_id="ABC234", requester="U1", force=True)
    take_whole(cluster, render(spec, None))
    return spec


def with_token(cluster: Cluster, planner: Planner, spec: GatewaySpec) -> None:
    """The token's Secret that a run would have minted."""
    live = cluster.get("Deployment", "dev", spec.ref.name)
    assert live is not None
    env = live["spec"]["template"]["spec"]["containers"][-1]["env"]
    auth = next(v for v in env if v["name"] == "config.service.auth")
    name = auth["valueFrom"]["secretKeyRef"]["name"]
    cluster.create(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": "dev"},
            "stringData": {"value": "GatewayKey edge-1&209912010000&c2lnbmF0dXJl"},
            "immutable": True,
        }
    )


def given(cluster: Cluster, ref: GatewayRef) -> EffectiveSettings:
    live = cluster.get("Deployment", ref.namespace, ref.name)
    assert live is not None
    return read_given(cluster, ref.namespace, live["spec"]["template"]["spec"])


@pytest.mark.parametrize("case", ["all-settings-in-env", "v1-url-in-env-probe-8082"])
def test_after_adoption_what_the_spec_says_reaches_the_pods(
    cluster: Cluster, planner: Planner, case: str
) -> None:
    spec = adopt(cluster, planner, install(cluster, case))
    assert given(cluster, spec.ref).value(ENDPOINT) == HOST
    with_token(cluster, planner, spec)
    assert planner.plan(spec, "ABC235").empty
    changed = dataclasses.replace(
        spec,
        apim=dataclasses.replace(spec.apim, configuration_endpoint=OTHER),
        log_level="warn",
        metrics=dataclasses.replace(spec.metrics, collector="http://another:4317"),
    )
    plan = planner.plan(changed, "ABC236")
    assert plan.conflicts == ()
    assert plan.restarts_pods
    apply_plan(cluster, plan, action_id="ABC236", requester="U1")
    settings = given(cluster, spec.ref)
    assert settings.value(ENDPOINT) == OTHER
    assert settings.value("telemetry.logs.std.level") == "warn"
    assert settings.value("observability.opentelemetry.collector.uri") == "http://another:4317"
    off = dataclasses.replace(changed, metrics=dataclasses.replace(spec.metrics, collector=None))
    apply_plan(cluster, planner.plan(off, "ABC237"), action_id="ABC237", requester="U1")
    assert given(cluster, spec.ref).find("observability.opentelemetry.collector.uri") is None
    assert planner.plan(off, "ABC238").empty


def test_the_spec_says_what_the_pods_get_wherever_it_stands(cluster: Cluster) -> None:
    spec = derived(cluster, install(cluster, "all-settings-in-env")).spec
    assert spec.metrics.collector == "http://otel-collector:4317"
    off = {"name": "telemetry.metrics.cloud", "value": "false"}
    several = install(cluster, "two-maps", off, {"name": "telemetry.logs.std", "value": "json"})
    adoption = derived(cluster, several)
    assert adoption.spec.metrics.cloud is False
    assert (adoption.spec.log_level, adoption.spec.log_format) == ("warn", "json")
    assert dict(adoption.spec.settings)[FREE] == "true"
    told = " ".join(adoption.notes)
    assert "The contents of Secret tm-redis could not be read; the pods still get them" in told


def test_a_sidecars_configmap_is_not_the_gateways(cluster: Cluster) -> None:
    spec = derived(cluster, install(cluster, "side-first")).spec
    assert spec.objects.config_map == "side-first-env"


@pytest.mark.parametrize("case", ["token-inline-in-env", "plain-env"])
def test_a_token_in_the_deployment_gives_its_place_to_a_secret_in_one_apply(
    cluster: Cluster, planner: Planner, case: str
) -> None:
    adoption = derived(cluster, install(cluster, case))
    assert "Its token is stored in the Deployment" in " ".join(adoption.notes)
    plan = planner.plan(adoption.spec, "ABC234", take_over=True)
    assert "stands in the Deployment itself" in plan.token.reason
    apply_plan(cluster, plan, action_id="ABC234", requester="U1", force=True)
    live = cluster.get("Deployment", "dev", adoption.spec.ref.name)
    assert live is not None
    pod = live["spec"]["template"]["spec"]
    assert token_secret_of(pod) == (plan.token.secret, "value")


@pytest.mark.parametrize("case", ["entra-app-secret-in-configmap", "workload-identity-docs-2026"])
def test_a_gateway_that_signs_in_is_not_adopted(cluster: Cluster, case: str) -> None:
    live = install(cluster, case)
    with pytest.raises(Conflict, match="signs in to Entra ID"):
        derived(cluster, live)


def elsewhere(plan: Plan) -> str:
    return " ".join(f.what for f in plan.findings if f.rule == SETTINGS_ELSEWHERE)


def test_what_a_plan_cannot_bring_to_the_pods_it_says(cluster: Cluster, planner: Planner) -> None:
    secret = {"name": "gone", "key": "host"}
    live = install(
        cluster,
        "all-settings-in-env",
        {"name": "telemetry.logs.std.level", "valueFrom": {"secretKeyRef": secret}},
        {"name": "net.server.tls.ciphers.allowed-suites", "value": "a value that no field takes"},
    )
    spec = adopt(cluster, planner, live)
    with_token(cluster, planner, spec)
    plan = planner.plan(dataclasses.replace(spec, log_level="warn"), "ABC235")
    assert "telemetry.logs.std.level is what Secret gone holds, not warn" in elsewhere(plan)
    assert "net.server.tls.ciphers.allowed-suites is a value that no field takes" in elsewhere(plan)
    same = planner.plan(spec, "ABC236", take_over=True)
    assert same.empty
    assert "No change" not in action_view.no_change(same).text
    assert "override its settings" in diff_view.drift(same).text


def test_a_setting_that_a_later_secret_says_is_said_to_stay_what_it_is(
    cluster: Cluster, planner: Planner
) -> None:
    told = {"metadata": {"name": "told", "namespace": "dev"}}
    data = {"stringData": {"telemetry.logs.std.level": "debug"}}
    cluster.apply({"apiVersion": "v1", "kind": "Secret", **told, **data})
    live = install(cluster, "all-settings-in-env", sources=[{"secretRef": {"name": "told"}}])
    plan = planner.plan(derived(cluster, live).spec, "ABC235", take_over=True)
    assert "telemetry.logs.std.level is what Secret told holds, not info" in elsewhere(plan)


def test_what_it_says_of_a_variable_holds_no_password(cluster: Cluster, planner: Planner) -> None:
    value = "https://someone:hunter2@suites.example"
    variable = {"name": "net.server.tls.ciphers.allowed-suites", "value": value}
    spec = adopt(cluster, planner, install(cluster, "all-settings-in-env", variable))
    with_token(cluster, planner, spec)
    said = elsewhere(planner.plan(spec, "ABC235"))
    assert "net.server.tls.ciphers.allowed-suites is https://someone:" in said
    assert "hunter2" not in said


def test_a_variable_from_another_configmap_is_led_to_the_gateways_own(
    cluster: Cluster, planner: Planner
) -> None:
    levels = {"metadata": {"name": "levels", "namespace": "dev"}, "data": {"level": "debug"}}
    cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", **levels})
    ref = {"name": "levels", "key": "level", "optional": True}
    variable = {"name": "telemetry.logs.std.level", "valueFrom": {"configMapKeyRef": ref}}
    spec = adopt(cluster, planner, install(cluster, "all-settings-in-env", variable))
    assert spec.log_level == "debug"
    changed = dataclasses.replace(spec, log_level="error")
    with_token(cluster, planner, spec)
    apply_plan(cluster, planner.plan(changed, "ABC235"), action_id="ABC235", requester="U1")
    assert given(cluster, spec.ref).value("telemetry.logs.std.level") == "error"


def test_a_gateway_of_the_bots_own_is_said_to_get_what_its_spec_says(
    cluster: Cluster, planner: Planner
) -> None:
    spec = dataclasses.replace(SPEC, log_level="warn")
    plan = planner.plan(spec, "ABC234")
    assert elsewhere(plan) == ""
    assert plan.unsettled == ()


def test_a_proxys_password_gets_into_no_spec(cluster: Cluster) -> None:
    proxy = {"name": "HTTPS_PROXY", "value": "http://proxy:passw0rd@proxy.example:3128"}
    adoption = derived(cluster, install(cluster, "all-settings-in-env", proxy))
    assert adoption.spec.proxy.https is None
    assert "passw0rd" not in str(adoption)
    assert "HTTPS_PROXY" in " ".join(adoption.notes)
