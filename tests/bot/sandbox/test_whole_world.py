"""The whole world as one process: what it says, what is in it, and what outlives its end."""

import contextlib
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from kubernetes import client as kubernetes_client
from kubernetes import config as kubernetes_config
from kubernetes.client.exceptions import ApiException

from bot.settings import load_all, load_settings
from tests.support.processes import ROOT, line_of
from tests.support.waiting import until

# The package's answers are typed as if every field could be absent.
client: Any = kubernetes_client
config: Any = kubernetes_config


class WorldProcess:
    """`python -m bot.sandbox` over a directory."""

    def __init__(self, data: Path, *arguments: str) -> None:
        self.data = data
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bot.sandbox", "--data", str(data), *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.described: dict[str, Any] = {}

    def ready(self) -> "WorldProcess":
        self.described = json.loads(line_of(self.process))
        return self

    def refusal(self) -> str:
        """What it says when it does not start."""
        _, said = self.process.communicate(timeout=90)
        assert self.process.returncode == 1
        assert "Traceback" not in said
        return said

    def end(self, how: int = signal.SIGTERM) -> None:
        if self.process.poll() is None:
            self.process.send_signal(how)
        self.process.communicate(timeout=60)

    def api(self, context: str = "west", *, bot: bool = False) -> Any:
        name = "bot.kubeconfig" if bot else "kubeconfig"
        return config.new_client_from_config(str(self.data / name), context=context)

    def pods(self) -> list[dict[str, Any]]:
        """Each pod of west/dev: its uid, whether it is ready, and its restarts."""
        found = client.CoreV1Api(self.api()).list_namespaced_pod("dev", _request_timeout=60)
        return [
            {
                "uid": pod.metadata.uid,
                "ready": all(each.ready for each in pod.status.container_statuses or []),
                "restarts": sum(each.restart_count for each in pod.status.container_statuses or []),
            }
            for pod in found.items
            if pod.status.container_statuses
        ]

    def running_pod(self) -> dict[str, Any]:
        """legacy-9's pod, once it is ready."""

        def look() -> dict[str, Any] | None:
            pods = self.pods()
            return pods[0] if len(pods) == 1 and pods[0]["ready"] else None

        return until(look, "legacy-9 became ready")


@contextlib.contextmanager
def world(data: Path, *arguments: str) -> Iterator[WorldProcess]:
    process = WorldProcess(data, *arguments)
    try:
        yield process.ready()
    finally:
        process.end()


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorldProcess]:
    with world(tmp_path_factory.mktemp("world")) as running:
        yield running


def test_it_says_where_everything_is(started: WorldProcess) -> None:
    described = started.described
    assert described["ready"] is True
    assert requests.get(described["slack"], timeout=30).status_code == 200
    assert requests.get(f"{described['registry']}/v2/", timeout=30).status_code == 200
    bot_token = described["env"]["SLACK_BOT_TOKEN"]
    auth = requests.post(
        f"{described['api']}auth.test",
        headers={"Authorization": f"Bearer {bot_token}"},
        timeout=30,
    ).json()
    assert (auth["ok"], auth["team"]) == (True, "Contoso")
    bundle = described["env"]["REQUESTS_CA_BUNDLE"]
    answer = requests.get(f"{described['azure']}/subscriptions/x", verify=bundle, timeout=30)
    assert answer.status_code == 401


def test_the_settings_it_writes_are_settings_of_the_bot(
    started: WorldProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings(Path(started.described["settings"]))
    assert [cluster.name for cluster in settings.clusters] == ["west", "east"]
    assert settings.slack.api_url == started.described["api"]
    for name, value in started.described["env"].items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("REDIS_URL", "unix:///nowhere")
    _, secrets = load_all(Path(started.described["settings"]))
    assert secrets.azure_client_secret is not None


def test_what_it_writes_is_for_its_owner_only(started: WorldProcess) -> None:
    open_ones = set()
    for path in started.data.rglob("*"):
        # What is written anew meanwhile has another name for a moment.
        with contextlib.suppress(FileNotFoundError):
            if path.is_file() and path.name != "lock" and stat.S_IMODE(path.stat().st_mode) & 0o077:
                open_ones.add(path.name)
    assert open_ones <= {"ca.pem"}
    assert stat.S_IMODE((started.data / "sandbox").stat().st_mode) == 0o700


def test_every_part_shows_its_faults_on_the_page(started: WorldProcess) -> None:
    boards = requests.get(f"{started.described['slack']}/_control/faults", timeout=30).json()
    parts = [board["part"] for board in boards["boards"]]
    assert len(parts) == len(set(parts))
    assert {"slack", "azure", "registry"} <= set(parts)
    assert sum("west" in part for part in parts) == 2
    assert sum("east" in part for part in parts) == 2


def test_the_log_has_every_request_to_resource_manager(started: WorldProcess) -> None:
    path = "/subscriptions/none/resourceGroups/none"
    authority = started.described["env"]["REQUESTS_CA_BUNDLE"]
    requests.post(f"{started.described['azure']}{path}", verify=authority, timeout=30)
    log = f"{started.described['slack']}/_control/log?kind=azure"
    *_, last = requests.get(log, timeout=30).json()["entries"]
    assert (last["method"], last["path"]) == ("POST", path)


def test_azure_hears_of_legacy_9_and_tells_nobody(started: WorldProcess) -> None:
    started.running_pod()
    (pod,) = client.CoreV1Api(started.api()).list_namespaced_pod("dev").items
    kept = started.data / "sandbox" / "azure.json"
    until(lambda: pod.metadata.name in read(kept), "a heartbeat reached Azure")


def test_legacy_9_runs_as_the_portal_would_have_put_it(started: WorldProcess) -> None:
    started.running_pod()
    apps, core = client.AppsV1Api(started.api()), client.CoreV1Api(started.api())
    deployment = apps.read_namespaced_deployment("legacy-9", "dev")
    (container,) = deployment.spec.template.spec.containers
    assert container.image == "mcr.microsoft.com/azure-api-management/gateway:v2"
    assert deployment.spec.strategy.rolling_update.max_unavailable == 0
    managers = {field.manager for field in deployment.metadata.managed_fields}
    assert "kubectl-client-side-apply" in managers
    applied = deployment.metadata.annotations["kubectl.kubernetes.io/last-applied-configuration"]
    assert json.loads(applied)["spec"]["replicas"] == 1
    secret = core.read_namespaced_secret("legacy-9-token", "dev")
    assert [field.manager for field in secret.metadata.managed_fields] == ["kubectl-create"]
    settings = core.read_namespaced_config_map("legacy-9-env", "dev").data
    assert settings["config.service.endpoint"] == "contoso.configuration.azure-api.net"
    services = {s.metadata.name for s in core.list_namespaced_service("dev").items}
    assert services == {"legacy-9-live-traffic", "legacy-9-instance-discovery"}
    assert client.AppsV1Api(started.api("east")).list_namespaced_deployment("dev").items == []


def test_the_bot_may_do_what_it_needs_where_it_deploys_and_no_more(started: WorldProcess) -> None:
    apps = client.AppsV1Api(started.api(bot=True))
    core = client.CoreV1Api(started.api(bot=True))
    roles = client.RbacAuthorizationV1Api(started.api(bot=True))
    assert apps.read_namespaced_deployment("legacy-9", "dev")
    assert core.list_namespace()
    for forbidden in (
        lambda: core.list_namespaced_secret("kube-system"),
        lambda: core.delete_namespace("dev"),
        lambda: core.create_namespaced_config_map("default", {"metadata": {"name": "x"}}),
        roles.list_cluster_role,
    ):
        with pytest.raises(ApiException) as caught:
            forbidden()
        assert caught.value.status == 403


def test_a_second_world_on_the_same_data_is_refused(started: WorldProcess) -> None:
    said = WorldProcess(started.data).refusal()
    assert f"{started.data} is in use by another demo" in said
    assert started.process.poll() is None


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_everything_is_as_it_was_after_a_restart(tmp_path: Path, how: int) -> None:
    with world(tmp_path) as first:
        pod = first.running_pod()
        secrets = first.described["env"]
        url = f"{first.described['slack']}/_control"
        said = {"channel": "gateway-ops", "user": "ana", "text": "good morning"}
        assert requests.post(f"{url}/message", json=said, timeout=30).json()["ok"]
        kept = tmp_path / "sandbox"
        until(lambda: "good morning" in read(kept / "slack.json"), "the message was kept")
        # Where one of the two does not have the container, the node begins it anew.
        until(lambda: '"ready": true' in read(kept / "cluster-west.json"), "the pod was kept")
        until(lambda: '"containers": {"' in read(kept / "node-west.json"), "the container was kept")
        first.end(how)
    with world(tmp_path) as again:
        url = f"{again.described['slack']}/_control"
        messages = requests.get(f"{url}/messages/gateway-ops", timeout=30).json()["messages"]
        assert [message["text"] for message in messages] == ["good morning"]
        assert again.described["env"] == secrets
        assert again.running_pod() == pod


def read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def test_it_ends_when_its_parent_closes_its_input_and_serves_http_mode(tmp_path: Path) -> None:
    url = "http://127.0.0.1:4567/slack/here"
    http_mode = ("--slack-mode", "http", "--bot-url", url)
    running = WorldProcess(tmp_path, "--with-parent", *http_mode).ready()
    settings = load_settings(Path(running.described["settings"]))
    assert settings.slack.mode == "http"
    assert (settings.slack.http.port, settings.slack.http.path) == (4567, "/slack/here")
    running.process.communicate(timeout=60)
    assert running.process.returncode == 0
    assert (tmp_path / "sandbox" / "slack.json").exists()


def test_a_broken_state_is_named(tmp_path: Path) -> None:
    (tmp_path / "sandbox").mkdir()
    (tmp_path / "sandbox" / "azure.json").write_text("{")
    assert "azure.json cannot be used; delete it" in WorldProcess(tmp_path).refusal()


def test_a_wrong_world_file_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "world.yaml"
    path.write_text("users: []\n")
    said = WorldProcess(tmp_path / "data", "--world", str(path)).refusal()
    assert f"the world file is wrong: {path}: " in said


def test_clusters_of_a_kubeconfig_are_used_instead_of_emulated_ones(
    started: WorldProcess, tmp_path: Path
) -> None:
    given = yaml.safe_load((started.data / "kubeconfig").read_text())
    given["contexts"] = [
        {"name": "people/elsewhere", "context": context["context"]}
        for context in given["contexts"]
        if context["name"] == "east"
    ]
    given["current-context"] = "people/elsewhere"
    kubeconfig = tmp_path / "given.yaml"
    kubeconfig.write_text(yaml.safe_dump(given))
    core = client.CoreV1Api(started.api("east"))
    file = tmp_path / "world.yaml"
    described = yaml.safe_load((ROOT / "bot/sandbox/world.yaml").read_text())
    described["clusters"] = [{"name": "west", "namespaces": ["dev", "prod", "extra"]}]
    described["production"] = [p for p in described["production"] if p["cluster"] == "west"]
    file.write_text(yaml.safe_dump(described))
    arguments = ("--world", str(file), "--kubeconfig", str(kubeconfig))
    with world(tmp_path / "data", *arguments) as running:
        assert running.described["kubeconfig"] == str(kubeconfig)
        settings = load_settings(Path(running.described["settings"]))
        (cluster,) = settings.clusters
        assert (cluster.name, cluster.context) == ("west", "people/elsewhere")
        assert "extra" in [each.metadata.name for each in core.list_namespace().items]
        assert not (tmp_path / "data" / "kubeconfig").exists()


def test_a_kubeconfig_that_cannot_be_used_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text("contexts: []\n")
    said = WorldProcess(tmp_path / "data", "--kubeconfig", str(path)).refusal()
    assert f"{path} has no current context" in said
    assert os.listdir(tmp_path / "data") == ["sandbox"]
