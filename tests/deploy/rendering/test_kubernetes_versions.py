"""What is rendered is known to the oldest and the newest Kubernetes that is supported, strictly; and
what an older one does not know is found before it is applied."""

import datetime
import re
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]  # it brings no types
import pytest
import yaml
from hypothesis import HealthCheck, given, settings

from deploy.kube.objects import Manifest
from deploy.plans.preflight.fields import field_findings, minor_of
from deploy.rendering.manifests import render, token_secret, with_action
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.spec import parse_spec_yaml, spec_from_mapping
from deploy.tokens.token import Token, expiry_for
from tests.support.guidance import NAMESPACE, ROWS
from tests.support.kubernetes_versions import NEWEST, OLDEST, SCHEMAS
from tests.support.specs import SPECS

ROOT = Path(__file__).parents[3]
DOCUMENTED = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/spec.md").read_text(), re.DOTALL)
FIXED = {
    **{path.stem: path.read_text() for path in (ROOT / "tests/data/specs").glob("*.yaml")},
    **{f"docs/spec.md, {n}": text for n, text in enumerate(DOCUMENTED, 1)},
    **{
        f"guidance, {row.name}": yaml.safe_dump(
            {
                "gateway": "edge-1",
                "apim": {"instance": "contoso", "endpoint": "contoso.configuration.azure-api.net"},
                "cluster": "west",
                "image": {"tag": "2.11.1"},
                **row.options,
                "namespace": NAMESPACE,
            }
        )
        for row in ROWS
    },
}
NOW = datetime.datetime(2026, 11, 30, tzinfo=datetime.UTC)

any_spec = settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def written(spec: GatewaySpec) -> tuple[Manifest, ...]:
    """Everything that is sent to a cluster for a spec."""
    if spec.auth.kind != "token":
        return with_action(render(spec, None), "ABC234", "U1")
    token = Token(spec.apim.gateway, expiry_for(NOW), f"{spec.apim.gateway}&202612312359&c2ln")
    secret = token_secret(spec, "edge-token-abc234", token, "ABC234")
    return (secret, *with_action(render(spec, "edge-token-abc234"), "ABC234", "U1"))


def is_valid(manifest: Manifest, version: str) -> bool:
    try:
        kubernetes_validate.validate(manifest, version, strict=True)
    except kubernetes_validate.ValidationError:
        return False
    return True


def found(objects: tuple[Manifest, ...], version: str) -> list[str]:
    return [each.what for each in field_findings(objects, f"v{version}.3-gke.100")]


@any_spec
@given(SPECS)
def test_the_newest_schema_takes_every_object_of_any_spec(spec: GatewaySpec) -> None:
    for manifest in written(spec):
        kubernetes_validate.validate(manifest, NEWEST, strict=True)
    assert found(written(spec), NEWEST) == []


@any_spec
@given(SPECS)
def test_the_oldest_schema_takes_every_object_of_any_spec_or_a_plan_finds_the_field(
    spec: GatewaySpec,
) -> None:
    objects = written(spec)
    if not found(objects, OLDEST):
        for manifest in objects:
            kubernetes_validate.validate(manifest, OLDEST, strict=True)


@settings(any_spec, max_examples=5)
@given(SPECS)
def test_in_no_version_is_a_field_unknown_that_a_plan_does_not_find(spec: GatewaySpec) -> None:
    objects = written(spec)
    for version in SCHEMAS:
        if not found(objects, version):
            assert all(is_valid(manifest, version) for manifest in objects), version


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("name", FIXED)
def test_every_fixed_spec_is_of_both_versions(name: str, version: str) -> None:
    for manifest in written(parse_spec_yaml(FIXED[name])):
        kubernetes_validate.validate(manifest, version, strict=True)


def _spec(**more: Any) -> tuple[Manifest, ...]:
    base = {
        "gateway": "edge-1",
        "apim": {"instance": "contoso", "endpoint": "contoso.configuration.azure-api.net"},
        "cluster": "west",
        "namespace": "dev",
        "image": {"tag": "2.11.1"},
    }
    return written(spec_from_mapping(base | more))


_TERM = {"topologyKey": "kubernetes.io/hostname", "matchLabelKeys": ["pod-template-hash"]}
NEWER: dict[str, tuple[dict[str, Any], str, int]] = {
    "preStop sleep": (
        {"rollout": {"preStopSleepSeconds": 5}}, "rollout.preStopSleepSeconds", 30,
    ),
    "keys of a spread": (
        {"placement": {"whenUnsatisfiable": "DoNotSchedule"}},
        "placement.whenUnsatisfiable: DoNotSchedule",
        27,
    ),
    "keys of an affinity": (
        {"placement": {"affinity": {
            "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [_TERM]}}}},
        "placement.affinity (matchLabelKeys)",
        31,
    ),
    "a container's metric": (
        {"autoscaling": {"maxReplicas": 5, "metrics": [
            {"type": "ContainerResource", "containerResource": {
                "name": "cpu", "container": "edge-1",
                "target": {"type": "Utilization", "averageUtilization": 60}}}]}},
        "autoscaling.metrics (containerResource)",
        27,
    ),
    "the tolerance of an autoscaler": (
        {"autoscaling": {"maxReplicas": 5, "behavior": {"scaleUp": {"tolerance": "0.05"}}}},
        "autoscaling.behavior (scaleUp.tolerance)",
        35,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NEWER)
def test_a_field_is_found_in_the_version_before_it_came_and_not_in_that_one(name: str) -> None:
    more, field, since = NEWER[name]
    before = found(_spec(**more), f"1.{since - 1}")
    assert before == [f"Kubernetes 1.{since - 1} on this cluster does not support {field}."]
    assert found(_spec(**more), f"1.{since}") == []
    # What is not asked for is found nowhere.
    assert found(_spec(), "1.25") == []


@pytest.mark.parametrize(
    ("version", "minor"),
    [
        ("v1.36.0", (1, 36)),
        ("v1.29.4-gke.100", (1, 29)),
        ("v1.30.1+k3s1", (1, 30)),
        ("1.32", (1, 32)),
        ("", None),
        ("unknown", None),
    ],
)
def test_a_minor_version_is_read_as_clouds_write_it(
    version: str, minor: tuple[int, int] | None
) -> None:
    assert minor_of(version) == minor
    if minor is None:
        assert not list(field_findings(_spec(rollout={"preStopSleepSeconds": 5}), version))


def test_the_documentation_names_the_versions_that_are_checked() -> None:
    assert f"Kubernetes {OLDEST} to {NEWEST}" in (ROOT / "docs/install.md").read_text()
