"""What the bot asks of others is asked with as little work as it can be."""

import ssl
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.settings import load_secrets, load_settings
from bot.wiring.outside import outside_of
from deploy.waits import Waits
from handlers.slack import replies
from handlers.views.reply import Reply
from tests.bot.test_settings import written

CLOSED = "https://127.0.0.1:9/"
"""Nobody listens at the discard port (RFC 863)."""


def test_the_authorities_of_the_machine_are_read_once_for_all_calls_of_slack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-x")
    monkeypatch.setenv("SLACK_APP_TOKEN", "xapp-x")
    kubeconfig = tmp_path / "kubeconfig"
    cluster = {"name": "west", "cluster": {"server": CLOSED}}
    context = {"name": "west", "context": {"cluster": "west", "user": "u"}}
    user = {"name": "u", "user": {"token": "t"}}
    kubeconfig.write_text(
        yaml.safe_dump({"clusters": [cluster], "contexts": [context], "users": [user]})
    )
    settings = load_settings(
        written(
            tmp_path,
            slack={"api_url": CLOSED},
            clusters=[{"name": "west", "context": "west", "kubeconfig": str(kubeconfig)}],
        )
    )
    outside = outside_of(settings, load_secrets(settings), Waits())
    read: list[Any] = []
    real = ssl.SSLContext.load_default_certs

    def counted(self: ssl.SSLContext, *arguments: Any) -> None:
        read.append(self)
        real(self, *arguments)

    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", counted)
    for client in (outside.slack, outside.posting):
        client.retry_handlers = []
        with pytest.raises(OSError, match="refused"):
            client.api_test()
    replies.send(outside.slack, Reply("x"), user="U1", channel="", response_url=CLOSED)
    assert read == []
