"""Fills a cluster with gateways that run, as its controllers and kubelets would leave it.

The controllers of a control plane may write twenty times a second, so the pods of 2,000 gateways would
take them half an hour. What is there already they take over.
"""

import base64
import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.support.control_plane import ControlPlane
from tests.support.kube_api import MERGE, KubeApi
from tests.support.waiting import until

NAMESPACE = "bench"
_CORE, _APPS = f"/api/v1/namespaces/{NAMESPACE}", f"/apis/apps/v1/namespaces/{NAMESPACE}"
_IMAGE = "mcr.microsoft.com/azure-api-management/gateway:2.11.1"
_HASH = "6d9f7c5b8"
_SETTLING_SECONDS = 300.0


def fill(plane: ControlPlane, gateways: int, pods: int) -> None:
    """So many gateways of so many pods that run."""
    api = KubeApi(plane.kubeconfig, plane.context)
    api.request("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    with contextlib.suppress(AssertionError):
        account = f"{_CORE}/serviceaccounts/default"
        until(lambda: api.request("GET", account).status == 200, "it", 30)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: _install(api, f"edge-{number}", pods), range(gateways)))
    until(lambda: _settled(api, gateways * pods), "their pods", _SETTLING_SECONDS)


def _settled(api: KubeApi, wanted: int) -> bool:
    """Whether so many run. A controller that was quicker has made pods too, and ended others for them."""
    found = api.items(f"{_CORE}/pods")
    waiting = [pod["metadata"] for pod in found if pod["status"].get("phase") != "Running"]
    if len(found) == wanted:
        for pod in waiting:
            status = {"status": _status(pod["labels"]["app"])}
            api.request("PATCH", f"{_CORE}/pods/{pod['name']}/status", status, MERGE)
    return len(found) == wanted and not waiting


def _install(api: KubeApi, name: str, pods: int) -> None:
    """The Secret, the pods of a ReplicaSet, and at last the Deployment that adopts that."""
    token = f"GatewayKey {name}&203001010000&c2lnbmF0dXJlLW9mLWEtdG9rZW4="
    labels = {"app.kubernetes.io/managed-by": "gateway-bot"}
    secret = {
        "metadata": {"name": f"{name}-token", "labels": labels},
        "immutable": True,
        "data": {"value": base64.b64encode(token.encode()).decode()},
    }
    api.create(f"{_CORE}/secrets", secret)
    reference = {"secretKeyRef": {"name": f"{name}-token", "key": "value"}}
    container = {
        "name": name,
        "image": _IMAGE,
        "env": [{"name": "config.service.auth", "valueFrom": reference}],
        "readinessProbe": {"httpGet": {"path": "/status-0123456789abcdef", "port": 8080}},
        "resources": {"requests": {"cpu": "1", "memory": "1Gi"}},
    }
    hashed = {"app": name, "pod-template-hash": _HASH}
    made = api.create(
        f"{_APPS}/replicasets",
        {
            "metadata": {"name": f"{name}-{_HASH}", "labels": hashed},
            "spec": _spec(pods, hashed, container),
        },
    )
    owner = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "name": made["metadata"]["name"],
        "uid": made["metadata"]["uid"],
        "controller": True,
    }
    for number in range(pods):
        pod = f"{owner['name']}-{number:05}"
        metadata = {"name": pod, "labels": hashed, "ownerReferences": [owner]}
        api.create(f"{_CORE}/pods", {"metadata": metadata, "spec": {"containers": [container]}})
        api.request("PATCH", f"{_CORE}/pods/{pod}/status", {"status": _status(name)}, MERGE)
    deployment = {"metadata": {"name": name}, "spec": _spec(pods, {"app": name}, container)}
    api.create(f"{_APPS}/deployments", deployment)


def _spec(replicas: int, labels: dict[str, str], container: dict[str, Any]) -> dict[str, Any]:
    """Of a ReplicaSet or a Deployment."""
    return {
        "replicas": replicas,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
    }


def _status(container: str) -> dict[str, Any]:
    """A pod's, as a kubelet writes it."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    kinds = ("Initialized", "Ready", "ContainersReady", "PodScheduled")
    return {
        "phase": "Running",
        "podIP": "10.1.2.3",
        "startTime": now,
        "conditions": [{"type": k, "status": "True", "lastTransitionTime": now} for k in kinds],
        "containerStatuses": [
            {
                "name": container,
                "ready": True,
                "restartCount": 0,
                "image": _IMAGE,
                "imageID": "",
                "state": {"running": {"startedAt": now}},
            }
        ],
    }
