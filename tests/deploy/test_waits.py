"""What a piece of work waits for is known while it does, on whatever thread, and of no other work."""

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bot.sandbox.valkey import Valkey
from deploy.actions.connection import connect
from deploy.waits import Service, Waits, Work, guarded
from tests.support.redis_servers import started
from tests.support.waiting import until


def test_waits_are_known_until_they_end_the_longest_first() -> None:
    waits, work = Waits(), Work()
    with waits.of(work), waits.on("Azure"):
        with waits.on("Slack", "It is slow."):
            assert [(w.whom, w.why) for w in work.waits] == [
                ("Azure", ""),
                ("Slack", "It is slow."),
            ]
        assert [w.whom for w in work.waits] == ["Azure"]
    assert work.waits == ()


def test_what_a_work_has_done_on_other_threads_is_waited_for_too_and_nothing_else() -> None:
    waits, mine, other = Waits(), Work(), Work()
    go = threading.Event()

    def ask(whom: str) -> bool:
        with waits.on(whom):
            return go.wait(60)

    with ThreadPoolExecutor(3) as pool:
        with waits.of(mine):
            pool.submit(waits.carried(lambda: ask("cluster “west”")))
            pool.submit(lambda: ask("nobody's"))
        with waits.of(other):
            pool.submit(waits.carried(lambda: ask("Azure")))
        until(lambda: [w.whom for w in mine.waits] == ["cluster “west”"], "the one")
        until(lambda: [w.whom for w in other.waits] == ["Azure"], "the other")
        go.set()
    assert mine.waits == other.waits == ()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path)


def test_a_command_that_redis_is_slow_with_is_waited_for(server: Valkey) -> None:
    waits, work = Waits(), Work()
    client, other = connect(server.url, waits=waits), connect(server.url)
    other.execute_command("CLIENT PAUSE", 60_000, "WRITE")

    def write() -> None:
        with waits.of(work):
            client.set("a", 1)

    writing = threading.Thread(target=write)
    writing.start()
    until(lambda: [w.whom for w in work.waits] == ["Redis"], "the wait")
    other.execute_command("CLIENT UNPAUSE")
    writing.join(30)
    assert work.waits == ()


def test_a_call_is_observed_once_with_its_error_and_what_it_nests_is_not() -> None:
    seen: list[tuple[str, str]] = []
    waits = Waits(lambda service, seconds, error: seen.append((service.kind, error)))
    redis = Service("redis")
    with waits.on("Redis", service=redis), waits.on("Redis", service=redis):
        pass
    with pytest.raises(OSError, match="gone"), waits.on("Azure", service=Service("azure")):
        raise OSError("gone")
    with waits.on("Slack"):
        pass
    assert seen == [("redis", ""), ("azure", "OSError")]


def test_an_observer_that_fails_costs_no_call(caplog: pytest.LogCaptureFixture) -> None:
    def observe(service: Service, seconds: float, error: str) -> None:
        raise RuntimeError("no room for a figure")

    waits = Waits(observe)
    with waits.on("Redis", service=Service("redis")):
        pass
    with pytest.raises(OSError, match="gone"), waits.on("Azure", service=Service("azure")):
        raise OSError("gone")
    assert caplog.text.count("RuntimeError: no room for a figure") == 1


def test_an_observer_that_fails_again_and_again_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    seen: list[int] = []

    def observe(number: int) -> None:
        seen.append(number)
        raise ValueError("no")

    noting = guarded(observe)
    for number in range(3):
        noting(number)
    assert seen == [0, 1, 2]
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
