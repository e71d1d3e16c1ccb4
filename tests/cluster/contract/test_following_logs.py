"""Following logs through the API server: pods that come, go and restart."""

from collections.abc import Iterator

import pytest

from deploy.kube.cluster import Cluster, connect
from deploy.logs.filters import Filter
from deploy.logs.following import Following, Pods, read_now
from tests.cluster.conftest import Target
from tests.support.gateway_bed import PATIENT
from tests.support.kube_api import Obj
from tests.support.node_bed import gateway_container
from tests.support.tiny_configuration import TOKEN
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("needs_controllers")


class Bed:
    """Gateway pods of one namespace, and the product's own client."""

    def __init__(self, target: Target, ns: str) -> None:
        self.target = target
        self.path = f"/api/v1/namespaces/{ns}/pods"
        self.pods = Pods(ns, "app=edge-1")
        self.cluster: Cluster = connect(
            "west", kubeconfig=target.kubeconfig, context=target.context, timeouts=PATIENT
        )
        data: Obj = {"metadata": {"name": "edge-1-token"}, "stringData": {"value": TOKEN}}
        target.api.create(f"/api/v1/namespaces/{ns}/secrets", data)

    def start(self, name: str) -> None:
        """A gateway pod, which writes several lines when it starts."""
        body = {
            "metadata": {"name": name, "labels": {"app": "edge-1"}},
            "spec": {"containers": [gateway_container()], **self.target.placed},
        }
        self.target.api.create(self.path, body)

    def restarts(self, name: str) -> int:
        """Of its container."""
        status = self.target.api.get(f"{self.path}/{name}")["status"]
        return sum(c["restartCount"] for c in status.get("containerStatuses") or ())


@pytest.fixture
def bed(target: Target, ns: str) -> Iterator[Bed]:
    made = Bed(target, ns)
    yield made
    made.cluster.close()


def test_pods_that_come_and_go_are_followed_and_every_stream_ends(bed: Bed) -> None:
    bed.start("edge-1-a")
    following = Following(bed.cluster, bed.pods, Filter(event="ConfigurationLoaded"), tail=100)
    following.start()
    seen: set[str] = set()

    def came(pod: str) -> bool:
        seen.update(line.pod for line in following.take().lines)
        return pod in seen

    try:
        until(lambda: came("edge-1-a"), "lines of the first pod")
        bed.start("edge-1-b")
        until(lambda: came("edge-1-b"), "lines of the pod that came")
        bed.target.api.delete(f"{bed.path}/edge-1-a", "?gracePeriodSeconds=0")
        until(lambda: following.take().pods == ("edge-1-b",), "the first pod to be let go")
    finally:
        following.close()
    until(lambda: following.alive() == 0, "every stream to end")


def test_a_container_that_restarts_is_followed_on_and_what_it_wrote_before_can_be_read(
    bed: Bed,
) -> None:
    bed.start("edge-1-a")
    following = Following(bed.cluster, bed.pods, Filter(event="HostStarted"), tail=100)
    following.start()
    lines: list[float] = []

    def starts(count: int) -> bool:
        lines.extend(line.at for line in following.take().lines)
        return len(lines) >= count

    try:
        until(lambda: starts(1), "the first start")
        bed.target.fault("crash_loop", "all")
        until(lambda: bed.restarts("edge-1-a") >= 1, "a restart")
        bed.target.fault("crash_loop", "none")
        until(lambda: starts(2), "the second start", seconds=120)
    finally:
        bed.target.fault("crash_loop", "none")
        following.close()
    assert len(lines) == len(set(lines)), "no line twice"
    before = read_now(bed.cluster, bed.pods, Filter(), tail=100, previous=True)
    assert before.lines
    assert before.trouble == ()
