"""A sandbox cluster with a fake kubelet on a thread of its own, for clients that block."""

import asyncio
import base64
import json
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import urllib3

from bot.sandbox.cluster import Cluster, Identity
from bot.sandbox.tls import Authority
from tests.support.fake_kubelet import FakeKubelet

T = TypeVar("T")
Obj = dict[str, Any]

DEADLINE_SECONDS = 15.0
# Nothing listens at port 1: most tests read no logs.
_CLOSED_PORT = 1


class RunningCluster:
    """Use as a context manager. `admin` may do everything, `bot` only what roles give it."""

    def __init__(
        self,
        directory: Path,
        *,
        namespaces: tuple[str, ...] = ("gw",),
        with_kubelet: bool = True,
        kubelet_seconds: float = 0.02,
        **options: Any,
    ) -> None:
        self.authority = Authority.load_or_create(directory / "ca")
        self._directory = directory
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._with_kubelet = with_kubelet
        self._kubelet_seconds = kubelet_seconds
        self.changes = 0
        tokens = {"admin": Identity("admin", ("system:masters",)), "bot": Identity("bot")}
        self.cluster = Cluster(
            "west",
            namespaces=namespaces,
            tokens=tokens,
            tls=self.authority.server_context(clients=True),
            changed=self._changed,
            **options,
        )
        self._pool = urllib3.PoolManager(
            ca_certs=str(self.authority.ca_pem_path), retries=False, timeout=60.0, maxsize=8
        )

    def _changed(self) -> None:
        self.changes += 1

    def __enter__(self) -> Self:
        self._thread.start()
        self.wait(self.cluster.start())
        if self._with_kubelet:
            self.join_node(_CLOSED_PORT)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._with_kubelet:
            self.wait(self.kubelet.stop())
        self.wait(self.cluster.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=60)
        self._loop.close()

    def join_node(self, kubelet_port: int) -> None:
        """Start the fake kubelet late, with the port its logs are served at."""
        self.kubelet = FakeKubelet(
            self.cluster.url,
            "admin",
            start_seconds=self._kubelet_seconds,
            kubelet_port=kubelet_port,
        )
        self.wait(self.kubelet.start())
        self._with_kubelet = True

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the cluster's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def call(self, work: Callable[[], T]) -> T:
        """Run a function on the cluster's loop."""

        async def run() -> T:
            return work()

        return self.wait(run())

    def kubeconfig(self, token: str = "admin", namespace: str = "gw") -> Path:
        """A kubeconfig with one context, `west`, for a token."""
        return self.kubeconfig_of({"token": token}, f"kubeconfig-{token}", namespace)

    def kubeconfig_of(self, user: Obj, name: str, namespace: str = "gw") -> Path:
        """The same for any user's entry, in a file of that name."""
        authority = base64.b64encode(self.authority.ca_pem).decode()
        context = {"cluster": "west", "user": "user", "namespace": namespace}
        path = self._directory / name
        path.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "west",
                    "clusters": [
                        {
                            "name": "west",
                            "cluster": {
                                "server": self.cluster.url,
                                "certificate-authority-data": authority,
                            },
                        }
                    ],
                    "users": [{"name": "user", "user": user}],
                    "contexts": [{"name": "west", "context": context}],
                }
            )
        )
        return path

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = "application/json",
        token: str = "admin",
        accept: str = "application/json",
    ) -> tuple[int, Any, dict[str, str]]:
        """Status, body (parsed where it is JSON) and headers of one request."""
        answer = self._pool.request(
            method,
            self.cluster.url + path,
            body=None if body is None else json.dumps(body),
            headers={
                **({"Authorization": f"Bearer {token}"} if token else {}),
                "Content-Type": content_type,
                "Accept": accept,
                "User-Agent": "",
            },
        )
        text = answer.data.decode()
        try:
            return answer.status, json.loads(text), dict(answer.headers)
        except ValueError:
            return answer.status, text, dict(answer.headers)

    def get(self, path: str) -> Obj:
        """A GET that must succeed."""
        status, body, _ = self.request("GET", path)
        assert status == 200, body
        found: Obj = body
        return found

    def follow(self, path: str) -> list[Obj]:
        """A list to which every watch event of `path` from now on is added, in order."""
        version = self.get(path)["metadata"]["resourceVersion"]
        events: list[Obj] = []
        answer = self._pool.request(
            "GET",
            f"{self.cluster.url}{path}?watch=1&resourceVersion={version}",
            headers={"Authorization": "Bearer admin"},
            preload_content=False,
            timeout=60.0,
        )

        def read() -> None:
            rest = b""
            try:
                for chunk in answer.stream(None):
                    *lines, rest = (rest + chunk).split(b"\n")
                    events.extend(json.loads(line) for line in lines)
            except urllib3.exceptions.HTTPError:
                # The cluster was stopped in the middle of a line.
                return

        threading.Thread(target=read, daemon=True).start()
        return events

    def apply(self, path: str, body: Obj, manager: str = "test") -> Obj:
        """A forced server-side apply that must succeed."""
        status, answer, _ = self.request(
            "PATCH",
            f"{path}?fieldManager={manager}&force=true",
            body,
            content_type="application/apply-patch+yaml",
        )
        assert status in (200, 201), answer
        found: Obj = answer
        return found
