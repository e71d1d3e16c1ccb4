"""What a gateway that runs was deployed from, as far as its own Deployment tells."""

import dataclasses
import json

import pytest

from deploy.annotations import SPEC_ANNOTATION
from deploy.errors import Conflict, DeployedByOthers
from deploy.gateway import GatewayRef
from deploy.kube.cluster import Cluster
from deploy.observed.installed import installed
from deploy.rendering.manifests import render
from deploy.specs.spec import spec_to_mapping
from tests.support.gateway_bed import REF, SPEC


def deployed(cluster: Cluster, spec: dict[str, str]) -> None:
    """SPEC's Deployment, with another spec written on it."""
    (item,) = (m for m in render(SPEC, "edge-1-token-1") if m["kind"] == "Deployment")
    said = {**spec_to_mapping(SPEC), **spec}
    item["metadata"].setdefault("annotations", {})[SPEC_ANNOTATION] = json.dumps(said)
    cluster.create(item)


@pytest.mark.parametrize("said", [{"namespace": "prod"}, {"name": "other"}], ids=str)
def test_a_spec_copied_from_another_gateway_does_not_lead_there(
    cluster: Cluster, said: dict[str, str]
) -> None:
    deployed(cluster, said)
    with pytest.raises(Conflict, match=r"stored with .* belongs to west/"):
        installed(cluster, REF)


def test_a_gateway_is_where_it_was_found_whatever_its_cluster_was_called(cluster: Cluster) -> None:
    deployed(cluster, {"cluster": "north"})
    assert installed(cluster, REF).spec == SPEC
    moved = GatewayRef("south", REF.namespace, REF.name)
    assert installed(cluster, moved).spec == dataclasses.replace(SPEC, ref=moved)


def test_what_argo_cd_declares_is_changed_there_and_not_offered_to_be_adopted(
    cluster: Cluster,
) -> None:
    (item,) = (m for m in render(SPEC, "edge-1-token-1") if m["kind"] == "Deployment")
    tracked = f"edge:apps/Deployment:{REF.namespace}/{REF.name}"
    item["metadata"]["annotations"] = {"argocd.argoproj.io/tracking-id": tracked}
    item["metadata"]["labels"]["app.kubernetes.io/managed-by"] = "kustomize"
    cluster.create(item)
    with pytest.raises(DeployedByOthers) as refused:
        installed(cluster, REF)
    assert refused.value.happened.endswith("but by Argo CD (application edge).")
    assert "Change it where Argo CD reads it" in refused.value.remedy
    assert [command.verb for command in refused.value.commands] == ["manage-token"]
