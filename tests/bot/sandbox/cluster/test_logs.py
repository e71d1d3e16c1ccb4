"""Pod logs and the pod proxy: what the API server fetches from a kubelet and from a pod's port."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3
from aiohttp import web

from bot.sandbox.tls import Authority
from tests.support.running_cluster import RunningCluster
from tests.support.waiting import until

Obj = dict[str, Any]

_PODS = "/api/v1/namespaces/gw/pods"


class _Kubelet:
    """The log endpoint of a kubelet, and a pod's web server, on one port."""

    def __init__(self, authority: Authority) -> None:
        self._context = authority.server_context()
        self.port = 0
        self.queries: list[dict[str, str]] = []
        self.more = asyncio.Event()

    async def start(self) -> None:
        """Listen on a free port."""
        app = web.Application()
        app.router.add_get("/containerLogs/{ns}/{pod}/{container}", self._logs)
        app.router.add_get("/hello", self._hello)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._context)
        await site.start()
        self.port = int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Close."""
        await self._runner.cleanup()

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        self.queries.append(dict(request.query))
        answer = web.StreamResponse()
        await answer.prepare(request)
        await answer.write(b"first\n")
        if request.query.get("follow") == "true":
            await self.more.wait()
            await answer.write(b"second\n")
        await answer.write_eof()
        return answer

    async def _hello(self, request: web.Request) -> web.Response:
        return web.Response(text=f"hello {request.query_string}", headers={"X-Pod": "yes"})


@pytest.fixture
def kubelet(tmp_path: Path) -> _Kubelet:
    """A kubelet's server, filled in by `served`."""
    return _Kubelet(Authority.load_or_create(tmp_path / "ca"))


@pytest.fixture
def served(tmp_path: Path, kubelet: _Kubelet) -> Iterator[RunningCluster]:
    """A cluster whose node listens at `kubelet`."""
    with RunningCluster(tmp_path, with_kubelet=False) as cluster:
        cluster.wait(kubelet.start())
        cluster.join_node(kubelet.port)
        yield cluster
        cluster.call(kubelet.more.set)
        cluster.wait(kubelet.stop())


def _pod(image: str = "example/gateway:1.0") -> Obj:
    container = {"name": "main", "image": image}
    return {"metadata": {"name": "p"}, "spec": {"containers": [container]}}


def _run(cluster: RunningCluster, pod: Obj, phase: str) -> None:
    status, answer, _ = cluster.request("POST", _PODS, pod)
    assert status == 201, answer
    until(lambda: cluster.get(f"{_PODS}/p")["status"]["phase"] == phase)


def test_logs_are_fetched_from_the_kubelet(served: RunningCluster, kubelet: _Kubelet) -> None:
    _run(served, _pod(), "Running")
    status, text, headers = served.request("GET", f"{_PODS}/p/log?tailLines=5&timestamps=true")
    assert (status, text) == (200, "first\n")
    assert headers["Content-Type"].startswith("text/plain")
    assert kubelet.queries == [{"tailLines": "5", "timestamps": "true"}]


def test_followed_logs_arrive_line_by_line(served: RunningCluster, kubelet: _Kubelet) -> None:
    _run(served, _pod(), "Running")
    urllib3.disable_warnings()
    with urllib3.PoolManager(cert_reqs="CERT_NONE", timeout=60.0) as pool:
        answer = pool.request(
            "GET",
            f"{served.cluster.url}{_PODS}/p/log?follow=true",
            headers={"Authorization": "Bearer admin"},
            preload_content=False,
        )
        chunks = answer.stream(None)
        assert next(chunks) == b"first\n"
        served.call(kubelet.more.set)
        assert next(chunks) == b"second\n"


def test_a_kubelet_that_is_gone_is_an_error_with_its_address(cluster: RunningCluster) -> None:
    _run(cluster, _pod(), "Running")
    status, answer, _ = cluster.request("GET", f"{_PODS}/p/log")
    assert status == 500
    assert "connection refused" in answer["message"]


def test_the_pod_proxy_passes_requests_to_the_pods_own_port(
    served: RunningCluster, kubelet: _Kubelet
) -> None:
    _run(served, _pod(), "Running")
    path = f"{_PODS}/https:p:{kubelet.port}/proxy/hello?a=b"
    status, text, headers = served.request("GET", path)
    assert (status, text, headers["X-Pod"]) == (200, "hello a=b", "yes")
    status, answer, _ = served.request("GET", f"{_PODS}/p:1/proxy/hello")
    assert (status, answer["reason"]) == (503, "ServiceUnavailable")
