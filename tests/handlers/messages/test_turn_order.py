"""When messages that ran out of calls get another: as soon as possible, and not all at once."""

from hypothesis import given
from hypothesis import strategies as st

from handlers.messages.engine import first_free

MOMENTS = st.lists(st.floats(0, 100), max_size=30)
APART = st.floats(0.1, 5)
_ROUNDING = 1e-9


@given(MOMENTS, st.floats(0, 100), APART)
def test_a_moment_is_far_enough_from_all_that_are_taken(
    taken: list[float], earliest: float, apart: float
) -> None:
    at = first_free(taken, earliest, apart)
    assert at >= earliest
    assert all(abs(at - each) >= apart - _ROUNDING for each in taken)


@given(MOMENTS, st.floats(0, 100), APART)
def test_no_earlier_moment_would_do(taken: list[float], earliest: float, apart: float) -> None:
    at = first_free(taken, earliest, apart)
    for earlier in (earliest, *(each + apart for each in taken)):
        if earliest <= earlier < at - _ROUNDING:
            assert any(abs(earlier - each) < apart for each in taken)


def test_a_place_that_somebody_left_is_given_to_the_next() -> None:
    assert first_free([1.0, 2.0, 4.0], 1.0, 1.0) == 3.0
    assert first_free([2.0, 3.0], 1.0, 1.0) == 1.0
    assert first_free([1.0, 2.0, 3.0], 1.0, 1.0) == 4.0
