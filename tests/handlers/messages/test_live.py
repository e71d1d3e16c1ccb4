"""Messages that are kept current end in the truth, and nothing goes on unseen."""

import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from slack_sdk import WebClient

from bot.sandbox.valkey import Valkey
from deploy.actions.connection import connect
from deploy.deadline import Deadline
from deploy.errors import Conflict, Unavailable
from deploy.health.live_messages import LiveMessages
from handlers.messages.budget import Budgets
from handlers.messages.left_behind import LeftBehind
from handlers.messages.live import Live
from handlers.slack.payloads import Click, Request, request_from_mapping, request_to_mapping
from handlers.verbs import logs, status
from handlers.views import errors
from handlers.views.reply import Reply
from tests.support.needs import needs
from tests.support.redis_servers import started
from tests.support.slack_workspace import ANA, BEN, OPS, Person
from tests.support.waiting import until

ASKED = {"id": "r1", "user": ANA, "channel": OPS}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path / "redis")


class Spent(Budgets):
    """Never allows an update."""

    def update(self) -> float:
        return 60.0


class Counting:
    """Shows how often it was looked at, and hears of the end."""

    def __init__(self) -> None:
        self.looks = 0
        self.ends: list[Mapping[str, str] | None] = []

    def look(self, asked: Mapping[str, Any]) -> Reply:
        self.looks += 1
        return Reply(f"look {self.looks}")


def left(asked: Mapping[str, Any]) -> Reply:
    return Reply("left")


def texts(person: Person) -> list[str]:
    return [str(m["text"]) for m in person.messages()]


def test_what_came_since_the_last_update_is_shown_in_the_end(
    person: Person, client: WebClient, server: Valkey
) -> None:
    store, counting = LiveMessages(connect(server.url), "bot-1"), Counting()
    live = Live(client, store, Spent(), look_seconds=0.05)
    live.begin(ASKED, 300, counting.look, ended=counting.ends.append)
    until(lambda: counting.looks > 3, "some looks")
    assert texts(person) == ["look 1"]
    store.stop("r1", ANA)
    until(lambda: counting.ends, "the end")
    assert texts(person) == [f"look {counting.looks}"]
    assert counting.ends[0] is not None


def test_a_message_whose_record_is_gone_says_so(
    person: Person, client: WebClient, server: Valkey
) -> None:
    redis, counting = connect(server.url), Counting()
    live = Live(client, LiveMessages(redis, "bot-1"), Budgets(), look_seconds=0.05)
    live.begin(ASKED, 300, counting.look, ended=counting.ends.append)
    redis.flushall()
    until(lambda: counting.ends, "the end")
    (message,) = person.messages()
    assert "store was emptied" in str(message["blocks"])


def test_what_cannot_be_kept_is_let_go_of(client: WebClient, server: Valkey) -> None:
    counting = Counting()
    store = LiveMessages(connect(server.url, timeout=0.2, retries=0), "bot-1")
    server.kill()
    with pytest.raises(Unavailable):
        Live(client, store, Budgets()).begin(ASKED, 300, counting.look, ended=counting.ends.append)
    assert counting.ends == [None]


def test_a_message_whose_time_is_over_says_so_and_is_looked_at_no_more(
    person: Person, client: WebClient, server: Valkey
) -> None:
    counting = Counting()
    live = Live(client, LiveMessages(connect(server.url), "bot-1"), Budgets(), look_seconds=0.05)
    live.begin(ASKED, 1, counting.look, ended=counting.ends.append)
    until(lambda: counting.ends, "the end", 10)
    (message,) = person.messages()
    assert "its time is over" in str(message["blocks"])
    assert "Stop" not in str(message["blocks"])
    assert message["text"] == f"look {counting.looks}"


def test_a_message_goes_on_and_ends_whatever_slack_refuses_meanwhile(
    person: Person, client: WebClient, server: Valkey
) -> None:
    store, counting = LiveMessages(connect(server.url), "bot-1", lease=0.5), Counting()
    live = Live(client, store, Budgets(), look_seconds=0.05)
    sweep = LeftBehind(live, left, sweep_seconds=0.1)
    sweep.start()
    live.begin(ASKED, 300, counting.look, ended=counting.ends.append)
    person.set_fault("api_error", "503")
    seen = counting.looks
    until(lambda: counting.looks > seen + 3, "looks that cannot be shown")
    person.set_fault("api_error", "none")
    until(lambda: texts(person) != ["look 1"], "the message to be current again")
    person.set_fault("api_error", "503")
    store.stop("r1", ANA)
    until(lambda: counting.ends, "the end that cannot be told yet")
    person.set_fault("api_error", "none")
    until(
        lambda: "no longer kept current" in str(person.messages()[0]["blocks"]), "it to be told", 20
    )
    sweep.stop(Deadline.after(5))


def test_many_messages_are_ended_together_when_the_bot_stops(
    person: Person, client: WebClient, server: Valkey
) -> None:
    store = LiveMessages(connect(server.url), "bot-1")
    live = Live(client, store, Budgets(), look_seconds=0.05)
    for number in range(5):
        asked = {**ASKED, "id": f"r{number}"}
        live.begin(asked, 300, Counting().look)
    live.stop(Deadline.after(5))
    assert all("the bot was restarted" in str(m["blocks"]) for m in person.messages())


def test_one_person_keeps_only_so_many_and_hears_which_they_are(
    client: WebClient, server: Valkey
) -> None:
    store = LiveMessages(connect(server.url), "bot-1")
    live = Live(client, store, Budgets(), at_once=4, each=3, look_seconds=0.05)
    first = Counting()
    for number, gateway in enumerate(("edge-1", "edge-1", "")):
        asked = {**ASKED, "id": f"r{number}", "gateway": gateway}
        live.begin(asked, 300, Counting().look, ended=first.ends.append)
    refused = Counting()
    with pytest.raises(Conflict) as told:
        live.begin({**ASKED, "id": "r3"}, 300, refused.look, ended=refused.ends.append)
    assert "3 messages are being kept current for you already" in told.value.happened
    assert f"edge-1 in <#{OPS}> (2 times), of all gateways in <#{OPS}>" in str(
        errors.trouble(told.value)
    )
    assert refused.ends == [None]
    live.begin({**ASKED, "id": "r4", "user": BEN}, 300, Counting().look)
    with pytest.raises(Conflict, match="4 messages are being kept current already"):
        live.begin({**ASKED, "id": "r5", "user": BEN}, 300, Counting().look)
    store.stop("r0", ANA)
    until(lambda: first.ends, "one to end")
    live.begin({**ASKED, "id": "r6"}, 300, Counting().look)
    live.stop(Deadline.after(5))


def test_a_message_left_behind_that_slack_refuses_keeps_no_other_from_its_end(
    person: Person, client: WebClient, server: Valkey
) -> None:
    redis = connect(server.url)
    dead = LiveMessages(redis, "dead", lease=0.2)
    for number in range(8):
        dead.begin(f"gone{number}", ASKED, 300)
        dead.placed(f"gone{number}", {"channel": "C0NOWHERE", "ts": "1.0"})
    posted = client.chat_postMessage(channel=OPS, text="look")
    dead.begin("there", ASKED, 300)
    dead.placed("there", {"channel": OPS, "ts": str(posted["ts"])})
    live = Live(client, LiveMessages(redis, "bot-2"), Budgets())
    sweep = LeftBehind(live, left, sweep_seconds=0.1)
    sweep.start()
    until(lambda: texts(person) == ["left"], "the end of the one that is there", 20)
    sweep.stop(Deadline.after(5))
    live.stop(Deadline.after(5))


def test_who_stops_a_message_that_nobody_keeps_is_told_so(
    person: Person, client: WebClient, server: Valkey
) -> None:
    live = Live(client, LiveMessages(connect(server.url), "bot-1"), Budgets())
    click = Click(ANA, OPS, "trigger", "", "r1", {})
    status.by_stop(needs(status.Needs, slack=client, watches=live), click)
    logs.by_stop(needs(logs.Needs, slack=client, follows=live), click)
    told = [m["text"] for m in person.messages(OPS, "ana")]
    assert told == ["No bot keeps this message current."] * 2


def test_a_message_that_slack_takes_long_to_post_is_nobody_elses_to_end(
    person: Person, client: WebClient, server: Valkey
) -> None:
    redis, counting = connect(server.url), Counting()
    taken: list[str] = []

    class Slow(WebClient):
        """Posts only once the lease of a message that stands would be over."""

        def chat_postMessage(self, **more: Any) -> Any:  # noqa: N802  # as the SDK has it
            over = time.monotonic() + 0.2
            until(lambda: time.monotonic() > over, "the end of a lease")
            taken.extend(o.id for o in LiveMessages(redis, "bot-2").orphans(()))
            return super().chat_postMessage(**more)

    slow = Slow(token=client.token, base_url=client.base_url)
    live = Live(slow, LiveMessages(redis, "bot-1", lease=0.1), Budgets(), look_seconds=0.05)
    live.begin(ASKED, 300, counting.look, ended=counting.ends.append)
    assert taken == []
    until(lambda: texts(person) != ["look 1"], "the message to be current")
    live.stop(Deadline.after(5))


def test_a_message_that_was_taken_over_by_a_bot_that_died_at_it_is_ended_by_the_first(
    person: Person, client: WebClient, server: Valkey
) -> None:
    redis, counting, go = connect(server.url), Counting(), threading.Event()

    def held_up(asked: Mapping[str, Any]) -> Reply:
        shown = counting.look(asked)
        if counting.looks > 1:
            go.wait(10)
        return shown

    store = LiveMessages(redis, "bot-1", lease=0.2)
    live = Live(client, store, Budgets(), look_seconds=0.05)
    sweep = LeftBehind(live, left, sweep_seconds=0.1)
    sweep.start()
    live.begin(ASKED, 300, held_up, ended=counting.ends.append)
    dead = LiveMessages(redis, "bot-2", lease=0.2)
    until(lambda: dead.orphans(()), "the other bot to take it over")
    go.set()
    until(lambda: counting.ends, "the first to let go of it")
    until(lambda: texts(person) == ["left"], "its end", 20)
    sweep.stop(Deadline.after(5))
    live.stop(Deadline.after(5))


def test_what_asks_for_a_message_in_a_newer_form_is_reported_once_and_ends_no_other(
    person: Person, client: WebClient, server: Valkey, caplog: pytest.LogCaptureFixture
) -> None:
    redis = connect(server.url)
    dead = LiveMessages(redis, "dead", lease=0.1)
    for name, version in (("r1", 2), ("r2", 1)):
        asked = request_to_mapping(Request(name, "status", ANA, OPS)) | {"version": version}
        posted = client.chat_postMessage(channel=OPS, text=name)
        dead.begin(name, asked, 300)
        dead.placed(name, {"channel": OPS, "ts": str(posted["ts"])})

    def look(asked: Mapping[str, Any]) -> Reply:
        return Reply(f"{request_from_mapping(asked).id} ended")

    live = Live(client, LiveMessages(redis, "bot-1", lease=0.1), Budgets())
    sweep = LeftBehind(live, look, sweep_seconds=0.1)
    sweep.start()
    until(lambda: texts(person) == ["r1", "r2 ended"], "the end of the one")
    until(lambda: "a newer one wrote it" in caplog.text, "the report of the other")
    leases = [redis.hget("gateway-bot:{live:r1}", "until")]
    until(lambda: redis.hget("gateway-bot:{live:r1}", "until") not in leases, "another look")
    sweep.stop(Deadline.after(5))
    assert caplog.text.count("a newer one wrote it") == 1
