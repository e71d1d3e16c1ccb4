"""People take turns on a lane, and nobody has all of it."""

import threading
from collections import Counter
from collections.abc import Sequence
from typing import get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.access import Right
from deploy.deadline import Deadline
from handlers.lanes import BOUNDS, Bounds, Lane, LanePool, next_of
from handlers.verbs.table import VERBS
from handlers.verbs.verb import AnyVerb
from tests.support.waiting import until

PEOPLE = st.sampled_from(["ana", "ben", "chen", "dan"])


@given(
    waiting=st.lists(PEOPLE, unique=True),
    running=st.dictionaries(PEOPLE, st.integers(0, 5)),
    share=st.integers(1, 5),
)
def test_next_is_whoever_has_the_fewest_running_and_has_waited_longest(
    waiting: list[str], running: dict[str, int], share: int
) -> None:
    chosen = next_of(waiting, running, share)
    able = [person for person in waiting if running.get(person, 0) < share]
    if chosen is None:
        assert not able
        return
    assert chosen in able
    fewest = min(running.get(person, 0) for person in able)
    assert running.get(chosen, 0) == fewest
    before = able[: able.index(chosen)]
    assert all(running.get(person, 0) > fewest for person in before)


class Steps:
    """A lane whose work a test ends one by one."""

    def __init__(self, bounds: Bounds) -> None:
        self.begun: list[str] = []
        self._ends: dict[str, threading.Event] = {}
        self.pool = LanePool("test", bounds, self._work)

    def _work(self, key: str) -> None:
        self.begun.append(key)
        self._end_of(key).wait(60)

    def _end_of(self, key: str) -> threading.Event:
        # One for both, whichever of the work and the test asks first: a defaultdict may make two.
        return self._ends.setdefault(key, threading.Event())

    def end(self, key: str) -> None:
        """Have that one end."""
        self._end_of(key).set()

    def runs(self, count: int) -> list[str]:
        """What has begun, once it is so many."""
        return until(lambda: len(self.begun) == count and self.begun, f"{count} begun")


@given(
    asked=st.lists(PEOPLE, min_size=1, max_size=25),
    ends=st.lists(st.integers(0, 10), max_size=25),
    workers=st.integers(1, 4),
    share=st.integers(1, 4),
)
def test_each_person_is_served_in_order_by_no_more_threads_than_their_share_and_none_idles(
    asked: Sequence[str], ends: Sequence[int], workers: int, share: int
) -> None:
    lane = Steps(Bounds(workers, share, each=25, all=25))
    keys = [f"{person}-{number}" for number, person in enumerate(asked)]
    for key in keys:
        assert lane.pool.put(key.partition("-")[0], key)
        assert lane.pool.put(key.partition("-")[0], key), "again it changes nothing"
    ended: list[str] = []
    for end in [*ends, *[0] * len(keys)]:
        wanted = Counter(key.partition("-")[0] for key in keys if key not in ended)
        at_once = min(workers, sum(min(share, count) for count in wanted.values()))
        begun = list(lane.runs(len(ended) + at_once))
        running = [key for key in begun if key not in ended]
        of_each = Counter(key.partition("-")[0] for key in running)
        assert max(of_each.values(), default=0) <= share
        if not running:
            break
        ended.append(running[end % len(running)])
        lane.end(ended[-1])
    assert sorted(lane.begun) == sorted(keys)
    for person in set(asked):
        own = [key for key in keys if key.startswith(person)]
        # Threads of one lane that begin in the same moment may change places.
        assert set(own[:1]) <= set([key for key in lane.begun if key in own][:share])
    lane.pool.stop(Deadline.after(5))


def test_somebody_new_comes_before_those_who_have_some_running() -> None:
    lane = Steps(Bounds(workers=2, share=2, each=10, all=10))
    for number in range(4):
        lane.pool.put("ana", f"ana-{number}")
    lane.runs(2)
    lane.pool.put("ben", "ben-0")
    lane.end("ana-0")
    assert lane.runs(3)[-1] == "ben-0"
    lane.end("ana-1")
    assert lane.runs(4)[-1] == "ana-2"
    for key in ("ana-2", "ana-3", "ben-0"):
        lane.end(key)
    lane.pool.stop(Deadline.after(5))


def test_only_so_many_wait_and_the_others_hear_when_to_try_again() -> None:
    now = [0.0]
    go = threading.Event()

    def hang(key: str) -> None:
        go.wait(60)

    pool = LanePool(
        "test",
        Bounds(workers=1, share=1, each=2, all=3),
        hang,
        clock=lambda: now[0],
    )
    assert pool.put("ana", "running")
    assert [pool.put("ana", f"ana-{number}") for number in range(3)] == [True, True, False]
    busy = pool.busy("ana")
    assert busy is not None
    assert (busy.waiting, busy.own, busy.seconds) == (2, True, 5.0)
    assert pool.busy("ben") is None
    assert [pool.put("ben", f"ben-{number}") for number in range(2)] == [True, False]
    # What hangs counts for as long as it has hung.
    now[0] = 40.0
    busy = pool.busy("chen")
    assert busy is not None
    assert (busy.waiting, busy.own, busy.seconds) == (3, False, 60.0)
    now[0] = 40_000.0
    busy = pool.busy("chen")
    assert busy is not None
    assert busy.seconds == 600.0
    assert sorted(pool.close()) == ["ana-0", "ana-1", "ben-0"]
    assert not pool.put("chen", "chen-0")
    go.set()
    assert pool.stop(Deadline.after(60))


def test_on_every_lane_four_people_together_have_no_more_than_all_threads() -> None:
    for bounds in BOUNDS.values():
        assert 4 * bounds.share <= bounds.workers
        assert bounds.each < bounds.all


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_what_decides_needs_no_cluster_and_what_plans_waits_apart(verb: AnyVerb) -> None:
    asks = set(get_type_hints(verb.needs)) & {
        "clusters",
        "caches",
        "registry",
        "catalogue",
        "arm",
        "proposer",
    }
    if verb.lane is Lane.DECISIONS:
        assert not asks
    else:
        assert verb.right not in (Right.DECIDE, Right.CANCEL, Right.STOP)
    assert (verb.right is Right.ASK) == (verb.lane is Lane.PLANS)
