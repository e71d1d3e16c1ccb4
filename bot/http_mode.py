"""Slack's signed HTTP requests, served by waitress through Bolt's own WSGI adapter."""

import threading

import waitress
from slack_bolt import App
from slack_bolt.adapter.wsgi import SlackRequestHandler


class HttpMode:
    """An HTTP listener for commands, interactions, options and events on one path."""

    def __init__(self, app: App, *, host: str, port: int, path: str, threads: int = 64) -> None:
        self._server = waitress.create_server(
            SlackRequestHandler(app, path=path),
            host=host,
            port=port,
            threads=threads,
            ident="gateway-bot",
        )
        self._thread = threading.Thread(target=self._server.run, name="http-mode", daemon=True)

    @property
    def port(self) -> int:
        """The port listened on, also where any free one was asked for."""
        return int(self._server.effective_port)

    def start(self) -> bool:
        """Serve; True at once, since the socket is bound already."""
        self._thread.start()
        return True

    def stop(self) -> None:
        """Stop accepting and let running requests end."""
        self._server.close()
        self._thread.join(timeout=10)

    def connected(self) -> tuple[bool, ...]:
        """Whether the server thread runs."""
        return (self._thread.is_alive(),)
