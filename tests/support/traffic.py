"""Requests to a gateway's Service, sent as kube-proxy would: to whatever endpoint is ready now."""

import contextlib
import http.client
import itertools
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import urllib3

from tests.support.kube_api import KubeApi
from tests.support.waiting import until

_SENDERS = 24
_TIMEOUT_SECONDS = 10.0


@dataclass
class Traffic:
    """What was sent and what came back. `dropped` says of each bad request what became of it."""

    sent: int = 0
    answered: int = 0
    dropped: list[str] = field(default_factory=list)
    pods: set[str] = field(default_factory=set)
    began: float = field(default_factory=time.monotonic)
    ended: float = 0.0

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.sent / ((self.ended or time.monotonic()) - self.began)


@contextlib.contextmanager
def traffic(
    kubeconfig: Path, context: str, namespace: str, service: str, *, rate: int = 100
) -> Iterator[Traffic]:
    """Send `rate` requests a second while the block runs; none is sent twice.

    Each goes to the next of the Service's endpoints that are ready, over a connection of its own.
    """
    told = Traffic()
    endpoints = _Endpoints(KubeApi(kubeconfig, context), namespace, service)
    until(lambda: bool(endpoints.ready), "a ready endpoint")
    turn = itertools.count()
    lock = threading.Lock()
    stop = threading.Event()

    def send() -> None:
        ready = endpoints.ready
        trouble, address = "no endpoint was ready", ""
        if ready:
            address = ready[next(turn) % len(ready)]
            trouble = _ask(address)
        with lock:
            told.pods.add(address)
            if trouble:
                told.dropped.append(f"{address}: {trouble}")
            else:
                told.answered += 1

    def pace(pool: ThreadPoolExecutor) -> None:
        due = told.began = time.monotonic()
        while not stop.wait(max(0.0, due - time.monotonic())):
            pool.submit(send)
            told.sent += 1
            due += 1 / rate
        told.ended = time.monotonic()

    with ThreadPoolExecutor(_SENDERS) as pool:
        pacing = threading.Thread(target=pace, args=(pool,))
        pacing.start()
        try:
            yield told
        finally:
            stop.set()
            pacing.join()
    endpoints.close()


class _Endpoints:
    """The addresses of a Service that are ready, from a watch of its EndpointSlices."""

    def __init__(self, api: KubeApi, namespace: str, service: str) -> None:
        self._api = api
        self._path = (
            f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
            f"?labelSelector=kubernetes.io%2Fservice-name%3D{service}"
        )
        self._slices: dict[str, list[str]] = {}
        self._closed = threading.Event()
        self.ready: list[str] = []
        threading.Thread(target=self._watch, daemon=True).start()

    def close(self) -> None:
        """Watch no longer than the watch under way."""
        self._closed.set()

    def _watch(self) -> None:
        # The cluster may be stopped in the middle of a line.
        with contextlib.suppress(urllib3.exceptions.HTTPError, ValueError):
            while not self._closed.is_set():
                listed = self._api.get(self._path)
                self._slices = {item["metadata"]["name"]: _ready(item) for item in listed["items"]}
                self._tell()
                version = listed["metadata"]["resourceVersion"]
                for event in self._api.watch(self._path, f"resourceVersion={version}", 10):
                    name = event["object"]["metadata"].get("name", "")
                    gone = event["type"] == "DELETED"
                    self._slices[name] = [] if gone else _ready(event["object"])
                    self._tell()

    def _tell(self) -> None:
        self.ready = [address for found in self._slices.values() for address in found]


def _ready(item: dict[str, Any]) -> list[str]:
    ports = {port.get("name"): port["port"] for port in item.get("ports") or []}
    return [
        f"{endpoint['addresses'][0]}:{ports['http']}"
        for endpoint in item.get("endpoints") or []
        if endpoint.get("conditions", {}).get("ready") and "http" in ports
    ]


def _ask(address: str) -> str:
    """What went wrong; empty when an API answered."""
    connection = http.client.HTTPConnection(address, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/echo/resource")
        answer = connection.getresponse()
        answer.read()
        return "" if answer.status == 200 else f"it answered {answer.status}"
    except OSError as error:
        return f"{type(error).__name__}: {error}"
    except http.client.HTTPException as error:
        return type(error).__name__
    finally:
        connection.close()
