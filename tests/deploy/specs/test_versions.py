"""Specs that yesterday's bot wrote on a cluster are read, and those of tomorrow's left alone."""

import json
from pathlib import Path

import pytest
import yaml

from deploy.annotations import SPEC_ANNOTATION
from deploy.kube.objects import Manifest
from deploy.observed.history import revisions
from deploy.observed.inventory import apim_gateway_of, is_gateway, managed_by, spec_field
from deploy.plans.handover import left_behind
from deploy.rendering.manifests import render
from deploy.rollouts.going_back import version_before
from deploy.specs.annotation import NewerSpec, mapping_from_text, spec_from_text, spec_to_text
from deploy.specs.spec import spec_from_mapping, spec_to_mapping
from tests.support.gateway_bed import SPEC
from tests.support.records import recorded

REVISION = "deployment.kubernetes.io/revision"


def test_specs_of_before_versions_are_read() -> None:
    everything = Path(__file__).parents[2] / "data" / "specs" / "everything.yaml"
    carried = recorded("spec_annotation")
    assert spec_from_text(carried["small"]) == SPEC
    wanted = spec_from_mapping(yaml.safe_load(everything.read_text(encoding="utf-8")))
    assert spec_from_text(carried["everything"]) == wanted


def test_a_spec_of_a_newer_version_is_not_interpreted() -> None:
    newer = json.loads(recorded("spec_annotation")["small"]) | {"version": 2}
    with pytest.raises(NewerSpec):
        mapping_from_text(json.dumps(newer))


def of_a_newer_bot() -> Manifest:
    """A Deployment whose annotation only a newer bot understands."""
    (*_, deployment) = render(SPEC, "edge-1-token-1")
    text = json.dumps(json.loads(spec_to_text(SPEC)) | {"version": 2, "gateway": {"name": "x"}})
    deployment["metadata"]["annotations"] |= {SPEC_ANNOTATION: text, REVISION: "2"}
    deployment["metadata"]["uid"] = "u1"
    return deployment


def replica_set(number: int, text: str) -> Manifest:
    """A revision of it."""
    template = of_a_newer_bot()["spec"]["template"]
    metadata = {
        "name": f"edge-1-{number}",
        "annotations": {REVISION: str(number), SPEC_ANNOTATION: text},
        "ownerReferences": [{"uid": "u1"}],
    }
    return {"metadata": metadata, "spec": {"template": template}, "status": {"readyReplicas": 1}}


def test_a_gateway_of_a_newer_bot_is_known_by_what_else_tells() -> None:
    deployment = of_a_newer_bot()
    assert is_gateway(deployment)
    assert managed_by(deployment) == "gateway-bot"
    assert apim_gateway_of(deployment) == ""
    assert spec_field(deployment, "apim", "instance") == ""
    assert left_behind(deployment, ()) == []


def test_revisions_tell_their_spec_with_a_version_or_without() -> None:
    known = [recorded("spec_annotation")["small"], spec_to_text(SPEC)]
    newer = of_a_newer_bot()["metadata"]["annotations"][SPEC_ANNOTATION]
    sets = [replica_set(number, text) for number, text in enumerate([*known, newer], 1)]
    found = {revision.number: revision for revision in revisions(of_a_newer_bot(), sets)}
    assert found[1].spec == found[2].spec == spec_to_mapping(SPEC)
    assert found[3].spec is None
    deployment = of_a_newer_bot()
    deployment["metadata"]["annotations"][REVISION] = "4"
    before = version_before(deployment, sets, 1)
    assert before is not None
    assert before.spec == SPEC
    assert version_before(deployment, sets, 3) is None
