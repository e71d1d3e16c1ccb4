"""A request is answered once, however long its answer takes."""

import contextlib
import functools
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.sandbox.valkey import Valkey
from deploy.actions.connection import connect
from deploy.actions.inbox import Inbox
from deploy.deadline import Deadline
from handlers import intake
from handlers.slack.payloads import Request, request_from_mapping, request_to_mapping
from handlers.slack.request_inbox import RequestInbox
from handlers.views.reply import Reply
from tests.support.records import restore
from tests.support.redis_servers import started
from tests.support.waiting import until

OPEN = "gateway-bot:{inbox}:open"


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
    inbox = Inbox(client)
    begun: list[str] = []
    told: list[Any] = []
    go = threading.Event()

    def slow(request: Request) -> Reply:
        begun.append(request.id)
        go.wait(10)
        return Reply("done")

    slack: Any = SimpleNamespace(chat_postEphemeral=lambda **message: told.append(message))
    with ThreadPoolExecutor(4) as pool:
        made = intake.Intake(slack, inbox, {"slow": slow}, pool, "bot-1")
        made.start()
        RequestInbox(inbox, made.take_up).accept(Request("r1", "slow", "U1", "C1"))
        until(lambda: begun == ["r1"], "its beginning")
        for _ in range(3):
            client.zadd("gateway-bot:{inbox}:open", {"r1": 0})
            until(lambda: client.zscore("gateway-bot:{inbox}:open", "r1") > 0, "a sweep")
        go.set()
        until(lambda: client.zcard("gateway-bot:{inbox}:open") == 0, "its answer")
        made.stop(Deadline.after(5))
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
    inbox = Inbox(client)
    begun: list[str] = []
    told: list[str] = []

    def quick(request: Request) -> Reply:
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

    def left() -> float | None:
        score: float | None = client.zscore("gateway-bot:{inbox}:open", "r1")
        return score

    with ThreadPoolExecutor(4) as pool:
        verbs = {"quick": quick}
        made = intake.Intake(slack, inbox, verbs, pool, "bot-1")
        RequestInbox(inbox, made.take_up).accept(Request("r1", "quick", "U1", "C1"))
        until(lambda: told[:2] == ["ephemeral", "direct"], "its first answer")
        # The sweep comes round to it at once in place of ten seconds later.
        client.zadd("gateway-bot:{inbox}:open", {"r1": 0}, xx=True)
        made.start()
        until(lambda: left() is None, "the end of it")
        made.stop(Deadline.after(5))
    assert begun == ["r1"]
    assert told.count("ephemeral") == tries


def test_of_very_many_answers_that_slack_does_not_take_the_oldest_are_worked_out_again(
    server: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "_SWEEP_SECONDS", 0.05)
    monkeypatch.setattr(intake, "_UNTOLD", 1)
    client = connect(server.url)
    inbox = Inbox(client)
    begun: list[str] = []
    refused: list[str] = []

    def quick(request: Request) -> Reply:
        begun.append(request.id)
        return Reply(request.id)

    def post(**message: Any) -> None:
        if len(refused) < 4:
            refused.append(message["text"])
            raise OSError

    slack: Any = SimpleNamespace(chat_postEphemeral=post, chat_postMessage=post)
    with ThreadPoolExecutor(1) as pool:
        verbs = {"quick": quick}
        made = intake.Intake(slack, inbox, verbs, pool, "bot-1")
        for name in ("r1", "r2"):
            RequestInbox(inbox, made.take_up).accept(Request(name, "quick", "U1", "C1"))
        until(lambda: refused == ["r1", "r1", "r2", "r2"], "the answers that are not taken")
        client.zadd("gateway-bot:{inbox}:open", {"r1": 0, "r2": 1}, xx=True)
        made.start()
        until(lambda: client.zcard("gateway-bot:{inbox}:open") == 0, "the end of both")
        made.stop(Deadline.after(5))
    assert begun == ["r1", "r2", "r1"]


def test_what_comes_once_a_bot_has_stopped_is_left_to_another(server: Valkey) -> None:
    inbox = Inbox(connect(server.url))
    begun: list[str] = []

    def quick(request: Request) -> None:
        begun.append(request.id)

    with ThreadPoolExecutor(1) as pool:
        first = intake.Intake(WebClient(), inbox, {"quick": quick}, pool, "bot-1")
        first.start()
        first.stop(Deadline.after(5))
        assert not first.live
        RequestInbox(inbox, first.take_up).accept(Request("r1", "quick", "U1", "C1"))
    assert begun == []
    assert inbox.claim("r1", "bot-2", 60) is not None


class Bed:
    """A Redis, a Slack, and bots that each know some verbs."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.told: list[tuple[str, str, str]] = []
        self.slack: Any = SimpleNamespace(chat_postEphemeral=self._ephemeral)
        self.begun: list[tuple[str, Request]] = []
        self.failing = 0

    def _ephemeral(self, *, channel: str, user: str, text: str, **_: Any) -> None:
        if self.failing:
            self.failing -= 1
            raise ValueError("a bug")
        self.told.append((user, channel, text))

    @contextlib.contextmanager
    def bot(self, name: str, *verbs: str) -> Iterator[intake.Intake]:
        """A bot, as long as the block lasts."""
        known = {verb: functools.partial(self._answer, name) for verb in verbs}
        with ThreadPoolExecutor(4) as pool:
            made = intake.Intake(self.slack, Inbox(self.client), known, pool, name)
            made.start()
            yield made
            made.stop(Deadline.after(5))

    def _answer(self, name: str, request: Request) -> Reply:
        self.begun.append((name, request))
        return Reply("done")

    def put(self, key: str, stored: str) -> None:
        """Have the inbox hold this, as a bot left it behind."""
        self.client.hset(f"gateway-bot:{{i:{key}}}", "payload", stored)
        self.client.zadd(OPEN, {key: 0})

    @property
    def left(self) -> list[str]:
        """What waits in the inbox."""
        return list(self.client.zrange(OPEN, 0, -1))

    def look(self, *keys: str) -> None:
        """Have each of them due now."""
        self.client.zadd(OPEN, dict.fromkeys(keys, 0), xx=True)


@pytest.fixture
def bed(server: Valkey, monkeypatch: pytest.MonkeyPatch) -> Bed:
    monkeypatch.setattr(intake, "_SWEEP_SECONDS", 0.05)
    return Bed(connect(server.url))


def stored(**more: Any) -> str:
    request = Request("r1", "deploy", "U0ANA", "C0OPS", gateway="edge-1")
    return json.dumps(request_to_mapping(request) | more)


def test_a_request_is_stored_with_its_version_and_is_the_same_when_it_is_read(bed: Bed) -> None:
    asked = Request("r1", "deploy", "U0ANA", "C0OPS", "", "edge-1", {"tag": "2.11.1", "set": ["a"]})
    RequestInbox(Inbox(bed.client), lambda key: None).accept(asked)
    kept = json.loads(bed.client.hget("gateway-bot:{i:r1}", "payload"))
    assert kept["version"] == 1
    assert request_from_mapping(kept) == asked


def test_a_request_of_before_versions_is_answered(bed: Bed) -> None:
    restore(bed.client, "request")
    bed.look("command:1.2.abc")
    with bed.bot("bot-1", "deploy"):
        until(lambda: not bed.left, "its answer")
    ((_, request),) = bed.begun
    assert (request.user, request.channel, request.gateway) == ("U0ANA", "C0OPS", "edge-1")
    assert request.options["set"] == ["logs.level=info"]


@pytest.mark.parametrize("newer", [{"version": 2, "colour": "red"}, {"verb": "paint"}])
def test_what_only_a_newer_bot_understands_is_left_to_it_and_reported_once(
    bed: Bed, newer: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    bed.put("r1", stored(**newer))
    with bed.bot("older", "deploy"):
        until(lambda: "left to a newer bot" in caplog.text, "the report")
        for number in range(3):
            bed.put(f"r{number + 2}", stored(id=f"r{number + 2}"))
            until(lambda: bed.left == ["r1"], "the next sweep")
        assert not bed.client.hexists("gateway-bot:{i:r1}", "owner")
        assert bed.told == [("U0ANA", "C0OPS", "done")] * 3
        # A newer bot reads what this one could not.
        bed.client.hset("gateway-bot:{i:r1}", "payload", stored())
        with bed.bot("newer", "deploy"):
            until(lambda: not bed.left, "the newer bot's answer")
    assert bed.begun[-1][0] == "newer"
    assert [r.levelname for r in caplog.records] == ["WARNING"]


@pytest.mark.parametrize(
    "damage", [{"colour": "red"}, {"options": "x"}, {"verb": None}, {"version": "x"}]
)
def test_who_made_a_request_that_cannot_be_read_is_told_so_and_it_is_reported_once(
    bed: Bed, damage: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    bed.put("r1", stored(**damage))
    with bed.bot("bot-1", "deploy"):
        until(lambda: not bed.left, "its end")
    assert bed.begun == []
    ((user, channel, text),) = bed.told
    assert (user, channel) == ("U0ANA", "C0OPS")
    assert "could not be read again and was not carried out" in text
    assert [(r.levelname, "r1" in r.getMessage()) for r in caplog.records] == [("ERROR", True)]


@pytest.mark.parametrize("text", ["{", "[]", "null", '{"verb": "deploy"}', '{"user": 5}'])
def test_a_request_that_says_of_nobody_is_reported_and_ended(
    bed: Bed, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    bed.put("r1", text)
    with bed.bot("bot-1", "deploy"):
        until(lambda: not bed.left, "its end")
    assert bed.told == []
    assert [r.levelname for r in caplog.records] == ["ERROR"]


def test_a_fault_nobody_foresaw_is_logged_and_the_request_is_answered_later(
    bed: Bed, caplog: pytest.LogCaptureFixture
) -> None:
    bed.failing = 1
    bed.put("r1", stored())
    with bed.bot("bot-1", "deploy"):
        until(lambda: "a bug" in caplog.text, "the log")
        bed.look("r1")
        until(lambda: not bed.left, "its answer")
    assert bed.told == [("U0ANA", "C0OPS", "done")]
