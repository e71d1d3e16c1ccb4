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


def adopted(objects: dict[str, list[Manifest]]) -> Adoption:
    return derive(
        objects["Deployment"][0],
        objects.get("Service", []),
        objects.get("ConfigMap", []),
        objects.get("PodDisruptionBudget", []),
        [],
        cluster="west",
        instance=_INSTANCE,
        gateway="edge-1",
    )


def rendered(adoption: Adoption, kind: str) -> list[Manifest]:
    return [item for item in render(adoption.spec, "edge-1-token-a") if item["kind"] == kind]


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
    assert "no longer run helm upgrade or uninstall" in told
    assert "runtime.deployment.artifact.version" in told
    assert "Secret apim-azure-api-management-gateway is left alone" in told
    assert "ask for no resources now" in told


@pytest.mark.parametrize(
    ("endpoint", "service"),
    [
        ("contoso.configuration.azure-api.net", "contoso"),
        ("https://Contoso.configuration.azure-api.net/", "Contoso"),
        (_V1, "contoso"),
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


def test_a_service_that_would_lose_the_pods_stops_it() -> None:
    objects = load("portal-v2")
    template = objects["Deployment"][0]["spec"]["template"]["metadata"]
    template["labels"]["app.kubernetes.io/part-of"] = "shop"
    extra = copy.deepcopy(objects["Service"][0])
    extra["metadata"]["name"] = "by-part"
    extra["spec"]["selector"] = {"app.kubernetes.io/part-of": "shop"}
    objects["Service"].append(extra)
    with pytest.raises(Conflict, match="Service by-part selects pods by a label"):
        adopted(objects)


@pytest.mark.parametrize("target", ["number", "name"])
def test_a_service_whose_pods_could_not_be_told_by_the_ports_new_name_stops_it(target: str) -> None:
    objects = load("portal-v2")
    container = objects["Deployment"][0]["spec"]["template"]["spec"]["containers"][0]
    container["ports"][0]["name"] = "web"
    if target == "name":
        objects["Service"][0]["spec"]["ports"][0]["targetPort"] = "web"
    with pytest.raises(Conflict, match="Port 8080 of its container is not named http"):
        adopted(objects)


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
