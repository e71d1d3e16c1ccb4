"""The client of one cluster, over real sockets."""

import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from deploy.errors import InvalidInput, NotFound, Refused, Unavailable
from deploy.kube.api_errors import AlreadyExists, OwnershipConflicts
from deploy.kube.cluster import Cluster, connect
from deploy.kube.connection import Timeouts
from tests.support.loops import running as serving
from tests.support.recorder import Recorder
from tests.support.running_cluster import RunningCluster

Manifest = dict[str, Any]


def config_map(name: str = "settings", namespace: str = "dev", **data: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": data or {"a": "1"},
    }


def test_a_quota_that_is_used_up_is_told_in_its_own_words(
    cluster: Cluster, running: RunningCluster
) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "small", "namespace": "dev"},
        "spec": {"hard": {"count/configmaps": "1"}},
    }
    running.apply("/api/v1/namespaces/dev/resourcequotas/small", quota)
    with pytest.raises(Refused, match="exceeded quota: small"):
        cluster.apply(config_map())


def test_what_is_applied_can_be_read(cluster: Cluster) -> None:
    applied = cluster.apply(config_map(a="1"))
    assert applied["metadata"]["managedFields"][0]["manager"] == "gateway-bot"
    read = cluster.get("ConfigMap", "dev", "settings")
    assert read is not None
    assert read["data"] == {"a": "1"}


def test_a_dry_run_changes_nothing(cluster: Cluster) -> None:
    assert cluster.apply(config_map(), dry_run=True)["data"] == {"a": "1"}
    assert cluster.get("ConfigMap", "dev", "settings") is None


def test_what_does_not_exist_is_none(cluster: Cluster) -> None:
    assert cluster.get("Deployment", "dev", "nothing") is None
    assert cluster.get("Namespace", None, "nothing") is None
    assert cluster.list("Pod", "no-such-namespace") == []


def test_a_list_has_every_page_and_says_what_its_items_are(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.kube.cluster._PAGE", 2)
    names = [f"map-{n}" for n in range(5)]
    cluster.apply_all([config_map(name) for name in names])
    found = cluster.list("ConfigMap", "dev")
    assert {item["kind"] for item in found} == {"ConfigMap"}
    assert sorted(i["metadata"]["name"] for i in found if "map" in i["metadata"]["name"]) == names


def test_a_missing_namespace_is_named(cluster: Cluster) -> None:
    with pytest.raises(NotFound, match=r"There is no namespace “nowhere” on cluster “west”\."):
        cluster.apply(config_map(namespace="nowhere"))


def test_an_unknown_field_is_invalid_and_not_tried_again(running: RunningCluster) -> None:
    cluster, wrong = persistent(running), {**config_map(), "dota": {}}
    began = time.monotonic()
    with pytest.raises(InvalidInput, match=r"\.dota: field not declared in schema"):
        cluster.apply(wrong)
    assert time.monotonic() - began < 30


def test_an_invalid_value_names_its_field(cluster: Cluster) -> None:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "dev"},
        "spec": {"ports": [{"port": 70000}]},
    }
    with pytest.raises(InvalidInput) as error:
        cluster.apply(service)
    assert error.value.field == "spec.ports[0].port"


def test_fields_of_others_are_told_with_their_owner(
    cluster: Cluster, running: RunningCluster
) -> None:
    path = "/api/v1/namespaces/dev/configmaps/settings"
    running.apply(path, config_map(a="theirs", b="2"), manager="helm")
    with pytest.raises(OwnershipConflicts) as error:
        cluster.apply(config_map(a="ours"))
    assert error.value.owners == (("helm", ".data.a"),)
    assert cluster.apply(config_map(a="ours"), force=True)["data"] == {"a": "ours", "b": "2"}


def test_what_others_added_so_that_it_cannot_be_applied_is_told_with_the_way_out(
    cluster: Cluster,
) -> None:
    def service(port: int) -> Manifest:
        ports = [{"name": "http", "port": port}]
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "edge-1", "namespace": "dev"},
            "spec": {"selector": {"app": "x"}, "ports": ports},
        }

    cluster.apply(service(80))
    with pytest.raises(InvalidInput) as error:
        cluster.apply(service(81), manager="kubectl-edit")
    assert "Duplicate value" in error.value.happened
    assert "server-side apply keeps entries of others" in error.value.meaning
    assert "--show-managed-fields" in error.value.remedy


def test_creating_twice_says_that_it_is_there(cluster: Cluster) -> None:
    cluster.create(config_map())
    with pytest.raises(AlreadyExists):
        cluster.create(config_map())


def test_deleting_says_whether_there_was_anything(cluster: Cluster) -> None:
    cluster.create(config_map())
    assert cluster.delete("ConfigMap", "dev", "settings")
    assert not cluster.delete("ConfigMap", "dev", "settings")


def test_a_right_that_is_missing_is_named(running: RunningCluster) -> None:
    nobody = connect("west", kubeconfig=running.kubeconfig("bot"))
    with pytest.raises(Refused) as error:
        nobody.list("Deployment", "dev")
    assert "is not allowed to list deployments.apps in namespace “dev” on cluster “west”" in str(
        error.value
    )
    assert not nobody.can_i("list", "apps", "deployments", "dev")


def test_rights_can_be_asked_for(cluster: Cluster) -> None:
    assert cluster.can_i("create", "apps", "deployments", "dev")


def test_wrong_credentials_are_said(running: RunningCluster) -> None:
    with pytest.raises(Refused, match="rejected the bot's credentials"):
        connect("west", kubeconfig=running.kubeconfig("stranger")).version()


def test_the_cluster_tells_who_it_is(cluster: Cluster) -> None:
    assert cluster.version().startswith("v1.")
    assert {"dev", "kube-system"} <= set(cluster.namespaces())
    assert cluster.uid("dev") == cluster.uid("kube-system") != ""


@pytest.mark.parametrize("body", ["{}", '{"gitVersion": ""}', "[]", "null", "<html>"])
def test_an_answer_that_tells_no_version_is_said_to_be_none(tmp_path: Path, body: str) -> None:
    with serving(here := Recorder(lambda sent: web.Response(text=body))):
        cluster = connect("west", kubeconfig=kubeconfig(tmp_path / "k", here.url))
        with pytest.raises(Unavailable, match="Cluster “west” does not report its version"):
            cluster.version()
        cluster.close()


def test_errors_of_a_moment_are_outlasted(running: RunningCluster) -> None:
    cluster = connect("west", kubeconfig=running.kubeconfig(), timeouts=Timeouts(repeat=60))
    running.call(lambda: running.cluster.faults.set("api_error", "503"))
    mended = threading.Timer(
        0.15, lambda: running.call(lambda: running.cluster.faults.set("api_error", "none"))
    )
    mended.start()
    assert cluster.apply(config_map())["data"] == {"a": "1"}
    mended.join()


def test_a_cluster_that_is_down_is_unavailable_within_a_bound(
    cluster: Cluster, running: RunningCluster
) -> None:
    running.call(lambda: running.cluster.faults.set("api_down", True))
    began = time.monotonic()
    with pytest.raises(Unavailable, match="Cluster “west” does not answer"):
        cluster.get("ConfigMap", "dev", "settings")
    assert time.monotonic() - began < 30


def persistent(running: RunningCluster) -> Cluster:
    """A client that repeats for a minute what may be repeated."""
    return connect("west", kubeconfig=running.kubeconfig(), timeouts=Timeouts(repeat=60))


def test_a_create_is_not_repeated(running: RunningCluster) -> None:
    cluster = persistent(running)
    running.call(lambda: running.cluster.faults.set("api_error", "503"))
    began = time.monotonic()
    with pytest.raises(Unavailable):
        cluster.create(config_map())
    assert time.monotonic() - began < 30


def kubeconfig(path: Path, server: str) -> Path:
    path.write_text(
        "{current-context: west, clusters: [{name: c, cluster: {server: '" + server + "'}}],"
        "users: [{name: u, user: {token: t}}],"
        "contexts: [{name: west, context: {cluster: c, user: u}}]}"
    )
    return path


def test_a_refused_connection_is_said_in_words(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        cluster = connect(
            "west",
            kubeconfig=kubeconfig(tmp_path / "k", f"http://127.0.0.1:{port}"),
            timeouts=Timeouts(connect=10, read=10, repeat=0.2),
        )
        with pytest.raises(Unavailable, match="does not answer: it refuses connections"):
            cluster.version()


def test_a_server_that_accepts_and_says_nothing_times_out(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = f"http://127.0.0.1:{silent.getsockname()[1]}"
        cluster = connect(
            "west",
            kubeconfig=kubeconfig(tmp_path / "k", server),
            timeouts=Timeouts(connect=0.3, read=0.3, repeat=0.1),
        )
        began = time.monotonic()
        with pytest.raises(Unavailable, match="takes too long to answer"):
            cluster.version()
        assert time.monotonic() - began < 30


def test_a_certificate_that_is_not_trusted_is_said(running: RunningCluster, tmp_path: Path) -> None:
    cluster = connect(
        "west",
        kubeconfig=kubeconfig(tmp_path / "k", running.cluster.url),
        timeouts=Timeouts(connect=30, read=30, repeat=0.1),
    )
    with pytest.raises(Unavailable, match="cannot be trusted: its TLS certificate") as distrusted:
        cluster.version()
    assert "`certificate-authority` of its kubeconfig" in distrusted.value.remedy
    assert "minute" not in distrusted.value.remedy


def test_a_kubeconfig_without_the_context_is_invalid(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "k", "http://127.0.0.1:1")
    with pytest.raises(InvalidInput) as error:
        connect("west", kubeconfig=path, context="east")
    assert error.value.field == "clusters.west.kubeconfig"
    with pytest.raises(InvalidInput):
        connect("west", kubeconfig=tmp_path / "none")
    with pytest.raises(InvalidInput):
        connect("west", in_cluster=True)


def test_importing_the_client_does_not_load_kubernetes() -> None:
    code = "import sys, deploy.kube.cluster; print('kubernetes' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
