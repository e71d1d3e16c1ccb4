"""What is read off a gateway that something else installed."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from deploy.azure import ApimInstance
from deploy.errors import Conflict, GatewayBotError, InvalidInput
from deploy.observed.effective import effective_settings
from deploy.plans.adoption import Adoption, derive, instance_named_by
from deploy.plans.readers import Readers
from deploy.rendering.manifests import render
from deploy.specs.spec import parse_spec_yaml, spec_to_mapping

Manifest = dict[str, Any]
_FIXTURES = Path(__file__).parents[2] / "data" / "adoption"
_INSTANCE = ApimInstance(
    "contoso", "sub", "group", "contoso", "contoso.configuration.azure-api.net"
)
_SHAPES = ("portal-v1", "portal-v2", "docs-2026", "helm-1.15")
_V1 = (
    "https://contoso.management.azure-api.net/subscriptions/s/resourceGroups/g/providers/"
    "Microsoft.ApiManagement/service/contoso?api-version=2021-01-01-preview"
)


def load(shape: str) -> dict[str, list[Manifest]]:
    found: dict[str, list[Manifest]] = {}
    for item in yaml.safe_load_all((_FIXTURES / f"{shape}.yaml").read_text()):
        item["metadata"]["namespace"] = "dev"
        found.setdefault(item["kind"], []).append(item)
    return found


def adopted(
    objects: dict[str, list[Manifest]],
    *,
    claims: list[Manifest] | None = None,
    readers: Readers | None = None,
) -> Adoption:
    return derive(
        objects["Deployment"][0],
        objects.get("Service", []),
        objects.get("ConfigMap", []),
        objects.get("PodDisruptionBudget", []),
        claims or [],
        cluster="west",
        instance=_INSTANCE,
        gateway="edge-1",
        readers=readers,
    )


def rendered(adoption: Adoption, kind: str) -> list[Manifest]:
    return [item for item in render(adoption.spec, "edge-1-token-a") if item["kind"] == kind]


def gateway(objects: dict[str, list[Manifest]]) -> Manifest:
    found: Manifest = objects["Deployment"][0]["spec"]["template"]["spec"]["containers"][0]
    return found


def pod_of(adoption: Adoption) -> Manifest:
    (wanted,) = rendered(adoption, "Deployment")
    found: Manifest = wanted["spec"]["template"]["spec"]
    return found


@pytest.mark.parametrize("shape", _SHAPES)
def test_what_can_never_change_is_kept(shape: str) -> None:
    objects = load(shape)
    (live,), adoption = objects["Deployment"], adopted(objects)
    (wanted,) = rendered(adoption, "Deployment")
    assert wanted["metadata"]["name"] == live["metadata"]["name"]
    assert wanted["spec"]["selector"] == live["spec"]["selector"]
    containers = [each["spec"]["template"]["spec"]["containers"][0] for each in (wanted, live)]
    assert containers[0]["name"] == containers[1]["name"]
    assert containers[0]["image"] == containers[1]["image"]
    assert wanted["spec"]["replicas"] == live["spec"]["replicas"]


@pytest.mark.parametrize("shape", _SHAPES)
def test_every_service_still_selects_the_pods(shape: str) -> None:
    objects = load(shape)
    (wanted,) = rendered(adopted(objects), "Deployment")
    labels = wanted["spec"]["template"]["metadata"]["labels"]
    for service in objects["Service"]:
        assert service["spec"]["selector"].items() <= labels.items()


@pytest.mark.parametrize("shape", _SHAPES)
def test_the_objects_that_are_there_are_used(shape: str) -> None:
    objects = load(shape)
    adoption = adopted(objects)
    for kind in ("ConfigMap", "PodDisruptionBudget"):
        if kind in objects:
            assert [o["metadata"]["name"] for o in rendered(adoption, kind)] == [
                o["metadata"]["name"] for o in objects[kind]
            ]
    live = [s for s in objects["Service"] if s["spec"].get("clusterIP") != "None"]
    services = {s["metadata"]["name"]: s for s in rendered(adoption, "Service")}
    assert {s["metadata"]["name"] for s in objects["Service"]} <= set(services)
    wanted = services[live[0]["metadata"]["name"]]["spec"]
    assert wanted["type"] == live[0]["spec"]["type"]
    assert [p["port"] for p in wanted["ports"]] == [p["port"] for p in live[0]["spec"]["ports"]]


@pytest.mark.parametrize("shape", _SHAPES)
def test_no_pod_is_taken_away_before_another_is_ready(shape: str) -> None:
    (wanted,) = rendered(adopted(load(shape)), "Deployment")
    rolling = wanted["spec"]["strategy"]["rollingUpdate"]
    assert rolling == {"maxUnavailable": 0, "maxSurge": "25%"}


@pytest.mark.parametrize("shape", _SHAPES)
def test_the_derived_spec_survives_being_written_down(shape: str) -> None:
    spec = adopted(load(shape)).spec
    assert parse_spec_yaml(yaml.safe_dump(spec_to_mapping(spec))) == spec


def test_a_person_is_told_what_stays_and_what_helm_must_not_do() -> None:
    told = " ".join(adopted(load("helm-1.15")).notes)
    assert "Do not run `helm upgrade` or `helm uninstall`" in told
    assert "runtime.deployment.artifact.version" in told
    assert "Secret apim-azure-api-management-gateway stays" in told


@pytest.mark.parametrize(
    ("endpoint", "service"),
    [
        ("contoso.configuration.azure-api.net", "contoso"),
        ("https://Contoso.configuration.azure-api.net/", "Contoso"),
        (_V1, "contoso"),
        ("https://contoso.management.azure-api.net", "contoso"),
        ("https://contoso.configuration.azure-api.net:443/", "contoso"),
        ("https://config.contoso.com", "config.contoso.com"),
        ("", ""),
    ],
)
def test_the_instance_is_told_by_the_endpoint_of_either_generation(
    endpoint: str, service: str
) -> None:
    variable = {"name": "config.service.endpoint", "value": endpoint}
    assert instance_named_by(effective_settings({"env": [variable]}, {})) == service


@pytest.mark.parametrize("auth", ["azureAdApp", "workloadIdentity"])
def test_a_gateway_that_signs_in_to_entra_is_not_given_a_token(auth: str) -> None:
    objects = load("portal-v2")
    objects["ConfigMap"][0]["data"]["config.service.auth"] = auth
    assert adopted(objects).spec.auth.kind == "token", "the variable with its token wins"
    objects["Deployment"][0]["spec"]["template"]["spec"]["containers"][0].pop("env")
    with pytest.raises(Conflict, match="signs in to Entra ID"):
        adopted(objects)


def test_an_image_pinned_by_digest_is_explained() -> None:
    objects = load("portal-v2")
    container = objects["Deployment"][0]["spec"]["template"]["spec"]["containers"][0]
    container["image"] = "mcr.microsoft.com/azure-api-management/gateway@sha256:" + "0" * 64
    with pytest.raises(InvalidInput, match="pinned by a digest"):
        adopted(objects)


def test_a_service_may_select_pods_by_any_of_their_labels() -> None:
    objects = load("portal-v2")
    template = objects["Deployment"][0]["spec"]["template"]["metadata"]
    template["labels"]["app.kubernetes.io/part-of"] = "shop"
    extra = copy.deepcopy(objects["Service"][0])
    extra["metadata"]["name"] = "by-part"
    extra["spec"]["selector"] = {"app.kubernetes.io/part-of": "shop"}
    objects["Service"].append(extra)
    (wanted,) = rendered(adopted(objects), "Deployment")
    written = wanted["spec"]["template"]["metadata"]["labels"]
    assert written.items() <= template["labels"].items()
    assert extra["spec"]["selector"].items() <= {**template["labels"], **written}.items()


@pytest.mark.parametrize("target", [8080, "web"])
def test_ports_that_are_called_otherwise_stay_and_the_service_leads_where_it_did(
    target: int | str,
) -> None:
    objects = load("portal-v2")
    container = gateway(objects)
    container["ports"][0]["name"] = "web"
    port = objects["Service"][0]["spec"]["ports"][0]
    port |= {"name": "plain", "targetPort": target}
    adoption = adopted(objects)
    (wanted,) = rendered(adoption, "Deployment")
    assert "ports" not in wanted["spec"]["template"]["spec"]["containers"][0]
    name = objects["Service"][0]["metadata"]["name"]
    (service,) = [s for s in rendered(adoption, "Service") if s["metadata"]["name"] == name]
    assert service["spec"]["ports"][0] == {**port, "protocol": "TCP"}


def test_a_service_that_selects_others_pods_too_is_left_alone() -> None:
    objects = load("portal-v2")
    shared = objects["Service"][0]["spec"]["selector"]
    adoption = adopted(objects, readers=Readers(labels=({**shared, "tier": "other"},)))
    names = {s["metadata"]["name"] for s in rendered(adoption, "Service")}
    assert names == {"edge-1-live-traffic-2", "edge-1-instance-discovery-2"}
    assert any("stay but are not managed by the bot" in note for note in adoption.notes)


@pytest.mark.parametrize("kind", ["shared", "immutable", "owned", "prefixed", "unknown"])
def test_a_config_map_that_is_not_the_gateways_alone_stays_before_one_of_its_own(kind: str) -> None:
    objects = load("portal-v2")
    config, source = objects["ConfigMap"][0], gateway(objects)["envFrom"][0]
    name, readers = config["metadata"]["name"], Readers()
    if kind == "shared":
        readers = Readers(frozenset({name}))
    if kind == "unknown":
        readers = Readers(unknown=("CronJob",))
    if kind == "immutable":
        config["immutable"] = True
    if kind == "owned":
        config["metadata"]["ownerReferences"] = [{"kind": "Kustomization"}]
    if kind == "prefixed":
        source["prefix"] = "config."
        gateway(objects)["env"].append({"name": "config.service.endpoint", "value": "contoso"})
    adoption = adopted(objects, readers=readers)
    own = adoption.spec.objects.config_map
    assert own is not None
    assert own != name
    expected = [source, {"configMapRef": {"name": own}}]
    assert pod_of(adoption)["containers"][0]["envFrom"] == expected
    assert [each["metadata"]["name"] for each in rendered(adoption, "ConfigMap")] == [own]
    assert any("new ConfigMap" in note for note in adoption.notes)


def test_a_secret_behind_the_last_config_map_still_wins() -> None:
    objects = load("portal-v2")
    sources = gateway(objects)["envFrom"]
    sources.append({"secretRef": {"name": "redis", "optional": True}})
    assert pod_of(adopted(objects))["containers"][0]["envFrom"] == sources


def test_a_backup_volume_of_any_name_is_the_backup() -> None:
    objects = load("portal-v2")
    pod = objects["Deployment"][0]["spec"]["template"]["spec"]
    volume = {"name": "state", "persistentVolumeClaim": {"claimName": "apim-state"}}
    pod["volumes"] = [volume]
    mount = {"name": "state", "mountPath": "/apim/config"}
    gateway(objects)["volumeMounts"] = [mount]
    adoption = adopted(objects)
    assert adoption.spec.backup.existing_claim == "apim-state"
    assert pod_of(adoption)["volumes"] == [volume]
    assert pod_of(adoption)["containers"][0]["volumeMounts"] == [mount]


@pytest.mark.parametrize(
    ("modes", "strategy"), [("ReadWriteOnce", "Recreate"), ("ReadWriteMany", "RollingUpdate")]
)
def test_recreate_stays_beside_a_volume_of_one_node(modes: str, strategy: str) -> None:
    objects = load("portal-v2")
    deployment = objects["Deployment"][0]["spec"]
    deployment["strategy"] = {"type": "Recreate"}
    deployment["template"]["spec"]["volumes"] = [
        {"name": "state", "persistentVolumeClaim": {"claimName": "apim-state"}}
    ]
    claim = {"metadata": {"name": "apim-state"}, "spec": {"accessModes": [modes]}}
    adoption = adopted(objects, claims=[claim])
    (wanted,) = rendered(adoption, "Deployment")
    assert wanted["spec"]["strategy"]["type"] == strategy
    assert any(f"{strategy}" in note for note in adoption.notes)


def test_a_selector_with_expressions_is_kept_whole() -> None:
    objects = load("portal-v2")
    live = objects["Deployment"][0]["spec"]
    tier = {"key": "tier", "operator": "In", "values": ["edge"]}
    live["selector"] = {"matchExpressions": [tier]}
    live["template"]["metadata"]["labels"]["tier"] = "edge"
    adoption = adopted(objects)
    (wanted,) = rendered(adoption, "Deployment")
    assert wanted["spec"]["selector"] == live["selector"]
    assert wanted["spec"]["template"]["metadata"]["labels"]["tier"] == "edge"


@pytest.mark.parametrize("replicas", [0, 150])
def test_any_number_of_pods_is_kept(replicas: int) -> None:
    objects = load("portal-v2")
    objects["Deployment"][0]["spec"]["replicas"] = replicas
    assert adopted(objects).spec.replicas == replicas


@pytest.mark.parametrize("memory", ["0.5Gi", "1.5Gi", "512Mi", "1e9", "129e6", "none"])
def test_any_quantity_that_kubernetes_takes_is_kept(memory: str) -> None:
    objects = load("portal-v2")
    asked = {} if memory == "none" else {"memory": memory, "cpu": "1e-1"}
    gateway(objects)["resources"] = {"requests": asked} if asked else {}
    found = pod_of(adopted(objects))["containers"][0].get("resources", {})
    assert found == ({"requests": asked} if asked else {})


def test_rights_and_probes_stay_whoever_a_container_runs_as() -> None:
    objects = load("portal-v2")
    gateway(objects)["securityContext"] = {"runAsUser": 0}
    pod = pod_of(adopted(objects))
    assert "securityContext" not in pod
    assert "automountServiceAccountToken" not in pod
    assert not {"securityContext", "readinessProbe", "livenessProbe"} & pod["containers"][0].keys()


@pytest.mark.parametrize("where", ["Deployment", "ConfigMap"])
def test_a_token_that_anybody_can_read_is_named(where: str) -> None:
    objects = load("portal-v2")
    token = "GatewayKey edge-1&203001010000&c2ln"
    gateway(objects)["env"] = []
    if where == "Deployment":
        gateway(objects)["env"] = [{"name": "config.service.auth", "value": token}]
    else:
        objects["ConfigMap"][0]["data"]["config.service.auth"] = token
    told = " ".join(adopted(objects).notes)
    assert f"Its token is stored in {'the Deployment' if where == 'Deployment' else where}" in told
    assert "c2ln" not in told


# Without these no API server takes a Deployment.
_REQUIRED = (
    *("template", "selector", "spec", "containers", "name", "key", 0),
    *("port", "containerPort"),
)


def _paths(item: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    pairs = (
        item.items()
        if isinstance(item, dict)
        else enumerate(item)
        if isinstance(item, list)
        else ()
    )
    found = [path] if path else []
    for key, value in pairs:
        found += _paths(value, (*path, key))
    return found


@given(st.sampled_from(_SHAPES), st.data())
def test_odd_objects_are_derived_or_refused_with_a_sentence(
    shape: str, data: st.DataObject
) -> None:
    objects = load(shape)
    deployment = objects["Deployment"][0]["spec"]
    for _ in range(data.draw(st.integers(1, 3))):
        free = [path for path in _paths(deployment) if path[-1] not in _REQUIRED]
        path = data.draw(st.sampled_from(free))
        here: Any = deployment
        try:
            for step in path[:-1]:
                here = here[step]
            del here[path[-1]]
        except (KeyError, IndexError, TypeError):
            continue
    try:
        adopted(objects)
    except GatewayBotError as error:
        assert error.happened  # noqa: PT017  # any refusal will do, as long as it says something
