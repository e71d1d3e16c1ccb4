"""What a rollout is stuck on: a cause that lasts, also where a container runs for a while in between."""

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from deploy.observed.causes import Cause
from deploy.observed.obstacles import FORGOTTEN, LASTS, Obstacles, obstacles, stuck_to_mapping
from deploy.observed.progress import Progress

SHOWN_WITHIN = 20.0
"""Seconds after which the message must show it."""


def held_up(*causes: Cause, ready: int = 0) -> Progress:
    words = tuple(f"{cause.name}: so" for cause in causes)
    return Progress(2, 2, ready, ready, 0, False, False, trouble=words, causes=causes)


def followed(*looks: tuple[float, Progress]) -> Obstacles:
    found = None
    for at, progress in looks:
        found = obstacles(progress, found, at)
    assert found is not None
    return found


def cause_at(found: Obstacles, now: float) -> Cause | None:
    stuck = found.stuck(now)
    return stuck[0] if stuck else None


def test_a_cause_counts_once_it_has_lasted_a_moment_and_soon_enough_to_be_shown() -> None:
    found = followed((100.0, held_up(Cause.PULL)))
    assert cause_at(found, 100.0 + LASTS - 0.1) is None
    assert cause_at(found, 100.0 + LASTS) is Cause.PULL
    assert LASTS < SHOWN_WITHIN / 2


def test_a_container_that_runs_between_two_crashes_is_still_stuck_on_them() -> None:
    crashing, running = held_up(Cause.CRASH), held_up()
    found = followed((0.0, crashing), (2.0, running), (9.0, crashing), (30.0, running))
    assert cause_at(found, 30.0) is Cause.CRASH
    assert cause_at(found, 30.0 + FORGOTTEN) is None


def test_what_was_there_for_a_moment_is_no_obstacle_afterwards() -> None:
    found = followed((0.0, held_up(Cause.NODES)), (0.2, held_up()))
    assert [cause_at(found, now) for now in (0.0, LASTS, 15.0)] == [None, None, None]
    later = followed((0.0, held_up(Cause.NODES)), (0.2, held_up()), (1.0, held_up(Cause.ATTACHED)))
    assert cause_at(later, 1.0 + LASTS) is Cause.ATTACHED


def test_a_rollout_that_gets_on_is_not_stuck() -> None:
    found = followed((0.0, held_up(Cause.RESOURCES)), (9.0, held_up(Cause.RESOURCES, ready=1)))
    assert cause_at(found, 9.0) is None
    assert cause_at(found, 9.0 + LASTS) is Cause.RESOURCES


def test_of_two_causes_the_headline_has_the_one_that_a_failure_would_name() -> None:
    found = followed((0.0, held_up(Cause.SCHEDULING, Cause.QUOTA)))
    assert cause_at(found, LASTS) is Cause.QUOTA


def test_what_cannot_be_seen_stays_and_what_is_complete_is_stuck_on_nothing() -> None:
    unseen = dataclasses.replace(held_up(), stale_since=5.0)
    assert cause_at(followed((0.0, held_up(Cause.PULL)), (5.0, unseen)), 60.0) is Cause.PULL
    done = dataclasses.replace(held_up(ready=2), complete=True)
    assert cause_at(followed((0.0, held_up(Cause.PULL)), (5.0, done)), 60.0) is None


def test_what_is_stored_has_the_clusters_own_words_and_when_it_fails() -> None:
    found = followed((0.0, held_up()), (10.0, held_up(Cause.PULL)))
    assert stuck_to_mapping(found, 30.0, 600.0) == {
        "cause": Cause.PULL.value,
        "said": "PULL: so",
        "since": 10.0,
        "until": 600.0,
    }
    assert (stuck_to_mapping(found, 30.0, None) or {})["until"] is None
    assert stuck_to_mapping(found, 11.0, 600.0) is None


LOOKS = st.lists(
    st.tuples(
        st.floats(0.1, 30.0),
        st.sets(st.sampled_from([Cause.PULL, Cause.CRASH, Cause.QUOTA]), max_size=2),
        st.integers(0, 2),
    ),
    min_size=1,
    max_size=20,
)


@given(LOOKS)
def test_nothing_is_stuck_that_was_not_seen_to_last_since_it_last_got_on(
    looks: list[tuple[float, set[Cause], int]],
) -> None:
    now, found, moved, before = 0.0, None, 0.0, -1
    before_causes: set[Cause] = set()
    seen: dict[Cause, float] = {}
    last: dict[Cause, float] = {}
    for pause, causes, ready in looks:
        now += pause
        if ready != before:
            moved, before, seen = now, ready, {}
        for cause in causes:
            seen.setdefault(cause, now)
        # What was there until this look is gone only now.
        last |= dict.fromkeys([*before_causes, *causes], now)
        before_causes = causes
        found = obstacles(held_up(*causes, ready=ready), found, now)
        stuck_on = cause_at(found, now)
        if stuck_on is not None:
            assert last[stuck_on] - seen[stuck_on] >= LASTS
            assert now - moved >= LASTS
