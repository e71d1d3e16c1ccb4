"""When somebody is warned: the tightest threshold that was passed, once, and never too late."""

from hypothesis import given
from hypothesis import strategies as st

from deploy.expiry.thresholds import (
    DEFAULT,
    EXPIRED,
    crossed,
    look_at,
    next_crossing,
    ordered,
    snooze_end,
)

DAY = 86_400.0
EXPIRY = 1_800_000_000.0
moments = st.floats(-40 * DAY, 40 * DAY).map(lambda offset: EXPIRY + offset)
several = st.lists(st.floats(60, 30 * DAY), max_size=6).map(ordered)


def test_the_tightest_threshold_that_was_passed_is_the_one_to_warn_of() -> None:
    assert crossed(EXPIRY, DEFAULT, EXPIRY - 15 * DAY) is None
    assert crossed(EXPIRY, DEFAULT, EXPIRY - 14 * DAY) == 14 * DAY
    assert crossed(EXPIRY, DEFAULT, EXPIRY - 2 * DAY) == 3 * DAY
    assert crossed(EXPIRY, DEFAULT, EXPIRY - 1) == 6 * 3600
    assert crossed(EXPIRY, DEFAULT, EXPIRY) == EXPIRED
    assert crossed(EXPIRY, DEFAULT, EXPIRY + 400 * DAY) == EXPIRED


def test_the_expiry_itself_is_always_a_threshold_and_the_widest_comes_first() -> None:
    assert ordered([60, 3600, 60]) == (3600, 60, EXPIRED)


@given(moments, several)
def test_looking_at_the_next_crossing_finds_it_crossed(
    now: float, thresholds: tuple[float, ...]
) -> None:
    warned = crossed(EXPIRY, thresholds, now)
    moment = next_crossing(EXPIRY, thresholds, warned)
    if moment is None:
        assert warned == EXPIRED
    else:
        assert moment > now
        found = crossed(EXPIRY, thresholds, moment + 0.001)
        assert found is not None
        assert warned is None or found < warned


@given(moments, several)
def test_walking_from_one_look_to_the_next_passes_every_threshold_once(
    start: float, thresholds: tuple[float, ...]
) -> None:
    warned = crossed(EXPIRY, thresholds, start)
    passed = [] if warned is None else [warned]
    while (moment := look_at(EXPIRY, thresholds, warned, None)) is not None:
        found = crossed(EXPIRY, thresholds, moment + 0.001)
        assert found is not None
        passed.append(found)
        warned = found
    assert passed == sorted(set(passed), reverse=True)
    assert passed[-1] == EXPIRED
    assert len(passed) >= len([t for t in thresholds if EXPIRY - t > start])


@given(moments, st.floats(60, 30 * DAY))
def test_a_snooze_never_hides_the_expiry(now: float, seconds: float) -> None:
    end = snooze_end(now, seconds, EXPIRY)
    assert end >= now
    assert end <= now + seconds
    if now < EXPIRY:
        assert end <= EXPIRY
        warned = crossed(EXPIRY, DEFAULT, now)
        moment = look_at(EXPIRY, DEFAULT, warned, end)
        assert moment is not None
        assert moment <= EXPIRY


def test_nothing_is_looked_at_whose_expiry_is_not_known() -> None:
    assert look_at(None, DEFAULT, None, None) is None
    assert look_at(EXPIRY, DEFAULT, EXPIRED, None) is None
