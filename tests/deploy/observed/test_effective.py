"""What a container's process really gets, where each setting stands, and how the gateway signs in."""

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from deploy.kube.objects import Manifest
from deploy.observed.effective import (
    EffectiveSettings,
    Origin,
    Setting,
    effective_settings,
    sources_of,
)
from deploy.observed.given import content_of, given_by
from deploy.observed.inventory import container_of
from deploy.observed.sign_in import sign_in, token_origin

DATA = Path(__file__).parents[2] / "data"
AUTH, ENDPOINT = "config.service.auth", "config.service.endpoint"
SIGNATURE = "c2lnbmF0dXJl"
TOKEN = f"GatewayKey edge-1&202612010000&{SIGNATURE}"


def case(name: str) -> tuple[Manifest, EffectiveSettings]:
    """A case's Deployment, and what its gateway is given."""
    places = (DATA / "settings", DATA / "adoption" / "relatives")
    text = next(p for each in places if (p := each / f"{name}.yaml").exists()).read_text()
    text = text.replace("@TOKEN:", "a&202612010000&").replace("@", "")
    items = list(yaml.safe_load_all(text))
    contents = {}
    for item in items:
        encoded = {
            key: base64.b64encode(value.encode()).decode()
            for key, value in (item.get("stringData") or {}).items()
        }
        whole = {**item, "data": encoded} if item["kind"] == "Secret" else item
        contents[item["kind"], item["metadata"]["name"]] = content_of(whole)
    deployment = next(item for item in items if item["kind"] == "Deployment")
    return deployment, given_by(container_of(deployment), contents)


@pytest.mark.parametrize(
    ("name", "kind", "origin"),
    [
        ("all-settings-in-env", "token", Origin("Secret", "apim-gateway-token", "value")),
        ("v1-url-in-env-probe-8082", "token", Origin("Secret", "apim-gateway-token", "value")),
        ("token-inline-in-env", "token", Origin("Deployment")),
        ("plain-env", "token", Origin("Deployment")),
        ("token-whole-secret-other-key", "token", Origin("Secret", "apim-access-token", AUTH)),
        ("two-maps", "token", Origin("Secret", "tm-token", "value")),
        ("side-first", "token", Origin("Secret", "side-first-token", "value")),
        ("token-put-together", "token", Origin("Secret", "composed-token", "gatewayToken")),
        ("token-in-env-and-map", "token", Origin("Deployment")),
        ("token-inline-twice", "token", Origin("Deployment")),
        ("token-by-prefix", "token", Origin("Secret", "prefixed-secret", "auth")),
        ("token-by-auth-key", "token", Origin("Secret", "by-auth-key", f"{AUTH}.key")),
        ("hashed-secret", "token", Origin("Secret", "hashed-token-4k8m2t6b9c", AUTH)),
        ("entra-app-secret-in-configmap", "entraApp", None),
        ("entra-certificate-in-env", "entraApp", None),
        ("entra-app-secret-by-key", "entraApp", None),
        ("workload-identity-in-env", "workloadIdentity", None),
        ("workload-identity-in-a-secret", "workloadIdentity", None),
        ("workload-identity-docs-2026", "workloadIdentity", None),
    ],
)
def test_how_a_gateway_signs_in_and_where_its_token_is(
    name: str, kind: str, origin: Origin | None
) -> None:
    deployment, settings = case(name)
    assert sign_in(deployment, settings) == kind
    assert token_origin(settings) == origin


@pytest.mark.parametrize(
    ("name", "setting", "value"),
    [
        ("all-settings-in-env", ENDPOINT, "https://contoso.configuration.azure-api.net"),
        ("all-settings-in-env", "telemetry.metrics.cloud", "all"),
        ("two-maps", ENDPOINT, "contoso.configuration.azure-api.net"),
        ("two-maps", "telemetry.logs.std.level", "warn"),
        ("side-first", ENDPOINT, "contoso.configuration.azure-api.net"),
        ("side-first", "SHIPPER_LEVEL", ""),
        ("entra-app-secret-in-configmap", "gateway.name", "mygw"),
    ],
)
def test_a_setting_is_what_the_gateways_own_container_gets(
    name: str, setting: str, value: str
) -> None:
    assert case(name)[1].value(setting) == value


def container(*env: dict[str, Any], sources: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    return {"name": "gw", "env": list(env), "envFrom": list(sources)}


def from_map(name: str, **more: Any) -> dict[str, Any]:
    return {"configMapRef": {"name": name}, **more}


def keyed(name: str, kind: str, of: str, key: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "valueFrom": {kind: {"name": of, "key": key, **more}}}


def test_later_sources_win_over_earlier_and_variables_over_all() -> None:
    given_to = container({"name": "b", "value": "env"}, sources=(from_map("one"), from_map("two")))
    maps = {"one": {"a": "1", "b": "1", "c": "1"}, "two": {"a": "2", "b": "2"}}
    found = effective_settings(given_to, maps)
    assert found.shown == {"a": "2", "b": "env", "c": "1"}
    assert found.settings["a"].origin == Origin("ConfigMap", "two", "a")
    assert found.settings["b"].origin == Origin("Deployment")


def test_a_missing_optional_key_leaves_what_a_source_said() -> None:
    reference = keyed("a", "configMapKeyRef", "other", "x", optional=True)
    given_to = container(reference, sources=(from_map("one"),))
    assert effective_settings(given_to, {"one": {"a": "1"}, "other": {}}).shown == {"a": "1"}
    assert effective_settings(given_to, {"one": {"a": "1"}, "other": None}).shown == {"a": "1"}


def test_what_was_not_read_is_hidden_or_named() -> None:
    sources = (from_map("one"), {"secretRef": {"name": "whole"}})
    given_to = container(keyed(AUTH, "secretKeyRef", "s", "value"), sources=sources)
    found = effective_settings(given_to, {})
    assert found.hidden == {AUTH}
    assert found.unread == (Origin("ConfigMap", "one"), Origin("Secret", "whole"))
    assert set(sources_of(given_to)) == {*found.unread, Origin("Secret", "s", "value")}


def test_a_token_behind_another_variable_is_in_that_variables_secret() -> None:
    env = (
        keyed("TOKEN", "secretKeyRef", "s", "gateway-key"),
        {"name": AUTH, "value": "GatewayKey $(TOKEN)"},
    )
    found = effective_settings(container(*env), {})
    assert token_origin(found) == Origin("Secret", "s", "gateway-key")
    assert sign_in({"metadata": {}}, found) == "token"


def test_references_are_put_in_and_dollars_kept() -> None:
    env = ({"name": "A", "value": "x"}, {"name": "B", "value": "$(A) $$(A) $(NONE)"})
    assert effective_settings(container(*env), {}).value("B") == "x $(A) $(NONE)"


@pytest.mark.parametrize("key", [AUTH, f"{AUTH}.key"])
def test_of_several_whole_secrets_that_with_the_token_is_found(key: str) -> None:
    sources = ({"secretRef": {"name": "token"}}, {"secretRef": {"name": "redis"}})
    secrets: dict[str, dict[str, str | None]] = {
        "token": {key: f"edge-1&202612010000&{SIGNATURE}"},
        "redis": {"redis.cache.connectionString": None},
    }
    found = effective_settings(container(sources=sources), {}, secrets)
    assert token_origin(found) == Origin("Secret", "token", key)


def test_a_whole_secret_beside_a_gateway_that_signs_in_holds_no_token() -> None:
    sources = (from_map("m"), {"secretRef": {"name": "redis"}})
    found = effective_settings(container(sources=sources), {"m": {AUTH: "workloadIdentity"}})
    assert token_origin(found) is None


def test_of_a_secret_only_names_and_a_tokens_facts_are_kept() -> None:
    data = {"a": TOKEN, "b": "a-password", "c": "azureAdApp"}
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    content = content_of({"kind": "Secret", "metadata": {"name": "s"}, "data": encoded})
    assert content is not None
    assert set(content) == {"a", "b", "c"}
    assert (content["b"], content["c"]) == (None, "azureAdApp")
    assert (content["a"] or "").startswith("edge-1&202612010000&")
    assert SIGNATURE not in str(content)


def test_a_value_is_in_no_repr() -> None:
    assert SIGNATURE not in repr(Setting(Origin("Deployment"), TOKEN))


_NAMES = st.sampled_from(["a", "b", AUTH, ENDPOINT])
_MAPS = st.dictionaries(st.sampled_from(["one", "two"]), st.dictionaries(_NAMES, st.text("xyz$()")))


@given(
    st.lists(st.sampled_from(["one", "two", "three"])),
    st.lists(st.tuples(_NAMES, st.text("xyz"))),
    _MAPS,
)
def test_the_last_who_says_it_wins(
    sources: list[str], env: list[tuple[str, str]], maps: dict[str, dict[str, str | None]]
) -> None:
    variables = [{"name": name, "value": value} for name, value in env]
    given_to = container(*variables, sources=tuple(map(from_map, sources)))
    expected: dict[str, str | None] = {}
    for name in sources:
        expected |= maps.get(name, {})
    found = effective_settings(given_to, maps)
    assert found.shown == expected | dict(env)
    assert {o.name for o in found.unread} == set(sources) - maps.keys()


_KEYS = ["env", "envFrom", "name", "value", "valueFrom", "configMapRef", "secretKeyRef"]
_ODD = st.recursive(
    st.none() | st.text() | st.integers(),
    lambda below: st.lists(below) | st.dictionaries(st.sampled_from(_KEYS), below),
    max_leaves=20,
)


@given(_ODD)
def test_any_yaml_is_read(odd: Any) -> None:
    effective_settings(odd if isinstance(odd, dict) else {"env": odd, "envFrom": odd}, {})
