import dataclasses
import re
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from deploy.errors import InvalidInput
from deploy.rendering.manifests import render
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.overlay import from_yaml, merged
from deploy.specs.spec import parse_spec_yaml, spec_from_mapping, spec_to_mapping

SMALL: dict[str, Any] = {
    "gateway": "Edge-1",
    "apim": {"instance": "contoso", "endpoint": "contoso.configuration.azure-api.net"},
    "cluster": "west",
    "namespace": "dev",
    "image": {"tag": "2.11.1"},
}


def test_a_small_spec_takes_the_defaults() -> None:
    spec = spec_from_mapping(SMALL)
    assert str(spec.ref) == "west/dev/edge-1"
    assert (spec.replicas, spec.cpu, spec.memory) == (3, "2", "2Gi")
    assert spec.image == "mcr.microsoft.com/azure-api-management/gateway:2.11.1"


def test_a_tag_that_yaml_takes_for_a_whole_number_is_text() -> None:
    assert parse_spec_yaml(yaml.safe_dump({**SMALL, "image": {"tag": 2}})).tag == "2"


@pytest.mark.parametrize(
    "text", ["image: {tag: 2.10}", "labels: {version: 1.10}", "service: {annotations: {v: 1.0}}"]
)
def test_text_that_yaml_takes_for_a_number_with_a_point_is_refused_as_it_may_have_lost_a_zero(
    text: str,
) -> None:
    with pytest.raises(InvalidInput, match="YAML reads it as the number") as refused:
        spec_from_mapping(merged(SMALL, from_yaml(text)))
    assert "Put it in quotes, as in" in refused.value.remedy
    quoted = re.sub(r"(\d\.\d+)", r'"\1"', text)
    spec_from_mapping(merged(SMALL, from_yaml(quoted)))
    assert spec_from_mapping({**SMALL, "resources": {"cpu": 0.5}}).cpu == "0.5"


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"replcas": 3}, "replcas", "Did you mean replicas?"),
        ({"service": {"typ": "NodePort"}}, "service.typ", "Did you mean service.type?"),
        ({"xyzzy": 3}, "xyzzy", "docs/spec.md lists all"),
        ({"replicas": -1}, "replicas", "from 0 to 10000, or external"),
        ({"replicas": True}, "replicas", "whole number"),
        ({"replicas": "3"}, "replicas", "whole number"),
        ({"resources": {"cpu": "lots"}}, "resources.cpu", "quantity"),
        ({"resources": {"memory": "-1Gi"}}, "resources.memory", "quantity"),
        ({"service": {"type": "Ingress"}}, "service.type", "one of LoadBalancer"),
        ({"service": {"httpPort": 443}}, "service.httpsPort", "same port"),
        ({"image": {"tag": "2.11.1; rm"}}, "image.tag", "image tag"),
        ({"image": {"tag": "1", "repository": "Evil Registry"}}, "image.repository", "registry"),
        ({"apim": {"instance": "contoso", "endpoint": "a b"}}, "apim.endpoint", "host name"),
        ({"namespace": "Dev"}, "namespace", "lower-case"),
        ({"name": "a" * 45}, "name", "at most 44"),
        ({"rollout": {"maxUnavailable": "0", "maxSurge": "0%"}}, "rollout.maxSurge", "both be 0"),
        ({"rollout": {"maxSurge": "200%"}}, "rollout.maxSurge", "percentage"),
        ({"image": None}, "image.tag", "missing"),
        ({"logs": "loud"}, "logs", "mapping"),
    ],
)
def test_a_mistake_is_told_with_its_path_and_what_was_expected(
    changes: dict[str, Any], field: str, said: str
) -> None:
    with pytest.raises(InvalidInput) as error:
        spec_from_mapping({**SMALL, **changes})
    assert error.value.field == field
    assert said in str(error.value)


SHA256, SHA512 = f"sha256:{'0a' * 32}", f"sha512:{'0a' * 64}"


@pytest.mark.parametrize("digest", [SHA256, SHA512])
def test_a_digest_is_one_that_registries_have(digest: str) -> None:
    for image in ({"tag": "2.11.1", "digest": digest}, {"tag": f"2.11.1@{digest}"}):
        spec = spec_from_mapping({**SMALL, "image": image})
        assert (spec.tag, spec.digest) == ("2.11.1", digest)


@pytest.mark.parametrize(
    "digest",
    [
        SHA256[:-1],
        f"{SHA256}0",
        SHA256.upper(),
        f"sha256:{'0A' * 32}",
        f"sha512:{'0a' * 32}",
        f"sha256:{'0a' * 64}",
        f"sha384:{'0a' * 48}",
        f"md5:{'0a' * 16}",
        "0a" * 32,
        f"{SHA256}\n",
    ],
)
def test_what_no_registry_has_as_a_digest_is_refused(digest: str) -> None:
    for image in ({"tag": "2.11.1", "digest": digest}, {"tag": f"2.11.1@{digest}"}):
        with pytest.raises(InvalidInput, match="a digest such as sha256"):
            spec_from_mapping({**SMALL, "image": image})


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [1]\nb: *a",
        "gateway: a\ngateway: b",
        "[" * 3000,
        "x" * 70000,
        "? {a: 1}\n: 2",
        "1: 2",
        "!!python/object:os.system x",
        "cluster: 2026-99-99",
        "",
        "null",
    ],
)
def test_text_that_is_no_spec_is_refused_in_words(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_spec_yaml(text)


@given(st.text(max_size=400))
def test_any_text_is_a_spec_or_is_refused_in_words(text: str) -> None:
    try:
        parse_spec_yaml(text)
    except InvalidInput as error:
        said = str(error)
    assert said


names = st.from_regex(r"[a-z]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
specs = st.builds(
    lambda gateway, cluster, namespace, replicas, cpu, kind, level: spec_from_mapping(
        {
            **SMALL,
            "gateway": gateway,
            "cluster": cluster,
            "namespace": namespace,
            "replicas": replicas,
            "resources": {"cpu": cpu},
            "service": {"type": kind},
            "logs": {"level": level},
        }
    ),
    names,
    names,
    names,
    st.integers(1, 100),
    st.sampled_from(["2", "500m", "0.5"]),
    st.sampled_from(["LoadBalancer", "ClusterIP", "NodePort"]),
    st.sampled_from(["info", "warn", "debug"]),
)


@given(specs)
def test_a_spec_survives_being_written_down(spec: GatewaySpec) -> None:
    assert spec_from_mapping(spec_to_mapping(spec)) == spec
    assert parse_spec_yaml(yaml.safe_dump(spec_to_mapping(spec))) == spec


@given(specs)
def test_equal_specs_give_equal_manifests(spec: GatewaySpec) -> None:
    again = dataclasses.replace(spec)
    assert yaml.safe_dump(render(spec, "t")) == yaml.safe_dump(render(again, "t"))
