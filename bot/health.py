"""/healthz for Kubernetes' probes: every part that must live, and whether it does."""

import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Parts = Callable[[], Mapping[str, bool]]


class HealthServer:
    """Answers 200 while every part lives and 503 with the dead ones named otherwise."""

    def __init__(self, host: str, port: int, parts: Parts) -> None:
        self._server = ThreadingHTTPServer((host, port), _handler(parts))
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

    def stop(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


def _handler(parts: Parts) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != "/healthz":
                self.send_error(404)
                return
            state = parts()
            body = json.dumps(state).encode()
            self.send_response(200 if all(state.values()) else 503)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Probes come every few seconds; they are not worth a log line each."""

    return Handler
