"""When credentials are renewed, by a clock of the test's."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from deploy import flight
from deploy.errors import Unavailable
from deploy.kube import credentials
from deploy.kube.credentials import Credential, Held, Renewing
from tests.support.waiting import until

THREADS = 16
HOUR = 3600.0


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Given:
    """A plugin that gives a credential of an hour each time, once it may."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.runs = 0
        self.may = threading.Event()
        self.may.set()

    def __call__(self) -> Credential:
        self.runs += 1
        run = self.runs
        assert self.may.wait(60)
        return Credential(f"Bearer {run}", expires=self._clock.now + HOUR)


def at_once(work: Callable[[], Credential]) -> set[str]:
    barrier = threading.Barrier(THREADS)

    def begin(_: int) -> str:
        barrier.wait(60)
        return work().authorization

    with ThreadPoolExecutor(THREADS) as pool:
        return set(pool.map(begin, range(THREADS)))


def test_sixteen_threads_at_the_start_and_at_one_expiry_obtain_it_once() -> None:
    clock = Clock()
    given = Given(clock)
    source = Renewing("the plugin", given, now=clock)
    assert at_once(source.current) == {"Bearer 1"}
    assert given.runs == 1
    clock.now += HOUR
    assert at_once(source.current) == {"Bearer 2"}
    assert given.runs == 2


def test_a_slow_plugin_serves_although_another_run_was_begun_beside_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A third run would find what the first gave.
    monkeypatch.setattr(flight, "MOST", 2)
    monkeypatch.setattr(credentials, "_HUNG_SECONDS", 0.2)
    clock, runs, another, never = Clock(), Counter[str](), threading.Event(), threading.Event()

    def obtain() -> Credential:
        runs["begun"] += 1
        if runs["begun"] == 1:
            assert another.wait(60)
            return Credential("Bearer slow", expires=clock.now + HOUR)
        another.set()
        never.wait(60)
        raise Unavailable("It took too long.")

    try:
        source = credentials.Renewing("the plugin", obtain, now=clock)
        assert source.current().authorization == "Bearer slow"
    finally:
        never.set()


def test_nothing_is_renewed_long_before_it_ends() -> None:
    clock = Clock()
    given = Given(clock)
    source = Renewing("the plugin", given, now=clock)
    source.current()
    clock.now += HOUR - 121
    assert at_once(source.current) == {"Bearer 1"}
    assert given.runs == 1


def test_what_ends_soon_is_renewed_while_nobody_waits_for_it() -> None:
    clock = Clock()
    given = Given(clock)
    source = Renewing("the plugin", given, now=clock)
    source.current()
    clock.now += HOUR - 60
    given.may.clear()
    assert at_once(source.current) == {"Bearer 1"}
    until(lambda: given.runs == 2, "the renewal")
    assert source.current().authorization == "Bearer 1"
    given.may.set()
    until(lambda: source.current().authorization == "Bearer 2", "the renewed one")
    assert given.runs == 2


def test_threads_that_were_refused_the_same_renew_it_once() -> None:
    clock = Clock()
    given = Given(clock)
    source = Renewing("the plugin", given, now=clock)
    refused = source.current()
    source.accepted(refused)

    def renewed() -> Credential:
        found = source.after_refusal(refused)
        assert found is not None
        return found

    assert at_once(renewed) == {"Bearer 2"}
    assert given.runs == 2


def test_what_a_plugin_gives_again_although_it_was_refused_is_not_tried_again() -> None:
    source = Renewing("the plugin", lambda: Credential("Bearer same"))
    assert source.after_refusal(source.current()) is None


def test_what_was_accepted_and_is_refused_later_is_renewed_each_time() -> None:
    given = Given(Clock())
    source = Renewing("the plugin", given, now=Clock())
    for run in (1, 2, 3, 4):
        current = source.current()
        assert current.authorization == f"Bearer {run}"
        source.accepted(current)
        assert source.after_refusal(current) is not None


def test_a_credential_that_is_over_when_it_comes_is_left_to_the_server_to_judge() -> None:
    runs: list[int] = []

    def obtain() -> Credential:
        runs.append(1)
        return Credential("Bearer late", expires=1.0)

    source = Renewing("the plugin", obtain)
    assert {source.current().authorization for _ in range(5)} == {"Bearer late"}
    assert len(runs) == 1


def test_pauses_after_failures_double_up_to_ten_seconds() -> None:
    held, pauses = Held(), []
    for _ in range(6):
        held = held.failed(Unavailable("Away."), 100.0)
        pauses.append(held.not_before - 100.0)
    assert pauses == [1, 2, 4, 8, 10, 10]


def test_of_two_renewals_at_once_the_one_that_lasts_longer_counts() -> None:
    longer, shorter = (
        Credential("Bearer long", expires=900),
        Credential("Bearer short", expires=500),
    )
    first = Held().renewed(longer, 100, 0).renewed(shorter, 100, 0)
    assert first.credential == longer
    assert Held().renewed(shorter, 100, 0).renewed(longer, 100, 0).credential == longer


@pytest.mark.parametrize(("lasts", "early"), [(20.0, 5.0), (HOUR, 120.0)])
def test_it_is_renewed_in_the_last_quarter_and_at_most_two_minutes_early(
    lasts: float, early: float
) -> None:
    held = Held().renewed(Credential("Bearer x", expires=lasts), 0, 0)
    assert not held.wants(lasts - early - 1)
    assert held.wants(lasts - early)
    assert held.serves(lasts - 1)
    assert not held.serves(lasts)
