"""The lies test of nodes: an incident names the node that died, and no other.

On the sandbox's cluster and on a real control plane; `make test-cluster` runs it.
"""

import base64
import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.sandbox.node.addresses import LOOPBACK, ROUTED
from deploy.deadline import Deadline
from deploy.health.cache import ClusterCache
from deploy.health.incidents import LASTS, WatchedIncident, health_of, step
from deploy.health.levels import Levels
from deploy.kube.cluster import connect
from handlers.views.incidents import sentence
from tests.cluster.conftest import Target, joined
from tests.support.control_plane import ControlPlane
from tests.support.gateway_bed import TIMEOUTS
from tests.support.kube_api import Obj
from tests.support.node_bed import gateway_container
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("needs_controllers", "asked_for")


@pytest.fixture
def asked_for(request: pytest.FixtureRequest) -> None:
    """It takes as long as a node may be silent, so that `make test` leaves it out."""
    if request.config.getoption("--control-plane") != "required":
        pytest.skip("`make test-cluster` runs this")


@pytest.fixture
def cache(target: Target) -> Iterator[ClusterCache]:
    with contextlib.ExitStack() as stack:
        cluster = connect(
            "west", kubeconfig=target.kubeconfig, context=target.context, timeouts=TIMEOUTS
        )
        stack.callback(cluster.close)
        found = ClusterCache(cluster)
        stack.callback(found.stop, Deadline.after(60))
        yield found


def install(target: Target, ns: str, name: str, placed: Obj, node: str) -> None:
    """A gateway whose pod runs on that node."""
    labels = {"app": name}
    spec = {"containers": [gateway_container()], **placed, "nodeName": node}
    body = {
        "metadata": {"name": name},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }
    target.api.create(f"/apis/apps/v1/namespaces/{ns}/deployments", body)


def incidents(cache: ClusterCache, ns: str) -> list[str]:
    """What would be posted of the gateways there, had it lasted."""
    levels, watch, now = Levels({"west": cache}), WatchedIncident(), time.time()
    here = [each for each in cache.read().gateways if each.ref.namespace == ns]
    healths = [health_of(each, levels.last(each)) for each in here]
    for moment in (now, now + LASTS + 1):
        watch = step(watch, "west", healths, "", moment)
    return [sentence(incident) for incident in watch.incidents]


def test_gateways_of_a_node_that_dies_are_one_incident_that_names_the_node(
    target: Target, ns: str, tmp_path: Path, cache: ClusterCache
) -> None:
    token = base64.b64encode(b"GatewayKey edge-1&203001010000&c2ln").decode()
    secret = {"metadata": {"name": "edge-1-token"}, "data": {"value": token}}
    target.api.create(f"/api/v1/namespaces/{ns}/secrets", secret)
    plane = ControlPlane(target.kubeconfig, target.context)
    with joined(plane, tmp_path, LOOPBACK if target.sandbox else ROUTED) as other:
        lost, safe = other.node.names[0], target.node.names[0]
        for name in ("edge-1", "edge-2", "edge-3"):
            install(target, ns, name, other.placed, lost)
        install(target, ns, "edge-4", target.placed, safe)

        def ready() -> bool:
            here = [each for each in cache.read().gateways if each.ref.namespace == ns]
            status = [each.deployment.get("status") or {} for each in here]
            return [each.get("availableReplicas", 0) for each in status] == [1, 1, 1, 1]

        until(ready, "four gateways that serve", 60)
        assert incidents(cache, ns) == []
        other.silence()
        said = [f"3 gateways on node {lost} of west are down"]
        until(lambda: incidents(cache, ns) == said, "the incident of that node", 90)
