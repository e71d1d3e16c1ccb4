"""Every field of a spec is asked for somewhere, and asking for it makes a difference."""

import copy
import functools
import json
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from deploy.annotations import SPEC_ANNOTATION
from deploy.errors import InvalidInput
from deploy.specs.schema import json_schema
from deploy.specs.spec import spec_from_mapping
from tests.deploy.specs.test_any_spec import objects, paths
from tests.support.processes import ROOT

ADOPTED: dict[str, Any] = {
    "gateway": "edge-1",
    "apim": {"instance": "contoso", "endpoint": "contoso.configuration.azure-api.net"},
    "cluster": "west",
    "namespace": "dev",
    "image": {"tag": "2.11.1"},
    "backup": {"existingClaim": "apim-config"},
    "objects": {
        "selector": {"run": "gateway"},
        "labelSelector": {
            "matchLabels": {"run": "gateway"},
            "matchExpressions": [{"key": "tier", "operator": "Exists"}],
        },
        "sources": [
            {"configMap": "common", "prefix": "config.", "optional": True},
            {"configMap": "apim-env"},
            {"secret": "apim-redis"},
        ],
        "keeps": ["probes", "ports", "security"],
        "serviceSelector": {"run": "gateway", "tier": "front"},
        "httpName": "web",
        "httpTarget": "plain",
        "httpsName": "",
        "httpsTarget": "8443",
        "backupVolume": "apim-backup",
        "container": "apim",
        "configMap": "apim-env",
        "service": "apim",
        "discoveryService": "apim-discovery",
        "disruptionBudget": "apim",
    },
}
SAMPLES = [
    ADOPTED,
    *(yaml.safe_load(path.read_text()) for path in (ROOT / "tests/data/specs").glob("*.yaml")),
]
FOR_THE_BOT = {"auth.clientSecretExpires", "rollout.automaticRollback"}
"""What the bot alone reads: no object shows it but in the spec that it carries."""


@pytest.mark.parametrize(
    "path", sorted(path for path in paths(json_schema()) if not path.startswith("settings."))
)
def test_each_field_is_in_a_sample_and_makes_a_difference(path: str) -> None:
    asking = [sample for sample in SAMPLES if held(sample, path) is not None]
    assert asking, "tests/data/specs"
    told = any(rendered(without(sample, path)) != rendered(sample) for sample in asking)
    assert told or path in FOR_THE_BOT, "no object depends on it"


def held(sample: Any, path: str) -> Any:
    for key in path.split("."):
        sample = sample.get(key) if isinstance(sample, Mapping) else None
    return sample


def without(sample: dict[str, Any], path: str) -> dict[str, Any]:
    found = copy.deepcopy(sample)
    *parents, last = path.split(".")
    del functools.reduce(lambda at, key: at[key], parents, found)[last]
    return found


def rendered(sample: dict[str, Any]) -> str:
    """The objects, the spec that they carry left out; or that there are none without this."""
    try:
        found = objects(spec_from_mapping(sample))
    except InvalidInput as refused:
        return str(refused)
    for manifest in found:
        manifest["metadata"].get("annotations", {}).pop(SPEC_ANNOTATION, None)
    return json.dumps(found, sort_keys=True)
