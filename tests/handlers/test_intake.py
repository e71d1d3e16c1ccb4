"""A request is answered once, however long its answer takes."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from slack_sdk.errors import SlackApiError

from bot.sandbox.valkey import Valkey
from deploy.actions.connection import connect
from deploy.actions.inbox import Inbox
from handlers import intake
from handlers.slack.payloads import Request
from handlers.views.reply import Reply
from tests.support.redis_servers import started
from tests.support.waiting import until


def error(name: str) -> SlackApiError:
    response: Any = SimpleNamespace(status_code=200, get=lambda _: name)
    return SlackApiError(name, response)


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
        made = intake.Intake(services, Inbox(client), {"slow": slow}, pool, "bot-1")
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


@pytest.mark.parametrize(
    ("refusals", "tries"),
    [((OSError(), OSError()), 2), ((error("channel_not_found"), error("user_not_found")), 1)],
)
def test_an_answer_is_kept_until_slack_takes_it_or_refuses_it_for_good(
    server: Valkey,
    monkeypatch: pytest.MonkeyPatch,
    refusals: tuple[Exception, Exception],
    tries: int,
) -> None:
    monkeypatch.setattr(intake, "_SWEEP_SECONDS", 0.05)
    client = connect(server.url)
    begun: list[str] = []
    told: list[str] = []

    def quick(services: Any, request: Request) -> Reply:
        begun.append(request.id)
        return Reply("done")

    def ephemeral(**message: Any) -> None:
        told.append("ephemeral")
        if told.count("ephemeral") == 1:
            raise refusals[0]

    def direct(**message: Any) -> None:
        told.append("direct")
        raise refusals[1]

    slack: Any = SimpleNamespace(chat_postEphemeral=ephemeral, chat_postMessage=direct)
    services: Any = SimpleNamespace(slack=slack)

    def left() -> float | None:
        score: float | None = client.zscore("gateway-bot:{inbox}:open", "r1")
        return score

    with ThreadPoolExecutor(4) as pool:
        verbs = {"quick": quick}
        made = intake.Intake(services, Inbox(client), verbs, pool, "bot-1")
        made.accept(Request("r1", "quick", "U1", "C1"))
        until(lambda: told[:2] == ["ephemeral", "direct"], "its first answer")
        # The sweep comes round to it at once in place of ten seconds later.
        client.zadd("gateway-bot:{inbox}:open", {"r1": 0}, xx=True)
        made.start()
        until(lambda: left() is None, "the end of it")
        made.stop()
    assert begun == ["r1"]
    assert told.count("ephemeral") == tries


def test_of_very_many_answers_that_slack_does_not_take_the_oldest_are_worked_out_again(
    server: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "_SWEEP_SECONDS", 0.05)
    monkeypatch.setattr(intake, "_UNTOLD", 1)
    client = connect(server.url)
    begun: list[str] = []
    refused: list[str] = []

    def quick(services: Any, request: Request) -> Reply:
        begun.append(request.id)
        return Reply(request.id)

    def post(**message: Any) -> None:
        if len(refused) < 4:
            refused.append(message["text"])
            raise OSError

    slack: Any = SimpleNamespace(chat_postEphemeral=post, chat_postMessage=post)
    services: Any = SimpleNamespace(slack=slack)
    with ThreadPoolExecutor(1) as pool:
        verbs = {"quick": quick}
        made = intake.Intake(services, Inbox(client), verbs, pool, "bot-1")
        for name in ("r1", "r2"):
            made.accept(Request(name, "quick", "U1", "C1"))
        until(lambda: refused == ["r1", "r1", "r2", "r2"], "the answers that are not taken")
        client.zadd("gateway-bot:{inbox}:open", {"r1": 0, "r2": 1}, xx=True)
        made.start()
        until(lambda: client.zcard("gateway-bot:{inbox}:open") == 0, "the end of both")
        made.stop()
    assert begun == ["r1", "r2", "r1"]
