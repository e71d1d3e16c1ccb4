"""What holds of every valid spec."""

import dataclasses
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, given, settings

from deploy.annotations import CONFIG_ANNOTATION
from deploy.errors import InvalidInput
from deploy.kube.objects import Manifest
from deploy.rendering.manifests import render
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.schema import file_schema, json_schema
from deploy.specs.spec import parse_spec_yaml, spec_from_mapping, spec_to_mapping
from deploy.specs.token_spec import token_spec_from_yaml
from tests.support.specs import MAPPINGS, SPECS

DOCS = Path(__file__).parents[3] / "docs"

# A whole spec is much to draw, and the machine may be slow.
any_spec = settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def objects(spec: GatewaySpec) -> tuple[Manifest, ...]:
    return render(spec, "token-abc234" if spec.auth.kind == "token" else None)


@any_spec
@given(SPECS)
def test_a_spec_survives_being_written_down(spec: GatewaySpec) -> None:
    assert spec_from_mapping(spec_to_mapping(spec)) == spec
    assert parse_spec_yaml(yaml.safe_dump(spec_to_mapping(spec))) == spec
    assert spec_from_mapping(json.loads(json.dumps(spec_to_mapping(spec)))) == spec


@any_spec
@given(MAPPINGS)
def test_the_json_schema_takes_every_valid_spec(mapping: dict[str, Any]) -> None:
    validator = jsonschema.Draft202012Validator(json_schema())
    validator.validate(mapping)
    validator.validate(spec_to_mapping(spec_from_mapping(mapping)))


@any_spec
@given(MAPPINGS)
def test_equal_specs_give_equal_bytes_whatever_the_order_of_their_keys(
    mapping: dict[str, Any],
) -> None:
    spec, again = spec_from_mapping(mapping), spec_from_mapping(turned(mapping))
    assert spec == again == dataclasses.replace(spec)
    assert json.dumps(objects(spec)) == json.dumps(objects(again))


def turned(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: turned(each) for key, each in reversed(value.items())}
    return [turned(each) for each in value] if isinstance(value, list) else value


@any_spec
@given(SPECS)
def test_ports_names_and_mounts_agree(spec: GatewaySpec) -> None:
    found = {(o["kind"], o["metadata"]["name"]): o for o in objects(spec)}
    assert len(found) == len(objects(spec))
    template = found["Deployment", spec.ref.name]["spec"]["template"]
    (container,) = template["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    for service in (o for (kind, _), o in found.items() if kind == "Service"):
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= set(ports)
    discovery = found["Service", f"{spec.ref.name}-instance-discovery"]["spec"]["ports"]
    assert [p["port"] for p in discovery] == [ports["rate-limit-dc"], ports["dc-heartbeat"]]
    volumes = [volume["name"] for volume in template["spec"].get("volumes", ())]
    assert volumes == [mount["name"] for mount in container.get("volumeMounts", ())]
    selector = found["Deployment", spec.ref.name]["spec"]["selector"]["matchLabels"]
    assert selector.items() <= template["metadata"]["labels"].items()
    assert selector == {"app": spec.ref.name}
    assert set(template["metadata"]["annotations"]) >= {CONFIG_ANNOTATION}


def test_the_published_schema_is_the_one_that_is_checked() -> None:
    text = json.dumps(file_schema(), indent=1, sort_keys=True) + "\n"
    if os.environ.get("WRITE_DOCS"):
        (DOCS / "gateway.schema.json").write_text(text)
    assert (DOCS / "gateway.schema.json").read_text() == text, "WRITE_DOCS=1 writes it again"
    jsonschema.Draft202012Validator.check_schema(file_schema())


MANAGED = {"manage": "token", "gateway": "edge-1", "cluster": "west", "namespace": "prod"}


@pytest.mark.parametrize(
    ("change", "takes"),
    [
        ({}, True),
        ({"name": "gw"}, True),
        ({"manage": "all"}, False),
        ({"gateway": ""}, False),
        ({"replicas": 3}, False),
    ],
)
def test_the_published_schema_takes_a_file_of_a_token_as_it_is_read(
    change: dict[str, Any], takes: bool
) -> None:
    given = MANAGED | change
    assert jsonschema.Draft202012Validator(file_schema()).is_valid(given) is takes
    if takes:
        assert token_spec_from_yaml(yaml.safe_dump(given)) is not None
    else:
        with pytest.raises(InvalidInput):
            token_spec_from_yaml(yaml.safe_dump(given))


@pytest.mark.parametrize(
    "wrong",
    [{"replicas": "3"}, {"replcas": 3}, {"service": {"type": "Ingress"}}, {"settings": {"x": "y"}}],
)
def test_the_schema_tells_a_mistake(wrong: dict[str, Any]) -> None:
    good = {
        "gateway": "edge-1",
        "apim": {"instance": "contoso", "endpoint": "contoso.com"},
        "cluster": "west",
        "namespace": "dev",
        "image": {"tag": "2.11.1"},
    }
    validator = jsonschema.Draft202012Validator(json_schema())
    validator.validate(good)
    assert not validator.is_valid({**good, **wrong})


def paths(schema: dict[str, Any], path: str = "") -> Iterator[str]:
    for key, below in schema.get("properties", {}).items():
        at = f"{path}.{key}" if path else key
        yield from paths(below, at) if "description" not in below else [at]


@pytest.mark.parametrize("path", sorted(paths(json_schema())))
def test_every_field_is_explained(path: str) -> None:
    assert f"`{path}`" in (DOCS / "spec.md").read_text()


@pytest.mark.parametrize(
    "example", re.findall(r"```yaml\n(.*?)```", (DOCS / "spec.md").read_text(), re.DOTALL)
)
def test_the_examples_that_people_copy_are_right(example: str) -> None:
    jsonschema.Draft202012Validator(file_schema()).validate(yaml.safe_load(example))
    assert objects(parse_spec_yaml(example))
