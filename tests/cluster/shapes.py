"""Gateways as others make them, and what becomes of them, for the lies test."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from deploy.azure import ApimInstance
from deploy.observed.progress import Progress
from deploy.observed.selecting import labelled
from deploy.plans.adoption import derive
from deploy.rendering.labels import selector
from deploy.rollouts.rollout import follow
from tests.support.kube_api import MERGE
from tests.support.node_bed import CONFIGURATION_HOST
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.cluster.test_lies import Bed

_HELM = "azure-api-management-gateway"
_DEBUG = {"telemetry.logs.std.level": "debug"}
_PROXY = {"containers": [{"name": "istio-proxy", "image": "example.com/proxy:1"}]}
_INIT = {"initContainers": [{"name": "istio-init", "image": "example.com/init:1"}]}


def helm_release(bed: "Bed") -> None:
    """The official chart's names and labels: none of them says `app`."""
    bed.name = f"production-west-{_HELM}"
    bed.labels = {"app.kubernetes.io/name": _HELM, "app.kubernetes.io/instance": "edge"}
    bed.deploy(**_DEBUG)


def long_name(bed: "Bed") -> None:
    bed.name = f"gateway.of-the-stores-in-the-north-and-the-west-{'x' * 14}"
    bed.deploy(**_DEBUG)


def beside_a_proxy(bed: "Bed") -> None:
    bed.pod = _PROXY
    bed.deploy(**_DEBUG)


def refused_beside_a_proxy(bed: "Bed") -> None:
    bed.pod = _PROXY
    bed.deploy()
    bed.endpoint(401)


def crashing_init_container(bed: "Bed") -> None:
    bed.fault("crash_loop", "init", "none")
    bed.pod, bed.ready = _INIT, None
    bed.deploy()


def after_an_init_container(bed: "Bed") -> None:
    bed.pod = _INIT
    bed.deploy(**_DEBUG)


def evicted(bed: "Bed") -> None:
    """One pod was evicted long ago, the other serves."""
    bed.deploy(**_DEBUG)
    pods = f"/api/v1/namespaces/{bed.ns}/pods"
    (pod,) = bed.target.api.items(pods)
    over = {"phase": "Failed", "reason": "Evicted", "message": "The node was low on memory."}
    path = f"{pods}/{pod['metadata']['name']}/status"
    answer = bed.target.api.request("PATCH", path, {"status": over}, MERGE)
    assert answer.status == 200, answer.body
    until(lambda: len(bed.target.api.items(pods)) == 2, "another pod in its place")


def two_on_a_line(how: str, style: str, status: int) -> Callable[["Bed"], None]:
    """Two records on each line of the log, a harmless one before the one that counts."""

    def strike(bed: "Bed") -> None:
        bed.deploy(**_DEBUG, **{"telemetry.logs.std": style})
        bed.fault("joined_records", how, "none")
        bed.endpoint(status)

    return strike


_POLL = ("connected", "configuration poll")
_REFUSED = ("denied", "Unauthorized")
TABLE: tuple[tuple[str, Callable[["Bed"], None], str, str, bool], ...] = (
    ("names and labels of a Helm release", helm_release, *_POLL, False),
    ("name of 62 characters with a dot", long_name, *_POLL, True),
    ("proxy injected before it", beside_a_proxy, *_POLL, True),
    ("refused, proxy before it", refused_beside_a_proxy, *_REFUSED, False),
    ("init container crashes", crashing_init_container, "unknown", "(Init:", True),
    ("init container done", after_an_init_container, *_POLL, True),
    ("a pod evicted, another serves", evicted, *_POLL, True),
    ("records glued", two_on_a_line("glued", "text", 200), *_POLL, True),
    ("refused, records glued", two_on_a_line("glued", "text", 401), *_REFUSED, True),
    ("refused, JSON glued", two_on_a_line("glued", "json", 401), *_REFUSED, True),
    ("refused, JSON interleaved", two_on_a_line("interleaved", "json", 401), *_REFUSED, False),
)
"""Name, what is done, level and words of its evidence, and whether it takes too long for `make test`."""


def followed(bed: "Bed", enough: Callable[[Progress], bool]) -> Progress:
    """What is reported of the rollout once it is `enough`, or at its end, by the spec that an
    adoption of what is there would have."""
    assert bed.cache is not None
    cluster, stop, seen = bed.cache.cluster, threading.Event(), list[Progress]()
    live = bed.target.api.get(bed.path)
    instance = ApimInstance("contoso", "sub", "group", "contoso", CONFIGURATION_HOST)
    spec = derive(live, (), (), (), (), cluster="west", instance=instance, gateway="edge-1").spec

    def told(progress: Progress) -> None:
        seen.append(progress)
        if enough(progress):
            stop.set()

    chosen = labelled(selector(spec))
    follow(cluster, bed.ref, chosen=chosen, deadline=120.0, on_progress=told, stop=stop)
    return seen[-1]
