"""A proxy before an API server that counts the requests of a client, and may hold an answer back."""

import contextlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import yaml

from tests.support.kube_api import KubeApi

_SECONDS = 60.0


@dataclass
class Recording:
    """What came through, as in `get configmaps`, `try services` for a dry run, `apply services`.

    `answered` is called with each request once the server has answered it, before the client has that.
    """

    kubeconfig: Path
    seen: list[str] = field(default_factory=list)
    connections: int = 0
    answered: Callable[[str], object] = lambda request: None

    @property
    def counted(self) -> Counter[str]:
        """How often each was sent since this was read last."""
        found, self.seen = Counter(self.seen), []
        return found


def _named(method: str, path: str) -> str:
    url = urlsplit(path)
    query = parse_qs(url.query)
    parts = url.path.strip("/").split("/")[2 if url.path.startswith("/api/") else 3 :]
    if parts[:1] == ["namespaces"] and len(parts) > 2:
        parts = parts[2:]
    if method == "PATCH":
        return f"{'try' if 'dryRun' in query else 'apply'} {parts[0]}"
    verb = "list" if method == "GET" and len(parts) == 1 else method.lower()
    return f"{verb} {parts[0]}"


@contextlib.contextmanager
def recording(api: KubeApi, directory: Path, context: str = "west") -> Iterator[Recording]:
    """Clients by the recording's kubeconfig reach the server of `api`, as its user."""
    recorded = Recording(directory / "recording.kubeconfig")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            super().setup()
            recorded.connections += 1

        def _pass(self) -> None:
            given = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            name = _named(self.command, self.path)
            recorded.seen.append(name)
            kind = self.headers.get("Content-Type", "application/json")
            answer = api.request(self.command, self.path, given or None, kind)
            recorded.answered(name)
            body = json.dumps(answer.body).encode()
            self.send_response(answer.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass  # noqa: N815  # names of http.server

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: what came is recorded."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": context,
        "clusters": [
            {"name": context, "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}
        ],
        "users": [{"name": context, "user": {}}],
        "contexts": [{"name": context, "context": {"cluster": context, "user": context}}],
    }
    recorded.kubeconfig.touch(0o600)
    recorded.kubeconfig.write_text(yaml.safe_dump(config))
    try:
        yield recorded
    finally:
        server.shutdown()
        server.server_close()
        thread.join(_SECONDS)
