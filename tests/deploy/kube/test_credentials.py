"""A kubeconfig whose credentials come from a plugin, which is somebody else's program."""

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from deploy.errors import Unavailable
from deploy.kube import cluster as clusters
from deploy.kube import transport
from deploy.kube.cluster import connect
from deploy.kube.connection import Timeouts
from tests.support.silent_proxy import silent_peer

PLUGIN = """#!/bin/sh
if [ -e {hang} ]; then exec sleep 60; fi
echo '{answer}'
"""


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    plugin = tmp_path / "plugin"
    answer = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": "t", "expirationTimestamp": "2020-01-01T00:00:00Z"},
    }
    plugin.write_text(PLUGIN.format(hang=tmp_path / "hang", answer=json.dumps(answer)))
    plugin.chmod(plugin.stat().st_mode | stat.S_IXUSR)
    return plugin


@pytest.fixture
def kubeconfig(tmp_path: Path, plugin: Path) -> Iterator[Path]:
    login = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": str(plugin),
        "interactiveMode": "Never",
    }
    path = tmp_path / "kubeconfig"
    with silent_peer() as port:
        path.write_text(
            yaml.safe_dump(
                {
                    "clusters": [
                        {"name": "west", "cluster": {"server": f"http://127.0.0.1:{port}"}}
                    ],
                    "users": [{"name": "bot", "user": {"exec": login}}],
                    "contexts": [{"name": "west", "context": {"cluster": "west", "user": "bot"}}],
                    "current-context": "west",
                }
            )
        )
        yield path


def test_a_plugin_that_hangs_takes_nobody_longer_than_its_bound(
    kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusters, "_LOADING_SECONDS", 60)
    cluster = connect("west", kubeconfig=kubeconfig)
    monkeypatch.setattr(transport, "_CREDENTIALS_SECONDS", 0.3)
    (tmp_path / "hang").touch()
    with pytest.raises(Unavailable, match="cannot be renewed") as given_up:
        cluster.can_i("get", "", "pods", None)
    assert given_up.value.untouched
    cluster.close()


def test_a_plugin_that_hangs_at_the_start_holds_up_nobody_else_and_is_waited_for_later(
    kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusters, "_LOADING_SECONDS", 0.2)
    (tmp_path / "hang").touch()
    cluster = connect("west", kubeconfig=kubeconfig, timeouts=Timeouts(read=0.3))
    with pytest.raises(Unavailable, match="credentials for cluster “west” are not there yet"):
        cluster.uid()
    cluster.close()
