"""How a list travels: compressed, in one answer, read while it arrives, and again where it broke."""

import contextlib
import gzip
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from deploy.health.trimming import POD
from deploy.kube.cluster import Cluster, connect

_LIST = {
    "kind": "PodList",
    "metadata": {"resourceVersion": "9"},
    "items": [
        {
            "metadata": {
                "name": f"edge-{n}",
                "namespace": "dev",
                "uid": f"u-{n}",
                "resourceVersion": "1",
            },
            "spec": {"containers": []},
        }
        for n in range(50)
    ],
}


@contextlib.contextmanager
def _serving(directory: Path, broken: int = 0) -> Iterator[tuple[Cluster, list[str]]]:
    """An API server that compresses where it may, and breaks off the first `broken` answers."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            compressed = "gzip" in self.headers.get("Accept-Encoding", "")
            asked.append(f"{self.path}{' compressed' if compressed else ''}")
            body = json.dumps(_LIST, separators=(",", ":")).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            if compressed:
                body = gzip.compress(body)
                self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if len(asked) <= broken:
                self.wfile.write(body[:-20])
                self.close_connection = True
                return
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    config = {
        "clusters": [{"name": "west", "cluster": {"server": address}}],
        "users": [{"name": "bot", "user": {"token": "t"}}],
        "contexts": [{"name": "west", "context": {"cluster": "west", "user": "bot"}}],
    }
    path = directory / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    cluster = connect("west", kubeconfig=path, context="west")
    try:
        yield cluster, asked
    finally:
        cluster.close()
        server.shutdown()
        server.server_close()


def test_a_list_in_a_shape_is_one_answer_that_travels_compressed(tmp_path: Path) -> None:
    with _serving(tmp_path) as (cluster, asked):
        items, version = cluster.list_at("Pod", None, shape=POD)
    assert (len(items), version) == (50, "9")
    assert asked == ["/api/v1/pods compressed"]


def test_a_list_that_breaks_off_is_read_again_and_nothing_of_it_twice(tmp_path: Path) -> None:
    with _serving(tmp_path, broken=2) as (cluster, asked):
        items, _ = cluster.list_at("Pod", None, shape=POD)
    assert [item["metadata"]["name"] for item in items] == [f"edge-{n}" for n in range(50)]
    assert len(asked) == 3


def test_objects_that_are_read_whole_travel_compressed_too(tmp_path: Path) -> None:
    with _serving(tmp_path) as (cluster, asked):
        assert len(cluster.list("Pod")) == 50
    assert asked == ["/api/v1/pods?limit=2000 compressed"]
