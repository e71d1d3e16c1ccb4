"""An export for a repository is sent as a file, whoever deployed the gateway, and applies nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.deadline import Deadline
from deploy.errors import InvalidInput
from deploy.health.cache import ClusterCache
from deploy.kube.cluster import Cluster, connect
from handlers.slack.payloads import Request
from handlers.verbs.export import Needs, run
from tests.support.gateway_bed import HOST, TIMEOUTS
from tests.support.portal import portal
from tests.support.running_cluster import RunningCluster


class Files:
    """A Slack that takes files and keeps what was in the last one."""

    def __init__(self) -> None:
        self.text = ""

    def conversations_open(self, **asked: Any) -> dict[str, Any]:
        return {"channel": {"id": "D1"}}

    def files_upload_v2(self, *, content: str, **asked: Any) -> None:
        self.text = content


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with RunningCluster(tmp_path, namespaces=("dev",)) as running:
        client = connect("west", kubeconfig=running.kubeconfig(), timeouts=TIMEOUTS)
        for item in portal("dev", "legacy-9"):
            client.create(item)
        yield client
        client.close()


def exported(cluster: Cluster, **options: Any) -> str:
    """The file that is sent of `legacy-9`."""
    cache, slack = ClusterCache(cluster), Files()
    try:
        needs = Needs(slack, {"west": cache}, {"west": cluster})  # type: ignore[arg-type]  # as much of Slack as is used
        run(needs, Request("1", "export", "U1", "C1", gateway="legacy-9", options=options))
    finally:
        cache.stop(Deadline.after(5))
    return slack.text


def test_a_change_of_a_gateway_that_others_deployed_is_a_patch_and_is_not_applied(
    cluster: Cluster,
) -> None:
    before = cluster.get("Deployment", "dev", "legacy-9")
    text = exported(cluster, **{"for": "kustomize", "tag": "2.12.1", "replicas": 4})
    (found,) = yaml.safe_load(text)["patches"]
    assert found["target"] == {"kind": "Deployment", "name": "legacy-9"}
    image = "mcr.microsoft.com/azure-api-management/gateway:2.12.1"
    assert yaml.safe_load(found["patch"])["spec"] == {
        "replicas": 4,
        "template": {"spec": {"containers": [{"name": "gateway", "image": image}]}},
    }
    after = cluster.get("Deployment", "dev", "legacy-9")
    assert before is not None
    assert after is not None
    assert after["spec"] == before["spec"]


def test_a_gateway_that_others_deployed_is_told_as_the_values_of_the_chart(
    cluster: Cluster,
) -> None:
    text = exported(cluster, **{"for": "helm"})
    values = yaml.safe_load(text)
    assert values["gateway"]["configuration"]["uri"] == HOST
    assert values["image"]["tag"] == "2.11.1"
    assert values["secret"]["existingSecretName"] == "legacy-9-token-old"
    assert "GatewayKey" not in text
    changed = yaml.safe_load(exported(cluster, **{"for": "helm", "set": ["logs.level=warn"]}))
    assert changed == {"observability": {"logs": {"std": {"level": "warn"}}}}


@pytest.mark.parametrize("options", [{"replicas": 3}, {"tag": "2.12.1"}])
def test_an_export_of_a_change_needs_the_form_of_its_repository(
    cluster: Cluster, options: dict[str, Any]
) -> None:
    with pytest.raises(InvalidInput, match="repository"):
        exported(cluster, **options)
