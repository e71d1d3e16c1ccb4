"""A cluster of any size that answers from memory: what is measured on it is the bot's own work alone."""

import base64
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

T = TypeVar("T")

NAMESPACE = "bench"
_IMAGE = "mcr.microsoft.com/azure-api-management/gateway:2.11.1"
_MADE = "2026-11-01T12:00:00Z"
_PIECE = 64 * 1024


class Canned:
    """A connection to a cluster on which nothing changes; `requests` counts what is asked of it."""

    def __init__(self, gateways: int, pods: int = 1) -> None:
        self.requests = 0
        numbers = range(gateways)
        self._lists: Mapping[str, list[dict[str, Any]]] = {
            "deployments": [_deployment(number, pods) for number in numbers],
            "pods": [_pod(number, one) for number in numbers for one in range(pods)],
            "secrets": [_secret(number) for number in numbers],
        }
        self._bodies = {kind: _listed(items) for kind, items in self._lists.items()}

    def request(self, method: str, path: str, **options: Any) -> bytes:
        """A list; everything else is not needed."""
        assert method == "GET", (method, path, options)
        self.requests += 1
        return self._body(path)

    def read(self, path: str, *, take: Callable[[Iterator[bytes]], T], **options: Any) -> T:
        """A list, in pieces."""
        self.requests += 1
        body = self._body(path)
        return take(body[at : at + _PIECE] for at in range(0, len(body), _PIECE))

    def stream(self, path: str, **options: Any) -> "_Silence":
        """A watch on which nothing comes."""
        self.requests += 1
        return _Silence()

    def answer(self, path: str) -> tuple[int, bytes]:
        """Nothing else is there."""
        return 404, b"{}"

    def ahead(self) -> float:
        """The clocks agree."""
        return 0.0

    def close(self) -> None:
        """Nothing is open."""

    def _body(self, path: str) -> bytes:
        return self._bodies.get(path.rpartition("/")[2]) or _listed([])


class _Silence:
    def __init__(self) -> None:
        self._closed = threading.Event()

    def lines(self, longest: int | None = None) -> Iterator[bytes]:
        self._closed.wait()
        return iter(())

    def close(self) -> None:
        self._closed.set()


def _listed(items: list[dict[str, Any]]) -> bytes:
    return json.dumps({"metadata": {"resourceVersion": "1"}, "items": items}).encode()


def _metadata(name: str, **more: Any) -> dict[str, Any]:
    place = {"name": name, "namespace": NAMESPACE, "uid": f"uid-{name}", "resourceVersion": "1"}
    return {**place, "creationTimestamp": _MADE, "generation": 1, **more}


def _template(name: str) -> dict[str, Any]:
    reference = {"secretKeyRef": {"name": f"{name}-token", "key": "value"}}
    container = {
        "name": name,
        "image": _IMAGE,
        "env": [{"name": "config.service.auth", "valueFrom": reference}],
        "readinessProbe": {"httpGet": {"path": "/status-0123456789abcdef", "port": 8080}},
        "resources": {"requests": {"cpu": "1", "memory": "1Gi"}},
    }
    return {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}


def _deployment(number: int, pods: int) -> dict[str, Any]:
    name = f"edge-{number}"
    selector = {"matchLabels": {"app": name}}
    counts = dict.fromkeys(
        ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), pods
    )
    return {
        "metadata": _metadata(name),
        "spec": {"replicas": pods, "selector": selector, "template": _template(name)},
        "status": {"observedGeneration": 1, **counts},
    }


def _pod(number: int, one: int) -> dict[str, Any]:
    name = f"edge-{number}"
    owner = {"kind": "Deployment", "name": name, "uid": f"uid-{name}", "controller": True,
             "apiVersion": "apps/v1"}  # fmt: skip
    kinds = ("Initialized", "Ready", "ContainersReady", "PodScheduled")
    running = {"name": name, "ready": True, "restartCount": 0, "image": _IMAGE, "imageID": "",
               "state": {"running": {"startedAt": _MADE}}}  # fmt: skip
    return {
        "metadata": _metadata(f"{name}-{one}", labels={"app": name}, ownerReferences=[owner]),
        "spec": _template(name)["spec"],
        "status": {
            "phase": "Running",
            "podIP": "10.1.2.3",
            "startTime": _MADE,
            "conditions": [
                {"type": k, "status": "True", "lastTransitionTime": _MADE} for k in kinds
            ],
            "containerStatuses": [running],
        },
    }


def _secret(number: int) -> dict[str, Any]:
    name = f"edge-{number}"
    token = f"GatewayKey {name}&203001010000&c2lnbmF0dXJlLW9mLWEtdG9rZW4="
    labels = {"app.kubernetes.io/managed-by": "gateway-bot"}
    value = base64.b64encode(token.encode()).decode()
    return {"metadata": _metadata(f"{name}-token", labels=labels), "immutable": True,
            "data": {"value": value}}  # fmt: skip
