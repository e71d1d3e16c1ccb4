"""A request is answered once, however long its answer takes."""

import contextlib
import functools
import json
import threading
from collections.abc import Collection, Iterator, Mapping
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
from deploy.errors import Ambiguous, Unavailable
from handlers import intake
from handlers.lanes import BOUNDS, Bounds, Lane
from handlers.slack.in_time import InTime
from handlers.slack.payloads import Request, request_from_mapping, request_to_mapping
from handlers.slack.request_inbox import RequestInbox, admitting
from handlers.verbs.table import VERBS
from handlers.verbs.verb import Run
from handlers.views.reply import Reply
from tests.support.log_records import logged
from tests.support.records import restore
from tests.support.redis_servers import started
from tests.support.waiting import until

OPEN = "gateway-bot:{inbox}:open"


def intake_of(
    slack: Any, client: Any, runs: Mapping[str, Run], owner: str = "bot-1", **options: Any
) -> intake.Intake:
    """An intake with these verbs, all on one lane."""
    by_name = {verb.name: verb for verb in VERBS}
    works = {name: intake.Work(Lane.READS, run, by_name.get(name)) for name, run in runs.items()}
    return intake.Intake(slack, Inbox(client), works, owner, **options)


def one_at_a_time() -> Mapping[Lane, Bounds]:
    """One thread a lane."""
    return dict.fromkeys(Lane, Bounds(workers=1, share=1, each=100, all=1000))


def error(name: str) -> SlackApiError:
    response: Any = SimpleNamespace(status_code=200, get=lambda _: name)
    return SlackApiError(name, response)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path / "redis")


def test_a_request_is_not_even_claimed_before_it_may_begin(server: Valkey) -> None:
    client, may, told = connect(server.url), threading.Event(), []
    slack: Any = SimpleNamespace(chat_postEphemeral=lambda **message: told.append(message))
    made = intake_of(slack, client, {"status": lambda _: Reply("done")}, before=may.wait)
    made.start()
    RequestInbox(Inbox(client), made.take_up).accept(Request("r1", "status", "U1", "C1"))
    assert (client.hget("gateway-bot:{i:r1}", "owner"), told) == (None, [])
    may.set()
    until(lambda: told, "its answer")
    made.stop(Deadline.after(10))


def test_an_error_that_nobody_foresaw_is_in_the_log_under_what_its_message_says(
    server: Valkey,
) -> None:
    told: list[str] = []

    def fails(request: Request) -> Reply:
        raise ZeroDivisionError

    slack: Any = SimpleNamespace(
        chat_postEphemeral=lambda **message: told.append(json.dumps(message["blocks"]))
    )
    client = connect(server.url)
    with logged("handlers.intake") as lines:
        made = intake_of(slack, client, {"status": fails, "list": lambda _: Reply("done")})
        made.start()
        accept = RequestInbox(Inbox(client), made.take_up).accept
        accept(Request("r1", "status", "U1", "C1", gateway="edge-1"))
        until(lambda: told, "the first answer")
        accept(Request("r2", "list", "U2", "C1"))
        until(lambda: len(told) == 2, "the second one")
        made.stop(Deadline.after(10))
    failed, answered = (line for line in lines if line.get("event") == "command")
    assert f"`{failed['request']}`" in told[0]
    assert (failed["outcome"], failed["user"], failed["gateway"]) == ("failed", "U1", "edge-1")
    assert "ZeroDivisionError" in failed["error"]
    assert (answered["outcome"], answered["message"], answered["user"]) == (
        "answered",
        "list",
        "U2",
    )
    assert {"request", "duration", "time"} <= answered.keys()
    assert "gateway" not in answered


def test_a_request_that_takes_long_is_not_begun_again_by_the_bot_that_is_at_it(
    server: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "_TURN_SECONDS", 0.05)
    client = connect(server.url)
    inbox = Inbox(client)
    begun: list[str] = []
    told: list[Any] = []
    go = threading.Event()

    def slow(request: Request) -> Reply:
        begun.append(request.id)
        go.wait(60)
        return Reply("done")

    slack: Any = SimpleNamespace(chat_postEphemeral=lambda **message: told.append(message))
    made = intake_of(slack, client, {"slow": slow})
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
    monkeypatch.setattr(intake, "_TURN_SECONDS", 0.05)
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

    made = intake_of(slack, client, {"quick": quick})
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
    monkeypatch.setattr(intake, "_TURN_SECONDS", 0.05)
    monkeypatch.setattr(intake, "_KEPT", 1)
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
    made = intake_of(slack, client, {"quick": quick}, bounds=one_at_a_time())
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

    first = intake_of(WebClient(), connect(server.url), {"quick": quick})
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
        self.slack: Any = SimpleNamespace(chat_postEphemeral=self._ephemeral, ssl=None)
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
        made = intake_of(self.slack, self.client, known, name)
        made.start()
        try:
            yield made
        finally:
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
    monkeypatch.setattr(intake, "_TURN_SECONDS", 0.05)
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


def test_what_was_said_in_a_message_is_left_to_bots_that_know_where_to_answer_it(bed: Bed) -> None:
    said = Request("r1", "status", "U0ANA", "C0OPS", gateway="edge-1", said=True, thread="5.1")
    kept = json.loads(json.dumps(request_to_mapping(said)))
    assert kept["version"] == 2
    assert request_from_mapping(kept) == said


def test_what_was_said_in_a_message_is_answered_there_with_how_it_was_read(server: Valkey) -> None:
    client, answers = connect(server.url), list[tuple[str, str]]()

    def answered(request: Request, reply: Reply) -> None:
        answers.append((request.thread, reply.text))

    runs: Mapping[str, Run] = {"status": lambda _: Reply("fine"), "restart": lambda _: None}
    made = intake_of(SimpleNamespace(), client, runs, in_conversation=answered, command="/gateway")
    made.start()
    inbox = RequestInbox(Inbox(client), made.take_up)
    for verb, thread in (("status", "5.1"), ("restart", "6.1")):
        inbox.accept(Request(thread, verb, "U1", "C1", gateway="edge-1", said=True, thread=thread))
        until(lambda: client.zcard(OPEN) == 0, "its answer")
    made.stop(Deadline.after(10))
    assert answers == [
        ("5.1", "I read that as `/gateway status edge-1`. fine"),
        ("6.1", "I read that as `/gateway restart edge-1`."),
    ]


@pytest.mark.parametrize("verb", ["diff", "check", "export", "whoami", "pending", "approve"])
@pytest.mark.parametrize(("thread", "shown_in"), [("5.1", None), ("4.0", "4.0")])
def test_what_is_for_one_person_is_shown_to_them_alone_though_it_was_asked_before_others(
    server: Valkey, verb: str, thread: str, shown_in: str | None
) -> None:
    client, public, told = connect(server.url), list[Reply](), list[dict[str, Any]]()
    slack: Any = SimpleNamespace(chat_postEphemeral=lambda **message: told.append(message))
    made = intake_of(
        slack,
        client,
        {verb: lambda _: Reply("yours")},
        in_conversation=lambda request, reply: public.append(reply),
        command="/gateway",
    )
    made.start()
    inbox = RequestInbox(Inbox(client), made.take_up)
    for channel in ("C1", "D1"):
        where = thread if channel == "C1" else ""
        asked = Request(f"said:{channel}:5.1", verb, "U1", channel, said=True, thread=where)
        inbox.accept(asked)
        until(lambda: client.zcard(OPEN) == 0, "its answer")
    made.stop(Deadline.after(10))
    (alone,) = told
    assert (alone["user"], alone["channel"], alone.get("thread_ts")) == ("U1", "C1", shown_in)
    assert alone["text"] == f"I read that as `/gateway {verb}`. yours"
    assert len(public) == 1, "of the direct message"


def test_a_request_of_before_versions_is_answered(bed: Bed) -> None:
    restore(bed.client, "request")
    bed.look("command:1.2.abc")
    with bed.bot("bot-1", "deploy"):
        until(lambda: not bed.left, "its answer")
    ((_, request),) = bed.begun
    assert (request.user, request.channel, request.gateway) == ("U0ANA", "C0OPS", "edge-1")
    assert request.options["set"] == ["logs.level=info"]


@pytest.mark.parametrize(
    ("verb", "options", "typed"),
    [
        ("scale", {"replicas": 3, "reason": "Ana’s"}, ' --replicas=3 --reason="Ana’s"'),
        ("deploy", {"more": "logs:\n  level: warn"}, None),
        ("scale-form", {}, None),
    ],
)
def test_a_name_that_can_mean_several_gateways_is_answered_with_a_button_for_each_where_it_is_typed(
    server: Valkey, verb: str, options: dict[str, Any], typed: str | None
) -> None:
    shown: list[Mapping[str, Any]] = []

    def ambiguous(request: Request) -> Reply:
        every = ("west/dev/edge-1", "west/prod/edge-1")
        raise Ambiguous("“edge-1” can mean several.", field="gateway", candidates=every, remedy="")

    slack: Any = SimpleNamespace(chat_postEphemeral=lambda **message: shown.append(message))
    client = connect(server.url)
    client.flushall()
    made = intake_of(slack, client, {verb: ambiguous})
    made.start()
    asked = Request("r1", verb, "U1", "C1", "", "edge-1", options)
    RequestInbox(Inbox(client), made.take_up).accept(asked)
    (message,) = until(lambda: shown, "the answer")
    made.stop(Deadline.after(5))
    places = () if typed is None else ("west/dev/edge-1", "west/prod/edge-1")
    assert [b["accessory"]["value"] for b in message["blocks"] if "accessory" in b] == [
        f"{verb} {place}{typed}" for place in places
    ]
    assert "west/prod/edge-1" in str(message["blocks"])


def test_what_is_left_to_a_newer_bot_is_not_taken_again_by_a_sweep_that_saw_it_before(
    bed: Bed, caplog: pytest.LogCaptureFixture
) -> None:
    bed.put("r1", stored(version=3))
    with bed.bot("older", "deploy") as older:
        until(lambda: "left to a newer bot" in caplog.text, "the report")
        until(lambda: not bed.client.hexists("gateway-bot:{i:r1}", "owner"), "its being left")
        older._work("r1")
    assert caplog.text.count("left to a newer bot") == 1


@pytest.mark.parametrize("newer", [{"version": 3, "colour": "red"}, {"verb": "paint"}])
def test_what_only_a_newer_bot_understands_is_left_to_it_and_reported_once(
    bed: Bed, newer: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    bed.put("r1", stored(**newer))
    with bed.bot("older", "deploy"):
        until(lambda: "left to a newer bot" in caplog.text, "the report")
        until(lambda: not bed.client.hexists("gateway-bot:{i:r1}", "owner"), "its being left")
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


class Slow:
    """A verb that takes as long as a test wants; `begun` is who asked, in that order."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.go = threading.Event()

    def __call__(self, request: Request) -> Reply:
        self.begun.append(request.user)
        self.go.wait(60)
        return Reply(f"{request.id} is done")


class Channel:
    """A Slack that takes everything."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def chat_postEphemeral(self, *, text: str, **_: Any) -> None:  # noqa: N802
        """Take it."""
        self.told.append(text)


def ask(client: Any, made: intake.Intake, name: str, verb: str, user: str = "U1") -> None:
    """Have somebody ask that of a bot."""
    inbox = Inbox(client)
    accept = RequestInbox(inbox, made.take_up).accept
    with ThreadPoolExecutor(1) as pool:
        admit = admitting(accept, made.busy, inbox.knows, InTime(pool, 60, 60))
        admit(Request(name, verb, user, "C1"))


def owner_of(client: Any, name: str) -> tuple[str, int]:
    """Which bot holds a request, and until when."""
    owner, until_ms = client.hmget(f"gateway-bot:{{i:{name}}}", "owner", "until")
    return str(owner), int(until_ms or 0)


def test_what_a_killed_bot_was_at_is_taken_up_within_fifteen_seconds() -> None:
    assert intake._LEASE_SECONDS + intake._TURN_SECONDS <= 15
    assert 3 * intake._TURN_SECONDS < intake._LEASE_SECONDS, "two renewals may fail"


def test_work_of_many_leases_is_done_by_one_bot_and_told_once(
    server: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "_TURN_SECONDS", 0.1)
    monkeypatch.setattr(intake, "_LEASE_SECONDS", 4.0)
    client, slack, slow = connect(server.url), Channel(), Slow()
    bots = [intake_of(slack, client, {"slow": slow}, owner) for owner in ("bot-1", "bot-2")]
    for bot in bots:
        bot.start()
    ask(client, bots[0], "r1", "slow")
    until(lambda: slow.begun, "its beginning")
    _, first = owner_of(client, "r1")
    until(lambda: owner_of(client, "r1")[1] > first + 2 * 4000, "the end of two leases")
    client.zadd(OPEN, {"r1": 0})
    until(lambda: client.zscore(OPEN, "r1") > 0, "a look of the other bot")
    slow.go.set()
    until(lambda: client.zcard(OPEN) == 0, "its answer")
    for bot in bots:
        bot.stop(Deadline.after(5))
    assert (slow.begun, slack.told) == (["U1"], ["r1 is done"])


def test_what_a_dead_bot_was_at_is_done_by_another_once_its_lease_has_ended(
    server: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "_TURN_SECONDS", 0.1)
    client, slack = connect(server.url), Channel()
    RequestInbox(Inbox(client), lambda request: None).accept(Request("r1", "quick", "U1", "C1"))
    assert Inbox(client).claim("r1", "dead", 60)
    assert Inbox(client).renew(["r1"], "dead", 1.0)
    made = intake_of(slack, client, {"quick": lambda request: Reply("done")})
    made.start()
    until(lambda: client.zcard(OPEN) == 0, "its answer")
    made.stop(Deadline.after(5))
    assert slack.told == ["done"]


def test_whoever_has_lost_its_lease_says_nothing(
    server: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "_LEASE_SECONDS", 0.2)
    client = connect(server.url)
    heard = {name: Channel() for name in ("bot-1", "bot-2")}
    slow = Slow()
    # It hangs as a whole: nothing renews what it holds.
    first = intake_of(heard["bot-1"], client, {"slow": slow}, "bot-1")
    ask(client, first, "r1", "slow")
    until(lambda: slow.begun, "its beginning")
    second = intake_of(heard["bot-2"], client, {"slow": lambda r: Reply("done")}, "bot-2")
    again = Request("r1", "slow", "U1", "C1")
    until(lambda: second.take_up(again) and heard["bot-2"].told, "the other bot's answer")
    slow.go.set()
    first.stop(Deadline.after(5))
    second.stop(Deadline.after(5))
    assert (heard["bot-1"].told, heard["bot-2"].told) == ([], ["done"])


def test_what_redis_has_lost_meanwhile_is_answered_all_the_same(server: Valkey) -> None:
    client, slack, slow = connect(server.url), Channel(), Slow()
    made = intake_of(slack, client, {"slow": slow})
    ask(client, made, "r1", "slow")
    until(lambda: slow.begun, "its beginning")
    client.flushall()
    slow.go.set()
    until(lambda: slack.told, "its answer")
    made.stop(Deadline.after(5))
    assert slack.told == ["r1 is done"]


def test_what_was_told_is_not_told_again_when_redis_could_not_be_told_so(
    server: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "_TURN_SECONDS", 0.05)
    monkeypatch.setattr(intake, "_LEASE_SECONDS", 120.0)
    client, inbox = connect(server.url), Inbox(connect(server.url))
    slack: Any = Channel()
    failing = [Unavailable("Redis cannot be used now.")]

    class Failing(Inbox):
        def done(self, key: str, answer: str) -> None:
            if failing:
                raise failing.pop()
            super().done(key, answer)

    works = {"quick": intake.Work(Lane.READS, lambda request: Reply("done"))}
    made: Any = intake.Intake(slack, Failing(client), works, "bot-1")
    RequestInbox(inbox, made.take_up).accept(Request("r1", "quick", "U1", "C1"))
    until(lambda: not failing, "the failure")
    made.start()
    # Its lease has not ended, so no other bot could tell it meanwhile.
    until(lambda: client.zcard(OPEN) == 0, "its end", seconds=intake._LEASE_SECONDS / 2)
    made.stop(Deadline.after(5))
    assert slack.told == ["done"]


def test_decisions_do_not_wait_behind_a_cluster_that_does_not_answer(server: Valkey) -> None:
    client, slow = connect(server.url), Slow()
    slack: Any = Channel()
    works = {
        "status": intake.Work(Lane.READS, slow),
        "deploy": intake.Work(Lane.PLANS, slow),
        "approve": intake.Work(Lane.DECISIONS, lambda request: Reply("approved")),
    }
    made = intake.Intake(slack, Inbox(client), works, "bot-1")
    hanging = sum(BOUNDS[lane].workers for lane in (Lane.READS, Lane.PLANS))
    for number in range(200):
        ask(client, made, f"r{number}", ("status", "deploy")[number % 2], f"U{number % 50}")
    until(lambda: len(slow.begun) == hanging, "threads that all hang")
    ask(client, made, "decided", "approve", "U0")
    until(lambda: slack.told == ["approved"], "the decision")
    slow.go.set()
    made.stop(Deadline.after(20))


def test_one_person_who_asks_for_very_much_delays_nobody_and_is_told_so(
    server: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "_TURN_SECONDS", 0.05)
    client, slack, slow = connect(server.url), Channel(), Slow()
    made = intake_of(slack, client, {"slow": slow, "quick": lambda request: Reply("quick")})
    made.start()
    refused: list[str] = []
    for number in range(500):
        try:
            ask(client, made, f"r{number}", "slow", "ANA")
        except Unavailable as busy:
            refused.append(str(busy))
    ask(client, made, "first", "quick", "BEN")
    until(lambda: slack.told == ["quick"], "the answer of somebody else")
    assert len(refused) == 500 - 4 - 100, "four run, and a hundred wait"
    assert refused[0] == (
        "The bot is busy: 100 of your requests are waiting already. This one was not accepted. "
        f"Try again in about {refused[0].rpartition(' ')[2]}"
    )
    # One of those that were accepted is delivered again.
    ask(client, made, "r7", "slow", "ANA")
    # What the bot asks of itself is never refused, and what is in the inbox ends in an answer.
    RequestInbox(Inbox(client), made.take_up).accept(Request("own", "slow", "ANA", "C1"))
    slow.go.set()
    client.zadd(OPEN, {"own": 0}, xx=True)
    until(lambda: client.zcard(OPEN) == 0, "every answer")
    made.stop(Deadline.after(5))
    assert len(slack.told) == len(set(slack.told)) == 500 - len(refused) + 2


def test_a_bot_that_stops_hands_over_what_has_not_begun_and_keeps_what_has(
    server: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "_TURN_SECONDS", 0.1)
    monkeypatch.setattr(intake, "_LEASE_SECONDS", 4.0)
    client, slack, slow = connect(server.url), Channel(), Slow()
    quick = Slow()
    quick.go.set()
    first = intake_of(slack, client, {"verb": slow}, "bot-1", bounds=one_at_a_time())
    second = intake_of(slack, client, {"verb": quick}, "bot-2")
    first.start()
    for name in ("r1", "r2"):
        ask(client, first, name, "verb")
    until(lambda: slow.begun, "its beginning")
    _, held = owner_of(client, "r1")
    ending = threading.Thread(target=first.stop, args=(Deadline.after(60),))
    ending.start()
    until(lambda: client.zscore(OPEN, "r2") == 0, "what is handed over")
    second.start()
    until(lambda: slack.told == ["r2 is done"], "the other bot's answer")
    until(lambda: owner_of(client, "r1")[1] > held + 2 * 4000, "the end of two leases")
    slow.go.set()
    ending.join(60)
    second.stop(Deadline.after(5))
    assert slack.told == ["r2 is done", "r1 is done"]
    assert (slow.begun, quick.begun) == (["U1"], ["U1"])


def test_nothing_renews_what_a_stopping_bot_has_left_to_others(
    server: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "_TURN_SECONDS", 0.05)
    hanging, renewing, left = Slow(), threading.Event(), threading.Event()
    during: list[bool] = []

    class Watched(Inbox):
        def renew(self, keys: Collection[str], owner: str, lease_seconds: float) -> set[str]:
            renewing.set()
            made._stop.wait(60)
            # Where the two are not in order, the request is left while this waits.
            left.wait(0.2)
            found = super().renew(keys, owner, lease_seconds)
            renewing.clear()
            return found

        def leave(self, key: str, owner: str) -> None:
            during.append(renewing.is_set())
            super().leave(key, owner)
            left.set()

    slack: Any = Channel()
    works = {"verb": intake.Work(Lane.READS, hanging)}
    made = intake.Intake(slack, Watched(connect(server.url)), works, "bot-1")
    made.start()
    ask(connect(server.url), made, "r1", "verb")
    until(lambda: hanging.begun and renewing.is_set(), "a renewal")
    made.stop(Deadline.after(5))
    hanging.go.set()
    assert during == [False]


def test_what_does_not_end_in_time_is_left_to_another_bot_at_once(
    server: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "_LEASE_SECONDS", 600.0)
    client, slack, hanging, quick = connect(server.url), Channel(), Slow(), Slow()
    quick.go.set()
    first = intake_of(slack, client, {"verb": hanging}, "bot-1")
    second = intake_of(slack, client, {"verb": quick}, "bot-2")
    first.start()
    ask(client, first, "r1", "verb")
    until(lambda: hanging.begun, "its beginning")
    first.stop(Deadline.after(1.5))
    second.start()
    until(lambda: slack.told, "the other bot's answer")
    hanging.go.set()
    until(lambda: client.zcard(OPEN) == 0, "its end")
    second.stop(Deadline.after(5))
    assert slack.told == ["r1 is done"]


def test_what_comes_in_while_a_bot_ends_is_another_bots_at_once(server: Valkey) -> None:
    client, slack, quick = connect(server.url), Channel(), Slow()
    quick.go.set()
    first = intake_of(slack, client, {"verb": quick}, "bot-1")
    first.start()
    first.stop(Deadline.after(5))
    ask(client, first, "r1", "verb")
    assert client.zscore(OPEN, "r1") == 0
    assert quick.begun == []
