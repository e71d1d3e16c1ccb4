"""The sandbox's nodes on each cluster: gateways that start, crash, hang, end, and nodes that go."""

from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from bot.sandbox.node.addresses import LOOPBACK, ROUTED
from tests.cluster.conftest import Target, joined
from tests.support.control_plane import ControlPlane
from tests.support.kube_api import Obj
from tests.support.node_bed import gateway_container
from tests.support.tiny_configuration import TOKEN
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("needs_controllers")


class Gateway:
    """A Deployment of gateways on our nodes."""

    def __init__(self, target: Target, ns: str) -> None:
        self.target = target
        self.api = target.api
        self.core = f"/api/v1/namespaces/{ns}"
        self.path = f"/apis/apps/v1/namespaces/{ns}/deployments/edge-1"

    def run(self, replicas: int = 1, **changes: Any) -> None:
        """Deploy it, with its token."""
        secret = {"metadata": {"name": "edge-1-token"}, "stringData": {"value": TOKEN}}
        self.api.create(f"{self.core}/secrets", secret)
        labels = {"app": "edge-1"}
        container = gateway_container(**changes)
        spec = {"containers": [container], **self.target.placed}
        body = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "edge-1"},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": spec},
            },
        }
        self.api.apply(self.path, body)

    def until_ready(self, replicas: int = 1) -> None:
        """Wait for that many ready pods."""

        def ready() -> bool:
            status = self.api.get(self.path).get("status", {})
            return bool(status.get("readyReplicas", 0) == replicas)

        until(ready, f"{replicas} ready pods", seconds=120)

    def pods(self) -> list[Obj]:
        """Its pods."""
        return self.api.items(f"{self.core}/pods")

    def container(self) -> Obj:
        """The first pod's container status."""
        for pod in self.pods():
            for status in pod["status"].get("containerStatuses") or []:
                found: Obj = status
                return found
        return {}

    @contextmanager
    def fault(self, name: str, value: Any, mended: Any) -> Iterator[None]:
        """The nodes misbehave while the block runs."""
        self.target.fault(name, value)
        try:
            yield
        finally:
            self.target.fault(name, mended)


@pytest.fixture
def gateway(target: Target, ns: str) -> Gateway:
    """The gateway, not deployed yet."""
    return Gateway(target, ns)


def test_a_gateway_becomes_ready_on_our_nodes(gateway: Gateway) -> None:
    gateway.run(2)
    gateway.until_ready(2)
    assert {p["spec"]["nodeName"] for p in gateway.pods()} <= set(gateway.target.node.names)
    assert {p["status"]["phase"] for p in gateway.pods()} == {"Running"}
    assert len({p["status"]["podIP"] for p in gateway.pods()}) == 2


def test_a_crashing_gateway_backs_off_and_keeps_its_previous_log(gateway: Gateway) -> None:
    gateway.run()
    gateway.until_ready()
    with gateway.fault("crash_loop", "all", "none"):
        until(
            lambda: (
                gateway.container().get("state", {}).get("waiting", {}).get("reason")
                == "CrashLoopBackOff"
            ),
            "the back-off",
        )
        found = gateway.container()
        assert found["restartCount"] >= 1
        assert found["lastState"]["terminated"]["exitCode"] != 0
        name = gateway.pods()[0]["metadata"]["name"]
        previous = gateway.api.request("GET", f"{gateway.core}/pods/{name}/log?previous=true")
        assert previous.status == 200
        assert previous.body
    gateway.until_ready()


def test_a_gateway_that_hangs_is_restarted_by_its_liveness_probe(gateway: Gateway) -> None:
    probe = {"httpGet": {"path": "/status-0123456789abcdef", "port": "http"}, "periodSeconds": 5}
    gateway.run(livenessProbe=probe)
    gateway.until_ready()
    with gateway.fault("frozen", True, False):
        until(lambda: gateway.container().get("restartCount", 0) >= 1, "a restart")
    gateway.until_ready()


def test_a_deleted_pod_ends_and_is_replaced(gateway: Gateway) -> None:
    gateway.run()
    gateway.until_ready()
    name = gateway.pods()[0]["metadata"]["name"]
    gateway.api.delete(f"{gateway.core}/pods/{name}")
    until(lambda: gateway.api.gone(f"{gateway.core}/pods/{name}"), "the end")
    # Its Deployment may count the pod that is gone for a moment longer.
    until(lambda: [p for p in gateway.pods() if p["metadata"]["name"] != name], "another pod")
    gateway.until_ready()


def test_events_tell_what_happened_to_a_pod(gateway: Gateway) -> None:
    gateway.run()
    gateway.until_ready()
    wanted = {"Scheduled", "Pulled", "Created", "Started"}
    until(
        lambda: wanted <= {e["reason"] for e in gateway.api.items(f"{gateway.core}/events")},
        "the events",
    )


def test_a_node_that_falls_silent_is_lost_and_its_pods_are_not_ready(
    target: Target, ns: str, tmp_path: Path
) -> None:
    plane = ControlPlane(target.kubeconfig, target.context)
    network: IPv4Network = LOOPBACK if target.sandbox else ROUTED
    with joined(plane, tmp_path, network) as other:
        gateway = Gateway(other, ns)
        gateway.run()
        gateway.until_ready()
        path = f"/api/v1/nodes/{gateway.pods()[0]['spec']['nodeName']}"
        other.silence()

        def ready() -> str:
            conditions = target.api.get(path)["status"]["conditions"]
            return next(str(c["status"]) for c in conditions if c["type"] == "Ready")

        until(lambda: ready() == "Unknown", "the loss", seconds=120)
        gateway.until_ready(0)

        def taints() -> set[str]:
            return {t["key"] for t in target.api.get(path)["spec"].get("taints") or []}

        until(lambda: "node.kubernetes.io/unreachable" in taints(), "the taint")
        # It stays bound to the node that is gone until it is evicted, minutes later.
        assert "deletionTimestamp" not in gateway.pods()[0]["metadata"]


def test_a_node_of_ours_keeps_pods_of_others_away_from_its_first_moment(
    target: Target, tmp_path: Path
) -> None:
    """Others run on the same cluster, and a pod that comes before the taint stays."""
    plane = ControlPlane(target.kubeconfig, target.context)
    network: IPv4Network = LOOPBACK if target.sandbox else ROUTED
    before = target.api.get("/api/v1/nodes")["metadata"]["resourceVersion"]
    with joined(plane, tmp_path, network) as other:
        names, unseen = set(other.node.names), set(other.node.names)

        def last(event: Obj) -> bool:
            unseen.discard(event["object"]["metadata"].get("name"))
            return not unseen

        events = target.api.watch_until("/api/v1/nodes", f"resourceVersion={before}", last)
    added = [e["object"] for e in events if e["type"] == "ADDED"]
    ours = [node for node in added if node["metadata"]["name"] in names]
    assert len(ours) == len(names)
    (toleration,) = other.placed["tolerations"]
    for node in ours:
        assert toleration["key"] in {taint["key"] for taint in node["spec"].get("taints") or []}
        assert other.placed["nodeSelector"].items() <= node["metadata"]["labels"].items()
