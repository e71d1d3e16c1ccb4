"""Every pod of a new token is asked, however many there are."""

import datetime
import threading
import time
from typing import Any, cast

import pytest

from deploy.gateway import ApimGateway, GatewayRef
from deploy.kube.cluster import Cluster
from deploy.retry import RunLost
from deploy.rollouts.verification import Answer, Observer, Observing
from deploy.specs.gateway_spec import GatewaySpec

PODS = 120
SECRET = "edge-1-token-2"
ENV = {
    "name": "config.service.auth",
    "valueFrom": {"secretKeyRef": {"name": SECRET, "key": "value"}},
}
POD_SPEC = {"containers": [{"name": "edge-1", "env": [ENV]}]}


class Many:
    """A cluster in which one gateway has many pods; those in `refused` are refused by Azure."""

    def __init__(self, *refused: int) -> None:
        self.refused = {f"edge-1-{number}" for number in refused}
        self.asked: list[str] = []

    def now(self) -> float:
        return time.time()

    def get(self, kind: str, namespace: str, name: str) -> dict[str, Any]:
        metadata = {"name": name, "namespace": namespace}
        return {"metadata": metadata, "spec": {"template": {"spec": POD_SPEC}}}

    def list(self, kind: str, namespace: str, *, label_selector: str) -> list[dict[str, Any]]:
        running = {"running": {"startedAt": stamp(600)}}
        status = {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [{"name": "edge-1", "ready": True, "state": running}],
        }
        return [
            {
                "metadata": {"name": f"edge-1-{number}", "namespace": namespace},
                "spec": POD_SPEC,
                "status": status,
            }
            for number in range(PODS)
        ]

    def logs(self, namespace: str, pod: str, container: str, **_: Any) -> str:
        self.asked.append(pod)
        if pod not in self.refused:
            return ""
        line = "[Warn] {} [ConfigurationApiV2NotAvailable], exception: ApiException: StatusCode: Unauthorized"
        return "".join(f"{stamp(ago)} {line.format(stamp(ago))}\n" for ago in (20, 10))

    def probe(self, *_: Any) -> str:
        return ""


def stamp(seconds_ago: float) -> str:
    moment = datetime.datetime.fromtimestamp(time.time() - seconds_ago, datetime.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.000000000Z"


def observer(cluster: Many) -> Observer:
    apim = ApimGateway("contoso", "edge-1", "contoso.configuration.azure-api.net")
    spec = GatewaySpec(GatewayRef("west", "dev", "edge-1"), apim, "2.11.1")
    return Observer(cast(Cluster, cluster), spec, lambda pod: True, Observing(quiet=0.0))


def test_every_pod_is_asked_however_many_there_are() -> None:
    cluster = Many()
    judged = observer(cluster).watch(threading.Event())
    assert judged.answer is Answer.QUIET
    assert judged.evidence.startswith(f"{PODS} of {PODS} pods: ready")
    assert sorted(cluster.asked) == sorted({f"edge-1-{number}" for number in range(PODS)})


def test_a_refusal_of_the_last_pod_is_found() -> None:
    judged = observer(Many(PODS - 1)).look()
    assert judged.answer is Answer.DENIED
    assert judged.evidence.startswith(f"1 of {PODS} pods: Azure refuses")


def test_who_lost_the_run_asks_no_further_pods() -> None:
    cluster = Many()
    lost = threading.Event()
    lost.set()
    with pytest.raises(RunLost):
        observer(cluster).watch(lost)
    assert cluster.asked == []
