"""Slack's signed HTTP requests, served by waitress through Bolt's own WSGI adapter."""

import threading

from slack_bolt import App
from slack_bolt.adapter.wsgi import SlackRequestHandler
from waitress.server import create_server

from deploy.deadline import Deadline

_CLOSING_SECONDS = 1.0


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

    def start(self) -> None:
        """Serve; the socket is bound already."""
        self._thread.start()

    def stop(self, deadline: Deadline) -> None:
        """Stop accepting. Slack's kept-alive connections would hold the thread, so it is left."""
        self._server.close()
        deadline.within(_CLOSING_SECONDS).join([self._thread])

    @property
    def live(self) -> bool:
        """Whether the server's thread runs."""
        return self._thread.is_alive()

    @property
    def connected(self) -> bool:
        """Whether Slack can reach it, as far as the bot can know."""
        return self.live
