"""What the bot asks of others is asked with as little work as it can be."""

import ssl
from pathlib import Path
from typing import Any

import pytest
import yaml
from slack_sdk.http_retry import (
    HttpRequest,
    HttpResponse,
    RateLimitErrorRetryHandler,
    RetryState,
)

from bot.settings import Settings, load_settings
from bot.wiring.measuring import counting_of
from bot.wiring.outside import outside_of
from deploy.waits import Waits
from handlers.slack import replies
from handlers.views.reply import Reply
from tests.bot.test_settings import written
from tests.support.given_secrets import secrets_of

CLOSED = "https://127.0.0.1:9/"
"""Nobody listens at the discard port (RFC 863)."""


def closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Of a bot whose Slack and cluster nobody serves."""
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-x")
    monkeypatch.setenv("SLACK_APP_TOKEN", "xapp-x")
    kubeconfig = tmp_path / "kubeconfig"
    cluster = {"name": "west", "cluster": {"server": CLOSED}}
    context = {"name": "west", "context": {"cluster": "west", "user": "u"}}
    user = {"name": "u", "user": {"token": "t"}}
    kubeconfig.write_text(
        yaml.safe_dump({"clusters": [cluster], "contexts": [context], "users": [user]})
    )
    return load_settings(
        written(
            tmp_path,
            slack={"api_url": CLOSED},
            clusters=[{"name": "west", "context": "west", "kubeconfig": str(kubeconfig)}],
        )
    )


def test_the_authorities_of_the_machine_are_read_once_for_all_calls_of_slack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = closed(tmp_path, monkeypatch)
    outside = outside_of(settings, secrets_of(settings), Waits())
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


def test_a_call_that_slack_puts_off_is_an_error_and_no_second_call_of_no_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, counting = closed(tmp_path, monkeypatch), counting_of(["deploy"])
    outside = outside_of(settings, secrets_of(settings), counting.waits, counting.refused)
    for handler in outside.slack.retry_handlers:
        if isinstance(handler, RateLimitErrorRetryHandler):
            handler.prepare_for_next_attempt(
                state=RetryState(),
                request=HttpRequest(method="POST", url=f"{CLOSED}chat.update", headers={}),
                response=HttpResponse(status_code=429, headers={"Retry-After": ["0"]}),
            )

    def value(name: str, **more: str) -> float | None:
        labels = {"service": "slack", "name": "chat.update", **more}
        return counting.registry.get_sample_value(name, labels)

    assert value("gateway_bot_call_errors_total", error="ratelimited") == 1
    assert value("gateway_bot_call_seconds_count") is None
