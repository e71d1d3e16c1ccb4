"""The clusters that the same tests run on: the sandbox's own and a real control plane."""

import contextlib
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.sandbox.node import Node
from bot.sandbox.node.addresses import LOOPBACK, routed_range
from bot.sandbox.tls import Authority
from tests.conftest import PLANE
from tests.support.control_plane import ControlPlane
from tests.support.kube_api import KubeApi, Obj
from tests.support.loops import Run, running
from tests.support.node_bed import CONFIGURATION_HOST
from tests.support.running_cluster import RunningCluster
from tests.support.tiny_configuration import TinyConfiguration
from tests.support.waiting import until

GATEWAY = "mcr.microsoft.com/azure-api-management/gateway"
_TAGS = {"2.11.1", "2.10.0", "2.6.0", "2.5.0", "v2", "latest"}
_GRACE_SECONDS = 25.0
"""For how long a node may be silent, as the control plane of ours has it too."""
_LABEL = "tests.gateway-bot.io/nodes"


@dataclass
class Target:
    """A cluster under test, with nodes of ours."""

    name: str
    kubeconfig: Path
    context: str
    api: KubeApi
    controllers: bool
    node: Node
    configuration: TinyConfiguration
    placed: Obj
    """Fields of a pod's spec that bring it to our nodes: others may be on the same cluster."""
    run: Run
    """Runs a coroutine on the nodes' loop."""
    compacts_soon: bool
    """Whether old resource versions are forgotten within seconds, as on servers of our own."""
    sandbox: RunningCluster | None = None

    def fault(self, name: str, value: Any) -> None:
        """Move a fault switch of the nodes."""

        async def move() -> None:
            self.node.faults.set(name, value)

        self.run(move())

    def silence(self) -> None:
        """Stop the nodes as a power cut does."""
        self.run(self.node.stop())


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without a real control plane what needs one is left out, as one line says in the end."""
    if config.stash[PLANE] is not None:
        return
    left_out = [item for item in items if _is_real(item)]
    items[:] = [item for item in items if not _is_real(item)]
    config.hook.pytest_deselected(items=left_out)


def _is_real(item: pytest.Item) -> bool:
    given = getattr(item, "callspec", None)
    chosen = given is not None and "real" in map(str, given.params.values())
    return chosen or "real_plane" in getattr(item, "fixturenames", ())


@pytest.fixture(scope="session")
def real_plane(request: pytest.FixtureRequest) -> ControlPlane:
    """The real control plane."""
    plane = request.config.stash[PLANE]
    assert plane is not None, "tests that need one are left out without it"
    return plane


@pytest.fixture(scope="session")
def whole_plane(request: pytest.FixtureRequest, real_plane: ControlPlane) -> ControlPlane:
    """The real control plane with its controllers, for what takes too long for `make test`."""
    if request.config.getoption("--control-plane") != "required":
        pytest.skip("`make test-cluster` runs this")
    if not real_plane.controllers:
        pytest.skip("this control plane is an API server alone, without controllers")
    return real_plane


def named_west(plane: ControlPlane, path: Path) -> Path:
    """The plane's kubeconfig with its context named as the demo's first cluster is."""
    config = yaml.safe_load(plane.kubeconfig.read_text())
    (context,) = [c for c in config["contexts"] if c["name"] == plane.context]
    config |= {"contexts": [{**context, "name": "west"}], "current-context": "west"}
    path.touch(0o600)
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture(scope="session", params=["sandbox", "real"])
def target(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Target]:
    """Each of the clusters in turn."""
    directory = tmp_path_factory.mktemp(request.param)
    if request.param == "real":
        plane = request.getfixturevalue("real_plane")
        with joined(plane, directory, routed_range()) as found:
            yield found
        return
    with RunningCluster(
        directory, namespaces=(), with_kubelet=False, node_grace_seconds=_GRACE_SECONDS
    ) as cluster:
        plane = ControlPlane(cluster.kubeconfig(), "west")
        with joined(plane, directory, LOOPBACK, name="sandbox") as found:
            found.sandbox = cluster
            yield found


@contextlib.contextmanager
def joined(
    plane: ControlPlane,
    directory: Path,
    network: IPv4Network,
    name: str = "real",
    *,
    hosts: Mapping[str, str] | None = None,
    ca_pem: bytes | None = None,
    time_scale: float = 0.05,
) -> Iterator[Target]:
    """The cluster with our nodes, ready. Gateways find `hosts` and trust `ca_pem`, where given."""
    configuration = TinyConfiguration()
    authority = Authority.load_or_create(directory / "node-ca")
    unique = secrets.token_hex(3)
    api = KubeApi(plane.kubeconfig, plane.context)

    # Only pods that are meant for these nodes may come here.
    taint = {"key": _LABEL, "value": unique, "effect": "NoSchedule"}
    toleration = {"key": _LABEL, "operator": "Exists"}

    async def tags() -> set[str]:
        return _TAGS

    with running(configuration):
        node = Node(
            kubeconfig=plane.kubeconfig,
            context=plane.context,
            name=f"test-{unique}",
            hosts=hosts or {CONFIGURATION_HOST: configuration.url},
            tls=authority.server_context(),
            ca_pem=ca_pem,
            images=tags,
            startup_seconds=0.05,
            time_scale=time_scale,
            network=network,
            labels={_LABEL: unique},
            taints=[taint],
        )
        with running(node) as run:
            paths = [f"/api/v1/nodes/{name}" for name in node.names]
            until(lambda: not any(map(api.gone, paths)), "the nodes")
            until(lambda: all(_ready(api.get(path)) for path in paths), "the nodes ready")
            yield Target(
                name,
                plane.kubeconfig,
                plane.context,
                api,
                plane.controllers,
                node,
                configuration,
                {"nodeSelector": {_LABEL: unique}, "tolerations": [toleration]},
                run,
                plane.compacts_soon,
            )
        for path in paths:
            api.request("DELETE", path)


def _ready(node: Obj) -> bool:
    conditions = node.get("status", {}).get("conditions", [])
    # A new node has a taint until a controller has seen that it is ready: no pod gets there before.
    held = any(t["key"] == "node.kubernetes.io/not-ready" for t in node["spec"].get("taints") or ())
    return not held and any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


@pytest.fixture
def api(target: Target) -> KubeApi:
    """The administrator's client."""
    return target.api


@pytest.fixture
def needs_controllers(target: Target) -> None:
    """For tests of what controllers do, which an API server alone does not have."""
    if not target.controllers:
        pytest.skip("this control plane is an API server alone, without controllers")


@pytest.fixture
def ns(target: Target) -> Iterator[str]:
    """A namespace of the test's own."""
    with namespace(target) as name:
        yield name


@contextlib.contextmanager
def namespace(target: Target) -> Iterator[str]:
    """A namespace, until this is left."""
    name = f"t-{secrets.token_hex(4)}"
    target.api.create("/api/v1/namespaces", {"metadata": {"name": name}})
    if target.controllers:
        # What controllers put into every namespace comes when it comes: before the test, not in it.
        made = ("serviceaccounts/default", "configmaps/kube-root-ca.crt")
        paths = [f"/api/v1/namespaces/{name}/{each}" for each in made]
        until(lambda: not any(map(target.api.gone, paths)), "what every namespace has")
    yield name
    target.api.request("DELETE", f"/api/v1/namespaces/{name}")


@pytest.fixture
def deployment(target: Target) -> Obj:
    """A Deployment `gw` of two replicas, placed on our nodes."""
    container: dict[str, Any] = {"name": "gw", "image": "example.com/app:1.0"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "gw", "labels": {"app": "gw"}},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "gw"}},
            "template": {
                "metadata": {"labels": {"app": "gw"}},
                "spec": {
                    "containers": [container],
                    **target.placed,
                    "terminationGracePeriodSeconds": 1,
                },
            },
        },
    }
