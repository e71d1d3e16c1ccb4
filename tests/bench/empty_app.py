"""An empty Bolt app on the bot's own transports, the peer of `acks`: it acks, and does nothing."""

import os
import re
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from slack_bolt import App
from slack_sdk import WebClient

from bot.http_mode import HttpMode
from bot.settings import Secrets, Settings, load_all
from bot.socket_mode import SocketMode


class _Uncounted:
    """Connections that no other bot counts."""

    def report(self, own: int) -> None:
        """Nothing is known."""

    def hello(self, own: int, at_slack: int) -> None:
        """Nothing is known."""


def transport(app: App, settings: Settings, secrets: Secrets) -> HttpMode | SocketMode:
    """As the bot has it."""
    slack = settings.slack
    if slack.mode == "http":
        assert secrets.slack_signing_secret is not None
        return HttpMode(
            app,
            secrets.slack_signing_secret.get_secret_value,
            host=slack.http.host,
            port=slack.http.port,
            path=slack.http.path,
        )
    assert secrets.slack_app_token is not None
    uncounted: Any = _Uncounted()
    token = secrets.slack_app_token.get_secret_value
    return SocketMode(app, token, slack.api_url, uncounted, connections=slack.connections)


def main() -> None:
    """Serve until the process is ended."""
    settings, secrets = load_all(Path(sys.argv[1]))
    app = App(
        client=WebClient(os.environ.pop("SLACK_BOT_TOKEN"), base_url=settings.slack.api_url),
        signing_secret=os.environ["SLACK_SIGNING_SECRET"],
        listener_executor=ThreadPoolExecutor(64),
    )
    for takes in (app.command, app.action, app.view):
        takes(re.compile(".*"))(lambda ack: ack())
    transport(app, settings, secrets).start()
    print("ready", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
