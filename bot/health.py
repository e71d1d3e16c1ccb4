"""The health port: `/livez`, `/readyz` and `/healthz`, for Kubernetes' probes."""

import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from deploy.deadline import Deadline

States = Callable[[], Mapping[str, bool | str]]
"""By name, whether each of several things is as it should be. A text is shown, and changes nothing."""


class HealthServer:
    """Answers a path 200 while everything is as it should be, and otherwise 503; what is not is
    named in the answer."""

    def __init__(self, host: str, port: int, paths: Mapping[str, States]) -> None:
        self._server = ThreadingHTTPServer((host, port), _handler(paths))
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="health", daemon=True
        )

    @property
    def port(self) -> int:
        """The port listened on, also where any free one was asked for."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Serve on a thread of its own."""
        self._thread.start()

    def stop(self, deadline: Deadline) -> None:
        """Stop serving."""
        if self._thread.is_alive():
            deadline.wait_for(self._server.shutdown)
        self._server.server_close()

    @property
    def live(self) -> bool:
        """Whether it serves."""
        return self._thread.is_alive()


def _handler(paths: Mapping[str, States]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            states = paths.get(self.path)
            if states is None:
                self.send_error(404)
                return
            state = states()
            body = json.dumps(state).encode()
            self.send_response(503 if False in state.values() else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Probes come every few seconds; they are not worth a log line each."""

    return Handler
