"""A request is answered once, however long its answer takes."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bot.sandbox.valkey import Valkey
from deploy.actions.connection import connect
from deploy.actions.inbox import Inbox
from handlers import intake
from handlers.verb import Reply, Request, Verb
from tests.support.redis_servers import started
from tests.support.waiting import until


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path / "redis")


def test_a_request_that_takes_long_is_not_begun_again_by_the_bot_that_is_at_it(
    server: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "_SWEEP_SECONDS", 0.05)
    client = connect(server.url)
    begun: list[str] = []
    told: list[Any] = []
    go = threading.Event()

    def slow(services: Any, request: Request) -> Reply:
        begun.append(request.id)
        go.wait(10)
        return Reply("done")

    slack: Any = SimpleNamespace(chat_postEphemeral=lambda **message: told.append(message))
    services: Any = SimpleNamespace(slack=slack)
    with ThreadPoolExecutor(4) as pool:
        made = intake.Intake(
            services, Inbox(client), {"slow": Verb("slow", "is slow", slow)}, pool, "bot-1"
        )
        made.start()
        made.accept(Request("r1", "slow", "U1", "C1"))
        until(lambda: begun == ["r1"], "its beginning")
        for _ in range(3):
            client.zadd("gateway-bot:{inbox}:open", {"r1": 0})
            until(lambda: client.zscore("gateway-bot:{inbox}:open", "r1") > 0, "a sweep")
        go.set()
        until(lambda: client.zcard("gateway-bot:{inbox}:open") == 0, "its answer")
        made.stop()
    assert begun == ["r1"]
    assert len(told) == 1
