"""The messages of approval windows."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from slack_sdk.errors import SlackApiError

from bot.sandbox.valkey import Valkey
from deploy.actions.audit import AuditLog
from deploy.actions.connection import connect
from deploy.actions.windows import Windows
from deploy.gateway import GatewayRef
from handlers import window
from tests.support.redis_servers import started


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path / "redis")


@pytest.mark.parametrize("error", ["is_archived", "ratelimited"])
def test_a_message_that_cannot_be_changed_keeps_no_other_from_saying_that_it_is_over(
    server: Valkey, error: str
) -> None:
    client = connect(server.url)
    windows = Windows(client, AuditLog(client))
    made = [
        windows.open(
            GatewayRef("west", "prod", name), "U1", by="U2", reason="x", seconds=60, request_id=name
        )
        for name in ("edge-1", "edge-2", "edge-3")
    ]
    for number, one in enumerate(made):
        windows.placed(one, {"channel": f"C{number}", "ts": "1.0"})
        windows.close(one.key, by="U2")
    told: list[str] = []

    def update(*, channel: str, **message: Any) -> None:
        if channel != "C1":
            told.append(channel)
            return
        raise SlackApiError(error, {"error": error})

    slack: Any = SimpleNamespace(chat_update=update)
    window.tell_ended(slack, windows)
    assert sorted(told) == ["C0", "C2"]
    left = client.zcard("gateway-bot:{windows}")
    assert left == (0 if error == "is_archived" else 1), "only what may yet be told is kept"
