"""Work that Slack waits for ends within its bound, or is known to be late."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from bot.sandbox.valkey import Valkey
from deploy.actions.connection import connect
from deploy.actions.inbox import Inbox
from deploy.errors import Unavailable
from handlers.slack.in_time import InTime, Late
from handlers.slack.payloads import Request
from handlers.slack.request_inbox import Gathering, RequestInbox, accepting, admitting
from tests.support.redis_servers import started
from tests.support.waiting import until


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest.fixture
def go() -> Iterator[threading.Event]:
    go = threading.Event()
    yield go
    go.set()


def _begun(pool: ThreadPoolExecutor, go: threading.Event) -> Future[bool]:
    """Work that is running and waits; a pool's thread may start later than it was asked to."""
    begun = threading.Event()

    def work() -> bool:
        begun.set()
        return go.wait(60)

    working = pool.submit(work)
    assert begun.wait(60)
    return working


def test_what_takes_too_long_is_late_and_what_follows_waits_only_a_moment(
    pool: ThreadPoolExecutor, go: threading.Event
) -> None:
    in_time = InTime(pool, 0.2, 0.001)
    with pytest.raises(Late) as late:
        in_time.of(_begun(pool, go))
    assert late.value.begun
    with pytest.raises(Late) as late:
        in_time.result(lambda: go.wait(60))
    assert not late.value.begun


def test_once_something_is_in_time_again_the_whole_bound_holds_again(
    pool: ThreadPoolExecutor, go: threading.Event
) -> None:
    in_time = InTime(pool, 10, 0)
    in_time._late = True
    with pytest.raises(Late):
        in_time.of(_begun(pool, go))
    go.set()
    until(lambda: not in_time._late, "work that was in time")
    assert in_time.result(lambda: "done") == "done"


def test_an_error_is_raised_as_it_is(pool: ThreadPoolExecutor) -> None:
    with pytest.raises(ZeroDivisionError):
        InTime(pool, 10, 10).result(lambda: 1 // 0)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path)


def test_a_request_that_redis_hangs_over_is_said_to_be_unsure_and_the_next_ones_not_to_be_done(
    server: Valkey, pool: ThreadPoolExecutor
) -> None:
    arrived: list[Request] = []
    inbox = RequestInbox(Inbox(connect(server.url)), arrived.append)
    accept = accepting(Gathering(inbox, pool), InTime(pool, 1.0, 0.001))
    paused = connect(server.url)
    paused.execute_command("CLIENT PAUSE", 60_000, "WRITE")
    with pytest.raises(Unavailable) as unsure:
        accept(Request("r1", "status", "U1", "C1"))
    assert "Whether this was recorded is not known" in unsure.value.meaning
    with pytest.raises(Unavailable) as undone:
        accept(Request("r2", "status", "U1", "C1"))
    assert undone.value.meaning == "Nothing was done."
    paused.execute_command("CLIENT UNPAUSE")
    until(lambda: [each.id for each in arrived] == ["r1"], "the first, which continues as was said")


def test_what_is_accepted_while_redis_is_at_work_is_written_in_one_trip_and_each_is_known_by_itself(
    server: Valkey,
) -> None:
    arrived: list[Request] = []
    inbox = RequestInbox(Inbox(connect(server.url)), arrived.append)
    other = connect(server.url)
    with ThreadPoolExecutor(8) as pool:
        gathering = Gathering(inbox, pool)
        other.execute_command("CLIENT PAUSE", 60_000, "WRITE")
        first = []
        for number in range(2):
            # One after the other, or one trip could take both and the other what comes next.
            first.append(gathering.submit(Request(f"first{number}", "status", "U1", "C1")))
            until(first[-1].running, "the trip under way")
        rest = [gathering.submit(Request(f"r{n % 30}", "status", "U1", "C1")) for n in range(60)]
        assert rest[0].cancel()
        other.execute_command("CLIENT UNPAUSE")
        for each in (*first, *rest[1:]):
            assert each.result(30) is None
        assert other.info("clients")["connected_clients"] == 1 + len(first)
    known = sorted(each.id for each in arrived)
    assert known == sorted(["first0", "first1", *(f"r{n}" for n in range(30))])


def test_what_cannot_be_written_down_is_said_to_each_of_those_who_wait(
    server: Valkey, pool: ThreadPoolExecutor
) -> None:
    client = connect(server.url)
    gathering = Gathering(RequestInbox(Inbox(client), lambda request: None), pool)
    client.execute_command("CONFIG", "SET", "maxmemory", "1")
    written = [gathering.submit(Request(f"r{n}", "status", "U1", "C1")) for n in range(3)]
    for each in written:
        with pytest.raises(Unavailable, match="Redis cannot be used now"):
            each.result(30)
    client.execute_command("CONFIG", "SET", "maxmemory", "0")
    gathering.submit(Request("r1", "status", "U1", "C1")).result(30)


def test_a_busy_bot_refuses_within_the_bound_while_redis_hangs(
    server: Valkey, pool: ThreadPoolExecutor
) -> None:
    inbox = Inbox(connect(server.url))
    busy = Unavailable("100 of your requests wait.")
    admit = admitting(
        lambda request: None, lambda request: busy, inbox.knows, InTime(pool, 0.2, 0.001)
    )
    paused = connect(server.url)
    paused.execute_command("CLIENT PAUSE", 6_000, "ALL")
    began = time.monotonic()
    with pytest.raises(Unavailable) as refused:
        admit(Request("r1", "status", "U1", "C1"))
    assert (refused.value, time.monotonic() - began < 5) == (busy, True)
