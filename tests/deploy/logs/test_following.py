"""Logs followed over real sockets: pods that come and go, streams that break, floods."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from deploy.errors import NotFound
from deploy.logs.filters import Filter
from deploy.logs.following import PODS as PODS_AT_ONCE
from deploy.logs.following import Batch, Following, Pods, read_now
from tests.support.log_api import LogApi
from tests.support.waiting import until

PODS = Pods("dev", "app=edge-1", "edge-1")


@pytest.fixture
def api(tmp_path: Path) -> Iterator[LogApi]:
    with LogApi(tmp_path) as running:
        yield running


class Heard:
    """Everything a follow gives."""

    def __init__(self, following: Following) -> None:
        self._following = following
        self.texts: list[str] = []
        self.skipped = 0

    def take(self) -> Batch:
        batch = self._following.take()
        self.texts += [line.text for line in batch.lines]
        self.skipped += batch.skipped
        return batch

    def until(self, *texts: str) -> None:
        def there() -> bool:
            self.take()
            return set(texts) <= set(self.texts)

        until(there, f"{texts} among {self.texts[-5:]}")


@contextmanager
def followed(api: LogApi, wanted: Filter | None = None, **options: Any) -> Iterator[Heard]:
    following = Following(api.cluster, PODS, wanted or Filter(), **options)
    following.start()
    try:
        yield Heard(following)
    finally:
        following.close()
        until(lambda: following.alive() == 0, "every thread of the follow to end")
        until(lambda: api.open == 0, "every stream to be closed")


def test_the_last_lines_come_first_and_then_what_is_written(api: LogApi) -> None:
    api.start("edge-1-a")
    api.write("edge-1-a", "one", "two", "three")
    with followed(api, tail=2) as heard:
        heard.until("two", "three")
        api.write("edge-1-a", "four")
        heard.until("four")
    assert heard.texts == ["two", "three", "four"]


def test_pods_that_come_are_followed_from_their_first_line_and_those_that_go_are_let_go(
    api: LogApi,
) -> None:
    api.start("edge-1-a")
    with followed(api, tail=1) as heard:
        api.write("edge-1-a", "old")
        heard.until("old")
        api.start("edge-1-b")
        api.write("edge-1-b", "first", "second", "third")
        heard.until("first", "second", "third")
        api.delete("edge-1-a")
        until(lambda: heard.take().pods == ("edge-1-b",), "the old pod to be let go")
        api.write("edge-1-b", "last")
        heard.until("last")
    assert sorted(heard.texts) == ["first", "last", "old", "second", "third"]


def test_the_last_words_of_a_pod_that_goes_are_heard(api: LogApi) -> None:
    api.start("edge-1-a")
    with followed(api) as heard:
        api.write("edge-1-a", "one")
        heard.until("one")
        api.hold("edge-1-a")
        api.write("edge-1-a", "farewell")
        api.delete("edge-1-a")
        until(lambda: heard.take().pods == (), "the pod to be let go")
        api.release()
        heard.until("farewell")


def test_when_there_is_room_again_a_pod_that_had_to_wait_is_followed(api: LogApi) -> None:
    for number in range(PODS_AT_ONCE + 1):
        api.start(f"edge-1-{number:02}")
    with followed(api) as heard:
        too_many = f"At most {PODS_AT_ONCE} pods can be followed at once."
        until(lambda: heard.take().trouble == (too_many,), "one pod to have to wait")
        (waiting,) = {f"edge-1-{n:02}" for n in range(PODS_AT_ONCE + 1)} - set(heard.take().pods)
        api.write(waiting, "patience")
        api.delete(heard.take().pods[0])
        heard.until("patience")
        assert heard.take().trouble == ()


def test_a_log_that_was_empty_is_gone_on_with_from_its_first_line(api: LogApi) -> None:
    api.start("edge-1-a")
    with followed(api, tail=1) as heard:
        until(lambda: api.open == 1, "the stream to be open")
        api.hold("edge-1-a")
        api.write("edge-1-a", "one", "two", "three")
        api.cut()
        api.release()
        heard.until("one", "two", "three")
    assert heard.texts == ["one", "two", "three"]


def test_of_an_endless_line_only_the_beginning_is_held(api: LogApi) -> None:
    api.start("edge-1-a")
    with followed(api) as heard:
        api.write("edge-1-a", "begin", "x" * 3_000_000, "after")
        heard.until("after")
    assert [len(text) for text in heard.texts] == [5, 2000, 5]
    found = read_now(api.cluster, PODS, Filter(), tail=50)
    assert found.trouble == ()


def test_a_log_too_long_to_be_read_at_once_says_so(api: LogApi) -> None:
    api.start("edge-1-a")
    api.write("edge-1-a", *("x" * 1_000_000 for _ in range(6)))
    found = read_now(api.cluster, PODS, Filter(), tail=50)
    assert "the newest are missing" in found.trouble[0]
    assert 4 <= len(found.lines) <= 5


def test_a_stream_that_breaks_loses_no_line_and_tells_none_twice(api: LogApi) -> None:
    api.start("edge-1-a")
    with followed(api) as heard:
        now = time.time()
        for number in range(3):
            api.write("edge-1-a", f"a{number}", f"b{number}", at=now + number / 1000)
            heard.until(f"b{number}")
            api.cut()
            api.write("edge-1-a", f"c{number}", at=now + number / 1000)
            heard.until(f"c{number}")
    assert heard.texts == [f"{x}{n}" for n in range(3) for x in "abc"]
    assert any(query.get("sinceTime") for query in api.asked)


def test_a_stream_that_says_nothing_is_opened_anew(api: LogApi) -> None:
    api.start("edge-1-a")
    with followed(api, silence=0.2) as heard:
        api.write("edge-1-a", "one")
        heard.until("one")
        until(lambda: len(api.asked) > 1, "the stream to be opened anew")
        api.write("edge-1-a", "two")
        heard.until("two")
    assert heard.texts == ["one", "two"]


def test_lines_of_several_pods_come_in_the_order_of_time(api: LogApi) -> None:
    for pod in ("edge-1-a", "edge-1-b"):
        api.start(pod)
    now = time.time()
    for number in range(10):
        api.write(f"edge-1-{'ab'[number % 2]}", str(number), at=now + number)
    found = read_now(api.cluster, PODS, Filter(), tail=50)
    assert [line.text for line in found.lines] == [str(n) for n in range(10)]
    assert found.pods == ("edge-1-a", "edge-1-b")
    one = read_now(api.cluster, Pods("dev", "", "", "edge-1-b"), Filter(contains="3"), tail=50)
    assert [line.text for line in one.lines] == ["3"]
    with pytest.raises(NotFound):
        read_now(api.cluster, Pods("dev", "", "", "edge-1-z"), Filter(), tail=5)


def test_a_pod_whose_container_has_not_started_is_named_with_the_reason(api: LogApi) -> None:
    api.wait("edge-1-a", "ImagePullBackOff")
    found = read_now(api.cluster, PODS, Filter(), tail=50)
    assert (found.lines, found.waiting) == ((), (("edge-1-a", "ImagePullBackOff"),))
    assert found.trouble == (), "that it has no log is said already"
    with followed(api) as heard:
        until(lambda: heard.take().waiting == found.waiting, "the pod that waits")
        api.start("edge-1-a")
        api.write("edge-1-a", "at last")
        heard.until("at last")
        assert heard.take().waiting == ()


def test_a_flood_is_held_in_bounds_and_what_is_let_go_of_is_counted(api: LogApi) -> None:
    api.start("edge-1-a")
    with followed(api, held=20) as heard:
        api.write("edge-1-a", "begin")
        heard.until("begin")
        written = 20_000
        api.write("edge-1-a", *(f"line {n}" for n in range(written)))
        until(
            lambda: heard.take() and len(heard.texts) + heard.skipped == written + 1,
            "every line shown or counted",
            30,
        )
        assert heard.skipped > 0
        assert heard.texts[-1] == f"line {written - 1}", "the newest are kept"


def test_what_is_wanted_survives_a_flood_of_what_is_not(api: LogApi) -> None:
    api.start("edge-1-a")
    with followed(api, Filter(contains="needle"), held=10) as heard:
        api.write("edge-1-a", *(f"hay {n}" for n in range(5000)), "the needle", "more hay")
        heard.until("the needle")
    assert heard.texts == ["the needle"]
    assert heard.skipped == 0


def test_a_stream_that_nobody_has_read_yet_can_be_closed(api: LogApi) -> None:
    api.start("edge-1-a")
    stream = api.cluster.follow_log("dev", "edge-1-a", silence=60)
    until(lambda: api.open == 1, "the stream to be open")
    stream.close()
    until(lambda: api.open == 0, "the server to see it closed")
    assert list(stream.lines()) == []


def test_closing_ends_every_thread_even_while_nothing_comes(api: LogApi) -> None:
    for number in range(5):
        api.start(f"edge-1-{number}")
    before = threading.active_count()
    with followed(api) as heard:
        until(lambda: len(heard.take().pods) == 5 and api.open == 5, "five streams")
    until(lambda: threading.active_count() <= before + 1, "no thread left")
