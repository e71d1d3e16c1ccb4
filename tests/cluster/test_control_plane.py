"""The control plane of ours, and which one is chosen."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.control_plane import EnvTest, Given, Process, Unfit, built, choose
from tests.support.kube_api import KubeApi
from tests.support.processes import alive, line_of, python
from tests.support.waiting import until

_PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.argv[1], "--dir", sys.argv[2]], stdout=subprocess.PIPE, text=True)
for line in child.stdout:
    if line.strip() == "ready":
        print(child.pid, flush=True)
time.sleep(1000)
"""


def _kubeconfig(path: Path, context: str) -> Path:
    path.write_text(yaml.safe_dump({"current-context": context, "contexts": [], "users": []}))
    return path


@pytest.fixture
def binary(request: pytest.FixtureRequest) -> Path:
    """The built control plane."""
    found = built()
    if found is None or request.config.getoption("--control-plane") != "required":
        pytest.skip("`make test-cluster` runs this")
    return found


def test_it_ends_with_its_parent_and_has_written_who_did_what(binary: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    parent = python(_PARENT, str(binary), str(state))
    child = int(line_of(parent))
    api = KubeApi(state / "kubeconfig")
    secret = {"metadata": {"name": "s"}, "stringData": {"value": "not-for-the-log"}}
    api.create("/api/v1/namespaces/default/secrets", secret)
    parent.kill()
    parent.wait()
    until(lambda: not alive(child), "the end of the control plane")
    audited = (state / "audit.log").read_text()
    assert '"resource":"secrets","namespace":"default","name":"s"' in audited
    assert "not-for-the-log" not in audited


def test_rights_are_those_of_roles(binary: Path, tmp_path: Path) -> None:
    process = Process(binary, tmp_path / "state")
    process.start()
    try:
        api = KubeApi(process.plane.kubeconfig)
        assert api.as_user("nobody").request("GET", "/api/v1/pods").status == 403
    finally:
        process.stop()


@pytest.mark.parametrize("context", ["production", "west", "arn:aws:eks:x", ""])
def test_a_cluster_that_may_be_dear_to_somebody_is_refused(tmp_path: Path, context: str) -> None:
    kubeconfig = _kubeconfig(tmp_path / "config", context)
    with pytest.raises(Unfit, match="THROW_AWAY_CLUSTER=yes"):
        choose(tmp_path, {"KUBECONFIG": str(kubeconfig)})
    chosen = choose(tmp_path, {"KUBECONFIG": str(kubeconfig), "THROW_AWAY_CLUSTER": "yes"})
    assert isinstance(chosen, Given)


@pytest.mark.parametrize("context", ["kind-kind", "k3d-test", "kwok-kwok", "minikube"])
def test_a_cluster_to_throw_away_is_taken(tmp_path: Path, context: str) -> None:
    kubeconfig = _kubeconfig(tmp_path / "config", context)
    assert isinstance(choose(tmp_path, {"KUBECONFIG": str(kubeconfig)}), Given)


def test_assets_without_an_api_server_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Unfit, match="there is no etcd"):
        choose(tmp_path, {"KUBEBUILDER_ASSETS": str(tmp_path)})
    for name in ("etcd", "kube-apiserver"):
        (tmp_path / name).touch()
    assert isinstance(choose(tmp_path, {"KUBEBUILDER_ASSETS": str(tmp_path)}), EnvTest)


def test_tests_that_require_one_fail_where_there_is_none(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "tests/cluster", "--control-plane=required", "-q"],
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path), "KUBECONFIG": "", "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "make controlplane" in done.stderr
