"""A real Kubernetes control plane for tests: one we build, an envtest one, or any throw-away cluster."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import urllib3
import yaml

from tests.support.kube_api import KubeApi
from tests.support.ports import free_port, free_ports
from tests.support.waiting import until

_BUILD = Path(__file__).parents[1] / "cluster" / "controlplane" / "build.sh"
_READY_SECONDS = 180.0
_THROW_AWAY = re.compile(r"(kind|k3d|kwok|minikube|controlplane)(-|$)")


class Unfit(Exception):
    """No control plane can be had; the text says what to do."""


@dataclass(frozen=True)
class ControlPlane:
    """A running control plane, reached as its administrator."""

    kubeconfig: Path
    context: str
    controllers: bool = True
    """Whether Deployments make pods: there is a controller manager and a scheduler."""
    compacts_soon: bool = True
    """Whether it was started to forget old resource versions within seconds."""


class Process:
    """A control plane of ours as a process; what it kept is there again after kill() and start()."""

    def __init__(self, binary: Path, directory: Path, *options: str) -> None:
        self._binary = binary
        self._directory = directory
        self._options = options
        self._port = free_port()
        self._process: subprocess.Popen[str] | None = None

    @property
    def plane(self) -> ControlPlane:
        """How to reach it."""
        return ControlPlane(self._directory / "kubeconfig", "controlplane")

    def start(self) -> None:
        """Start, and wait until it is ready."""
        output = self._directory.with_suffix(".out")
        with output.open("w") as out:
            self._process = subprocess.Popen(
                [
                    str(self._binary),
                    *("--dir", str(self._directory), "--port", str(self._port)),
                    *self._options,
                ],
                stdout=out,
                stderr=subprocess.STDOUT,
                text=True,
            )
        process = self._process

        def ready() -> bool:
            assert process.poll() is None, f"the control plane ended: {output.read_text()}"
            return "\nready\n" in output.read_text()

        until(ready, "a ready control plane", _READY_SECONDS)

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End it."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class EnvTest:
    """etcd and kube-apiserver as `setup-envtest` unpacks them: no controllers, no scheduler."""

    def __init__(self, assets: Path, directory: Path) -> None:
        for name in ("etcd", "kube-apiserver"):
            if not (assets / name).is_file():
                raise Unfit(f"KUBEBUILDER_ASSETS is {assets}, where there is no {name}.")
        self._assets = assets
        self._directory = directory
        self._children: list[subprocess.Popen[bytes]] = []

    @property
    def plane(self) -> ControlPlane:
        """How to reach it."""
        return ControlPlane(self._directory / "kubeconfig", "envtest", controllers=False)

    def start(self) -> None:
        """Start both, and wait until they answer."""
        self._directory.mkdir(parents=True)
        etcd, peer, port = free_ports(3)
        (self._directory / "tokens.csv").write_text('admin-token,admin,admin,"system:masters"\n')
        key = self._directory / "service-account.key"
        subprocess.run(
            ["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True
        )
        self._spawn(
            "etcd",
            f"--data-dir={self._directory / 'etcd'}",
            f"--listen-client-urls=http://127.0.0.1:{etcd}",
            f"--advertise-client-urls=http://127.0.0.1:{etcd}",
            f"--listen-peer-urls=http://127.0.0.1:{peer}",
            "--unsafe-no-fsync",
        )
        self._spawn(
            "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{etcd}",
            "--etcd-compaction-interval=15s",
            f"--cert-dir={self._directory}",
            "--bind-address=127.0.0.1",
            f"--secure-port={port}",
            "--authorization-mode=RBAC",
            f"--token-auth-file={self._directory / 'tokens.csv'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
            "--service-cluster-ip-range=10.0.0.0/16",
            "--endpoint-reconciler-type=none",
            # Nothing makes the service accounts that this plugin wants each pod to have.
            "--disable-admission-plugins=ServiceAccount",
        )
        context = {"cluster": "envtest", "user": "admin"}
        server = {"server": f"https://127.0.0.1:{port}", "insecure-skip-tls-verify": True}
        kubeconfig = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "envtest",
            "clusters": [{"name": "envtest", "cluster": server}],
            "users": [{"name": "admin", "user": {"token": "admin-token"}}],
            "contexts": [{"name": "envtest", "context": context}],
        }
        self.plane.kubeconfig.write_text(yaml.safe_dump(kubeconfig))

        def ready() -> bool:
            ended = [child.args for child in self._children if child.poll() is not None]
            assert not ended, f"{ended} ended; see {self._directory}"
            try:
                return KubeApi(self.plane.kubeconfig).request("GET", "/readyz").status == 200
            except urllib3.exceptions.HTTPError:
                return False

        until(ready, "a ready API server", _READY_SECONDS)

    def stop(self) -> None:
        """End both."""
        for child in reversed(self._children):
            child.terminate()
            child.wait(20)

    def _spawn(self, name: str, *arguments: str) -> None:
        with (self._directory / f"{name}.log").open("wb") as log:
            self._children.append(
                subprocess.Popen(
                    [self._assets / name, *arguments], stdout=log, stderr=subprocess.STDOUT
                )
            )


class Given:
    """A cluster that is already there."""

    def __init__(self, kubeconfig: Path, environment: Mapping[str, str]) -> None:
        listed = yaml.safe_load(kubeconfig.read_text())
        context = str(listed.get("current-context") or "")
        if not _THROW_AWAY.match(context) and environment.get("THROW_AWAY_CLUSTER") != "yes":
            raise Unfit(
                f"KUBECONFIG's current context is {context!r}, which does not look like a cluster "
                "to throw away (kind-…, k3d-…, kwok-…, minikube). These tests create and delete "
                "things in it. If that is meant, set THROW_AWAY_CLUSTER=yes."
            )
        self.plane = ControlPlane(kubeconfig.absolute(), context, compacts_soon=False)

    def start(self) -> None:
        """Nothing: it runs."""

    def stop(self) -> None:
        """Nothing: it stays."""


Source = Process | EnvTest | Given


def built() -> Path | None:
    """The control plane that `make controlplane` has built from these sources."""
    if shutil.which("bash") is None or sys.platform == "win32":
        return None
    done = subprocess.run([str(_BUILD), "--path"], capture_output=True, text=True, check=True)
    path = Path(done.stdout.strip())
    return path if path.exists() else None


def choose(directory: Path, environment: Mapping[str, str] = os.environ) -> Source:
    """What the environment names, else what was built. Unfit when there is nothing."""
    if assets := environment.get("KUBEBUILDER_ASSETS"):
        return EnvTest(Path(assets), directory)
    if kubeconfig := environment.get("KUBECONFIG"):
        return Given(Path(kubeconfig), environment)
    binary = built()
    if binary is None:
        raise Unfit(
            "There is no control plane to test against. `make controlplane` builds one; "
            "docs/testing.md names other ways."
        )
    return Process(binary, directory)
