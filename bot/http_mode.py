"""Slack's signed HTTP requests, served by waitress through Bolt's own WSGI adapter."""

import threading

from slack_bolt import App
from slack_bolt.adapter.wsgi import SlackRequestHandler
from waitress.server import create_server


class HttpMode:
    """An HTTP listener for commands, interactions, options and events on one path."""

    def __init__(self, app: App, *, host: str, port: int, path: str, threads: int = 64) -> None:
        self._server = create_server(
            SlackRequestHandler(app, path=path),
            host=host,
            port=port,
            threads=threads,
            ident="gateway-bot",
        )
        self._thread = threading.Thread(target=self._server.run, name="http-mode", daemon=True)

    def start(self) -> bool:
        """Serve; True at once, since the socket is bound already."""
        self._thread.start()
        return True

    def stop(self) -> None:
        """Stop accepting. Slack's kept-alive connections would hold the thread, so it is left."""
        self._server.close()
        self._thread.join(timeout=1)

    def connected(self) -> tuple[bool, ...]:
        """Whether the server thread runs."""
        return (self._thread.is_alive(),)
