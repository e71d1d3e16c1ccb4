"""Gateways that run already must get an empty plan from a newer bot: not a byte may change."""

import json
from pathlib import Path
from typing import Any

import pytest

from deploy.plans.dry_run import wanted_objects
from deploy.plans.handover import with_carried_spec
from deploy.rendering.manifests import render
from deploy.specs.spec import spec_from_mapping
from tests.support.earlier_labels import EARLIER, as_applied

GOLDEN = Path(__file__).parent / "golden"
SPECS: dict[str, dict[str, Any]] = {
    "small": {
        "gateway": "Edge-1",
        "apim": {"instance": "contoso", "endpoint": "contoso.configuration.azure-api.net"},
        "cluster": "west",
        "namespace": "dev",
        "image": {"tag": "2.11.1"},
    },
    "first-fields": {
        "gateway": "Edge-1",
        "apim": {"instance": "contoso", "endpoint": "https://apim.contoso.com"},
        "cluster": "west",
        "namespace": "dev",
        "name": "edge",
        "image": {"repository": "registry.contoso.com/gateway", "tag": "2.12.0"},
        "replicas": 5,
        "resources": {"cpu": "500m", "memory": "1Gi"},
        "service": {"type": "ClusterIP", "httpPort": 8080, "httpsPort": 8443},
        "rollout": {
            "maxUnavailable": "1",
            "maxSurge": "50%",
            "progressDeadlineSeconds": 900,
            "terminationGracePeriodSeconds": 30,
        },
        "logs": {"level": "warn", "format": "json"},
    },
}


@pytest.mark.parametrize("name", SPECS)
def test_what_a_spec_of_the_first_fields_gives_never_changes(name: str) -> None:
    golden = (GOLDEN / f"{name}.json").read_text()
    spec, live = spec_from_mapping(SPECS[name]), json.loads(golden)[-1]
    objects = with_carried_spec(render(spec, "edge-token-abc234"), spec, live)
    assert json.dumps(objects, indent=1) + "\n" == golden


@pytest.mark.parametrize("name", SPECS)
def test_of_what_an_earlier_version_made_only_labels_of_objects_change(name: str) -> None:
    """None of their pods restarts: their template is the same to the byte."""
    before = json.loads((EARLIER / f"{name}.json").read_text())
    live = as_applied(before[-1])
    after = wanted_objects(spec_from_mapping(SPECS[name]), "edge-token-abc234", live, count=None)
    for was, now in zip(before, after, strict=True):
        was["spec"] = {k: v for k, v in was.get("spec", {}).items() if k != "replicas"}
        assert now.get("spec", {}) == was["spec"]
        assert {**now["metadata"], "labels": {}} == {**was["metadata"], "labels": {}}
        assert "app.kubernetes.io/instance" not in now["metadata"]["labels"]
