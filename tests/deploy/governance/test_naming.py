"""Which gateway resource a running gateway is: by its token, its spec, and what its pods are told."""

import json
from typing import Any

import pytest

from deploy.annotations import SPEC_ANNOTATION
from deploy.azure import ApimInstance
from deploy.gateway import GatewayRef, GatewayResource
from deploy.governance.naming import (
    PodSettings,
    may_be,
    names_itself,
    resources_named,
    settings_of,
)
from deploy.health.cache import CachedGateway
from deploy.kube.objects import Manifest
from deploy.observed.token_facts import TokenFacts
from deploy.tokens.token import SecretFacts

CONTOSO = ApimInstance(
    "contoso", "S", "rg", "Contoso", "config.contoso.example", ("eu.contoso.example",)
)
FABRIKAM = ApimInstance("fabrikam", "s", "rg", "fabrikam", "fabrikam.configuration.azure-api.net")
AGAIN = ApimInstance("again", "s", "RG", "contoso", "contoso.configuration.azure-api.net")
INSTANCES = {each.name: each for each in (CONTOSO, FABRIKAM, AGAIN)}
TOKEN = "GatewayKey Edge-1&202612312359&c2lnbmF0dXJlLW9mLWEtdG9rZW4="
V1 = "https://c.management.azure-api.net/subscriptions/s/resourceGroups/g/providers/Microsoft.ApiManagement/service/fabrikam?api-version=2019-12-01"


def deployment(
    *env: dict[str, Any], spec: dict[str, Any] | None = None, maps: tuple[str, ...] = ()
) -> Manifest:
    container = {
        "name": "gw",
        "image": "mcr.microsoft.com/azure-api-management/gateway:2.11.1",
        "env": list(env),
        "envFrom": [{"configMapRef": {"name": name}} for name in maps],
    }
    annotations = {SPEC_ANNOTATION: json.dumps(spec)} if spec is not None else {}
    return {
        "metadata": {"name": "gw", "namespace": "prod", "annotations": annotations},
        "spec": {"template": {"spec": {"containers": [container]}}},
    }


def gateway(live: Manifest, token: str | None = None) -> CachedGateway:
    facts = TokenFacts(SecretFacts("s", token)) if token else None
    return CachedGateway(GatewayRef("west", "prod", "gw"), live, (), facts)


def named(
    live: Manifest, token: str | None = None, settings: PodSettings | None = None
) -> set[tuple[str, str]]:
    found = resources_named(gateway(live, token), settings or settings_of(live, ()), INSTANCES)
    return {(r.service.rpartition("/")[2], r.gateway) for r in found}


SPEC = {"gateway": "Edge-1", "apim": {"instance": "contoso", "endpoint": "x"}}


def test_the_spec_names_both() -> None:
    assert named(deployment(spec=SPEC)) == {("contoso", "edge-1")}
    assert names_itself(gateway(deployment(spec=SPEC)), INSTANCES)


def test_a_token_names_the_gateway_and_not_its_service() -> None:
    assert named(deployment(), "EDGE-1") == {("", "edge-1")}
    assert not names_itself(gateway(deployment(), "EDGE-1"), INSTANCES)


def test_where_spec_and_token_differ_both_count() -> None:
    assert named(deployment(spec=SPEC), "edge-2") == {("contoso", "edge-1"), ("contoso", "edge-2")}


@pytest.mark.parametrize(
    ("endpoint", "service"),
    [
        ("contoso.configuration.azure-api.net", "contoso"),
        ("https://CONTOSO.configuration.azure-api.net/", "contoso"),
        ("https://eu.contoso.example", "contoso"),
        ("Config.Contoso.example:443", "contoso"),
        ("fabrikam.configuration.azure-api.net", "fabrikam"),
        (V1, "fabrikam"),
        ("nobody.configuration.azure-api.net", ""),
        ("10.0.0.9", ""),
    ],
)
def test_an_endpoint_names_the_service_where_the_settings_know_it(
    endpoint: str, service: str
) -> None:
    variable = {"name": "CONFIG.service.endpoint", "value": endpoint}
    assert named(deployment(variable), "edge-1") == {(service, "edge-1")}
    config_map = {"metadata": {"name": "m"}, "data": {"config.service.endpoint": endpoint}}
    settings = settings_of(deployment(maps=("m",)), [config_map])
    assert named(deployment(), "edge-1", settings) == {(service, "edge-1")}


def test_an_instance_that_the_settings_no_longer_have_may_be_any() -> None:
    gone = {"gateway": "edge-1", "apim": {"instance": "gone"}}
    assert named(deployment(spec=gone)) == {("", "edge-1")}


def test_two_entries_of_one_service_name_one_resource() -> None:
    again = {**SPEC, "apim": {"instance": "again"}}
    one, other = (
        resources_named(gateway(deployment(spec=s)), PodSettings(), INSTANCES)
        for s in (SPEC, again)
    )
    assert one == other


@pytest.mark.parametrize("name", ["gateway.name", "Gateway.Name"])
def test_the_pods_settings_name_the_gateway(name: str) -> None:
    assert named(deployment({"name": name, "value": "Edge-1"})) == {("", "edge-1")}
    config_map = {"metadata": {"name": "m"}, "data": {name: "Edge-1"}}
    settings = settings_of(deployment(maps=("m",)), [config_map])
    assert settings.gateways == {"Edge-1"}


def test_a_token_in_plain_text_names_the_gateway_and_is_let_go_of() -> None:
    settings = settings_of(deployment({"name": "config.service.auth", "value": TOKEN}), ())
    assert settings.gateways == {"Edge-1"}
    assert "c2lnb" not in repr(settings)


@pytest.mark.parametrize("how", ["azureAdApp", "WorkloadIdentity"])
def test_a_gateway_that_signs_in_holds_no_token(how: str) -> None:
    assert settings_of(deployment({"name": "config.service.auth", "value": how}), ()).signs_in
    assert settings_of(deployment(spec={"auth": {"type": "entraApp"}}), ()).signs_in
    assert not settings_of(deployment(), ()).signs_in


def test_a_variable_with_a_token_wins_over_a_configmap_that_signs_in() -> None:
    config_map = {"metadata": {"name": "m"}, "data": {"config.service.auth": "azureAdApp"}}
    assert settings_of(deployment(maps=("m",)), [config_map]).signs_in
    held = {"name": "config.service.auth", "value": TOKEN}
    assert not settings_of(deployment(held, maps=("m",)), [config_map]).signs_in


def test_nothing_names_a_gateway_whose_token_cannot_be_read() -> None:
    assert named(deployment()) == set()
    assert named(deployment({"name": "gateway.name", "value": "x" * 81})) == set()


def test_a_service_that_cannot_be_told_may_be_any() -> None:
    one, any_ = GatewayResource("/a", "edge-1"), GatewayResource("", "Edge-1")
    assert may_be(one, one)
    assert may_be(any_, one)
    assert may_be(one, any_)
    assert not may_be(one, GatewayResource("/b", "edge-1"))
    assert not may_be(any_, GatewayResource("/a", "edge-2"))
