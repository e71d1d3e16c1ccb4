"""What to put where something else declares a gateway makes it what was asked for, and nothing else."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.errors import InvalidInput
from deploy.observed.given import given_among
from deploy.plans.outline import UNKNOWN_ENDPOINT, outline_of
from deploy.rendering.manifests import render
from deploy.rendering.patches import Declared, chart_values, kustomize_patches
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.overlay import merged
from deploy.specs.spec import spec_from_mapping, spec_to_mapping
from tests.support.gateway_bed import HOST, REF, SPEC
from tests.support.kubectl import kubectl_path
from tests.support.portal import portal

HERE = ("edge-1-token", "value")


def with_(**asked: Any) -> GatewaySpec:
    return spec_from_mapping(merged(spec_to_mapping(SPEC), asked))


def patches(after: GatewaySpec, declared: Declared | None = None) -> dict[str, Any]:
    """Each patch by the kind of its target."""
    text = kustomize_patches(SPEC, after, declared or Declared())
    found = yaml.safe_load(text)["patches"]
    return {each["target"]["kind"]: yaml.safe_load(each["patch"]) for each in found}


def built(directory: Path, objects: list[dict[str, Any]], text: str) -> dict[str, Any]:
    """What kustomize makes of the objects with the patches, by kind and name."""
    (directory / "base.yaml").write_text(yaml.safe_dump_all(objects))
    (directory / "kustomization.yaml").write_text(f"resources: [base.yaml]\n{text}")
    made = subprocess.run(
        [kubectl_path(), "kustomize", str(directory)], capture_output=True, text=True, check=True
    )
    return {
        f"{each['kind']}/{each['metadata']['name']}": each
        for each in yaml.safe_load_all(made.stdout)
    }


def test_a_patch_holds_what_was_asked_for_alone() -> None:
    found = patches(with_(image={"tag": "2.12.1"}, replicas=5, logs={"level": "warn"}))
    assert set(found) == {"Deployment", "ConfigMap"}
    assert found["ConfigMap"]["data"] == {"telemetry.logs.std.level": "warn"}
    image = "mcr.microsoft.com/azure-api-management/gateway:2.12.1"
    containers = [{"name": "edge-1", "image": image}]
    assert found["Deployment"]["spec"] == {
        "replicas": 5,
        "template": {"spec": {"containers": containers}},
    }


def test_a_setting_that_stands_in_the_deployment_is_changed_there() -> None:
    declared = Declared(variables={"telemetry.logs.std.level"})
    found = patches(with_(logs={"level": "warn"}), declared)
    assert set(found) == {"Deployment"}
    (container,) = found["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert container["env"] == [{"name": "telemetry.logs.std.level", "value": "warn"}]


def test_a_request_of_memory_brings_no_limit_where_there_was_none() -> None:
    asked = with_(resources={"memory": "4Gi"})
    (container,) = patches(asked)["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"] == {"memory": "4Gi"}
    bare = patches(asked, Declared(memory_limit=False))
    (container,) = bare["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert container["resources"] == {"requests": {"memory": "4Gi"}}


def test_kustomize_makes_of_the_base_what_was_asked_for(tmp_path: Path) -> None:
    after = with_(
        image={"tag": "2.12.1"},
        replicas=5,
        logs={"level": "warn"},
        service={"httpPort": 8080},
        rollout={"maxSurge": "50%"},
    )
    text = kustomize_patches(SPEC, after, Declared())
    made = built(tmp_path, list(render(SPEC, "s")), text)
    for wanted in render(after, "s"):
        found = made[f"{wanted['kind']}/{wanted['metadata']['name']}"]
        if wanted["kind"] == "Deployment":
            for side in (wanted, found):
                side["spec"]["template"].pop("metadata")
        assert found.get("spec") == wanted.get("spec"), wanted["kind"]
        assert found.get("data") == wanted.get("data")


def test_kustomize_changes_one_field_of_what_others_wrote(tmp_path: Path) -> None:
    objects = portal("dev", "edge-1")
    objects[1:] = [each for each in objects[1:] if each["kind"] != "Secret"]
    deployment = next(each for each in objects if each["kind"] == "Deployment")
    given = given_among(deployment, [each for each in objects if each["kind"] == "ConfigMap"])
    before = outline_of(REF, deployment, given, gateway="edge-1")
    after = spec_from_mapping(merged(spec_to_mapping(before), {"image": {"tag": "2.12.1"}}))
    made = built(tmp_path, objects, kustomize_patches(before, after, Declared(memory_limit=False)))
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    container["image"] = "mcr.microsoft.com/azure-api-management/gateway:2.12.1"
    for field in ("metadata", "spec"):
        deployment[field].pop("annotations", None)
        assert made["Deployment/edge-1"][field] == deployment[field]
    assert before.apim.configuration_endpoint != UNKNOWN_ENDPOINT


def test_chart_values_say_what_changes_or_all_of_it() -> None:
    after = with_(image={"tag": "2.12.1"}, replicas=5, logs={"level": "warn"})
    assert yaml.safe_load(chart_values(SPEC, after, HERE)) == {
        "image": {"tag": "2.12.1"},
        "replicaCount": 5,
        "observability": {"logs": {"std": {"level": "warn"}}},
    }
    text = chart_values(None, after, HERE)
    values = yaml.safe_load(text)
    assert values["gateway"]["configuration"]["uri"] == HOST
    assert values["secret"] == {"createSecret": False, "existingSecretName": "edge-1-token"}
    assert "under the key value: copy it to gateway-key first" in text
    assert "GatewayKey" not in text


def test_chart_values_pin_an_image_behind_its_tag() -> None:
    digest = f"sha256:{'0a' * 32}"
    after = with_(image={"tag": f"2.12.1@{digest}"})
    assert yaml.safe_load(chart_values(SPEC, after, HERE)) == {"image": {"tag": f"2.12.1@{digest}"}}


def test_chart_values_say_what_becomes_as_it_is_by_default() -> None:
    before = with_(replicas=0, logs={"level": "warn"}, resources={"limits": {"cpu": "4"}})
    assert yaml.safe_load(chart_values(before, with_(), HERE)) == {
        "replicaCount": 2,
        "observability": {"logs": {"std": {"level": "info"}}},
        "resources": {"limits": {"cpu": None}},
    }


def test_what_cannot_be_said_in_a_repository_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no value for rollout"):
        chart_values(SPEC, with_(rollout={"minReadySeconds": 5}), HERE)
    with pytest.raises(InvalidInput, match="cannot add or remove objects"):
        kustomize_patches(SPEC, with_(backup={"size": "1Gi"}), Declared())
    with pytest.raises(InvalidInput, match="Nothing would change"):
        kustomize_patches(SPEC, SPEC, Declared())
    with pytest.raises(InvalidInput, match="Nothing would change"):
        chart_values(SPEC, SPEC, HERE)
