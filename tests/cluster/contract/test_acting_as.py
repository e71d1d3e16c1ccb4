"""A kubeconfig whose user acts as somebody else: what the API server makes of the bot's headers."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.errors import GatewayBotError
from deploy.kube.cluster import Cluster, connect
from tests.cluster.conftest import Target
from tests.support.gateway_bed import PATIENT
from tests.support.kube_api import KubeApi

_REVIEWS = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


def acting(
    target: Target, directory: Path, user: dict[str, Any], *, alone: bool = False
) -> Cluster:
    """As the administrator, or `alone` as who the entry says."""
    config = yaml.safe_load(target.kubeconfig.read_text())
    (context,) = [c for c in config["contexts"] if c["name"] == target.context]
    for each in config["users"]:
        if each["name"] == context["context"]["user"]:
            each["user"] = user if alone else {**each["user"], **user}
    path = directory / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return connect("west", kubeconfig=path, context=target.context, timeouts=PATIENT)


def who_am_i(cluster: Cluster) -> dict[str, Any]:
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    answer = cluster._bare.request("POST", _REVIEWS, what="who I am", body=body)
    found: dict[str, Any] = json.loads(answer)["status"]["userInfo"]
    return found


def test_the_bot_is_whom_the_kubeconfig_says(target: Target, tmp_path: Path) -> None:
    cluster = acting(
        target,
        tmp_path,
        {
            "as": "ann",
            "as-groups": ["readers", "writers"],
            "as-uid": "42",
            "as-user-extra": {"reason.example/why not": ["one", "two"]},
        },
    )
    found = who_am_i(cluster)
    cluster.close()
    assert found["username"] == "ann"
    assert {"readers", "writers", "system:authenticated"} == set(found["groups"])
    assert found["uid"] == "42"
    assert found["extra"] == {"reason.example/why not": ["one", "two"]}


def test_a_service_account_has_its_groups(target: Target, tmp_path: Path) -> None:
    cluster = acting(target, tmp_path, {"as": "system:serviceaccount:default:default"})
    found = who_am_i(cluster)
    cluster.close()
    assert {"system:serviceaccounts", "system:serviceaccounts:default"} <= set(found["groups"])


@pytest.mark.usefixtures("needs_controllers")
def test_without_the_right_to_it_is_refused_by_name(
    target: Target, api: KubeApi, ns: str, tmp_path: Path
) -> None:
    path = f"/api/v1/namespaces/{ns}/serviceaccounts/default/token"
    token = api.create(path, {"spec": {"expirationSeconds": 600}})["status"]["token"]
    cluster = acting(target, tmp_path, {"token": token, "as": "ann"}, alone=True)
    with pytest.raises(GatewayBotError) as refused:
        cluster.namespaces()
    cluster.close()
    assert "is not allowed to impersonate the user" in refused.value.happened
    assert "cluster “west”" in refused.value.happened
