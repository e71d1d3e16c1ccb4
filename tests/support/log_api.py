"""As much of a Kubernetes API server as following logs needs, over real sockets."""

import datetime
import json
import select
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import yaml

from deploy.kube.cluster import Cluster, connect


class _Server(ThreadingHTTPServer):
    request_queue_size = 128


class LogApi:
    """Pods by name, each with stamped lines. `cut()` ends the open log streams in the middle, `hold()`
    keeps what a pod writes on its way until `release()`."""

    def __init__(self, directory: Path) -> None:
        self.logs: dict[str, list[str]] = {}
        self._unstarted: dict[str, str] = {}
        self.asked: list[dict[str, str]] = []
        self.open = 0
        self._events: list[tuple[str, str]] = []
        self._cuts = 0
        self._held = ""
        self._news = threading.Condition()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        path = directory / "log-api.yaml"
        server = {"server": f"http://127.0.0.1:{self._server.server_address[1]}"}
        config = {
            "clusters": [{"name": "west", "cluster": server}],
            "users": [{"name": "bot", "user": {"token": "t"}}],
            "contexts": [{"name": "west", "context": {"cluster": "west", "user": "bot"}}],
        }
        path.write_text(yaml.safe_dump(config))
        self.cluster: Cluster = connect("west", kubeconfig=path, context="west")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cluster.close()
        self._server.shutdown()
        self.cut()
        self._server.server_close()

    def wait(self, pod: str, reason: str) -> None:
        """A pod appears whose container does not start."""
        with self._news:
            self._unstarted[pod] = reason
            self._events.append(("ADDED", pod))
            self._news.notify_all()

    def start(self, pod: str) -> None:
        """A pod appears and runs."""
        with self._news:
            self._unstarted.pop(pod, None)
            self.logs[pod] = []
            self._events.append(("ADDED", pod))
            self._news.notify_all()

    def delete(self, pod: str) -> None:
        """A pod goes."""
        with self._news:
            del self.logs[pod]
            self._events.append(("DELETED", pod))
            self._news.notify_all()

    def write(self, pod: str, *texts: str, at: float | None = None) -> None:
        """A pod writes lines, stamped as the kubelet does."""
        with self._news:
            for text in texts:
                moment = datetime.datetime.fromtimestamp(at or time.time(), datetime.UTC)
                stamp = f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}000Z"
                self.logs[pod].append(f"{stamp} {text}")
            self._news.notify_all()

    def cut(self) -> None:
        """Break every open log stream."""
        with self._news:
            self._cuts += 1
            self._news.notify_all()

    def hold(self, pod: str) -> None:
        """What it writes from now on does not come, as on a slow line."""
        with self._news:
            self._held = pod

    def release(self) -> None:
        """What was held comes now."""
        with self._news:
            self._held = ""
            self._news.notify_all()

    def pods(self) -> list[dict[str, Any]]:
        return [self._pod(name) for name in (*self.logs, *self._unstarted)]

    def _pod(self, name: str) -> dict[str, Any]:
        pod = _pod(name)
        if name in self._unstarted:
            state = {"waiting": {"reason": self._unstarted[name]}}
            status = {"name": "edge-1", "ready": False, "restartCount": 0, "state": state}
            pod["status"] = {"phase": "Pending", "containerStatuses": [status]}
        return pod

    def stream(self, pod: str, query: dict[str, str], write: Any, gone: Callable[[], bool]) -> None:
        since, tail = query.get("sinceTime", ""), query.get("tailLines")
        with self._news:
            self.asked.append(query)
            self.open += 1
            cuts = self._cuts
            lines = self.logs[pod]
            first = 0
            if tail is not None:
                first = max(0, len(lines) - int(tail))
            while first < len(lines) and lines[first][:19] < since[:19]:
                first += 1
            sent = first
        try:
            while not gone():
                with self._news:
                    if not self._changed(pod, lines, sent, cuts):
                        self._news.wait(0.05)
                        continue
                    if self._cuts != cuts:
                        return
                    chunk, sent = lines[sent:], len(lines)
                    ended = self.logs.get(pod) is not lines
                if chunk:
                    text = "".join(f"{line}\n" for line in chunk).encode()
                    write(text[: int(query.get("limitBytes", len(text)))])
                if ended or query.get("follow") != "true":
                    return
        finally:
            with self._news:
                self.open -= 1

    def _changed(self, pod: str, lines: list[str], sent: int, cuts: int) -> bool:
        if self._held == pod and self._cuts == cuts:
            return False
        return self._cuts != cuts or self.logs.get(pod) is not lines or len(lines) > sent

    def watch(self, version: int, write: Any, gone: Callable[[], bool]) -> None:
        while not gone():
            with self._news:
                if len(self._events) <= version:
                    self._news.wait(0.05)
                    continue
                kind, name = self._events[version]
            version += 1
            item = self._pod(name)
            item["metadata"]["resourceVersion"] = str(version)
            write(json.dumps({"type": kind, "object": item}).encode() + b"\n")

    def version(self) -> int:
        return len(self._events)


def _pod(name: str) -> dict[str, Any]:
    started = {"running": {"startedAt": "2026-11-25T10:00:00Z"}}
    return {
        "metadata": {
            "name": name,
            "namespace": "dev",
            "labels": {"app": "edge-1"},
            "creationTimestamp": "2026-11-25T10:00:00Z",
        },
        "spec": {"containers": [{"name": "edge-1"}]},
        "status": {
            "phase": "Running",
            "containerStatuses": [{"name": "edge-1", "ready": True, "state": started}],
            "startTime": "2026-11-25T10:00:00Z",
        },
    }


def _handler(api: LogApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            query = {key: values[0] for key, values in parse_qs(url.query).items()}
            parts = url.path.strip("/").split("/")
            if parts[-1] == "log":
                if parts[-2] not in api.logs:
                    self._json(404, {"kind": "Status", "code": 404, "reason": "NotFound"})
                    return
                self._chunks(lambda write: api.stream(parts[-2], query, write, self._gone))
            elif query.get("watch") == "true":
                self._chunks(
                    lambda write: api.watch(int(query["resourceVersion"]), write, self._gone)
                )
            else:
                version = str(api.version())
                self._json(200, {"items": api.pods(), "metadata": {"resourceVersion": version}})

        def _json(self, status: int, body: Any) -> None:
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def _chunks(self, produce: Any) -> None:
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()

            def write(data: bytes) -> None:
                self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
                self.wfile.flush()

            try:
                produce(write)
                self.wfile.write(b"0\r\n\r\n")
            except OSError:
                self.close_connection = True

        def _gone(self) -> bool:
            ready, _, _ = select.select([self.connection], [], [], 0)
            return bool(ready) and not self.connection.recv(1, socket.MSG_PEEK)

        def log_message(self, format: str, *args: object) -> None:
            """Silent."""

    return Handler
