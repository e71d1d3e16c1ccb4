from hypothesis import given
from hypothesis import strategies as st

from bot.socket_pace import LONGEST_RENEWAL, renewal_pause, retry_pause


@given(failures=st.integers(1, 10_000), refused=st.booleans(), jitter=st.floats(0, 1))
def test_pauses_grow_to_a_bound(failures: int, refused: bool, jitter: float) -> None:
    pause = retry_pause(failures, refused, lambda: jitter)
    assert 0.5 <= pause <= (120 if refused else 30)
    assert retry_pause(failures + 1, refused, lambda: jitter) >= pause


def test_slack_that_refuses_is_asked_less_often_than_one_that_is_away() -> None:
    assert retry_pause(1, True, lambda: 0.0) > retry_pause(1, False, lambda: 1.0)


def test_renewals_keep_their_pace_while_nothing_is_lost() -> None:
    assert renewal_pause(4800, 300, 3, 0) == 300
    assert renewal_pause(300, 300, 2, 2) == 300


def test_renewals_that_leave_connections_behind_become_rare() -> None:
    pause, lost, passed = 300.0, 0, 0.0
    while passed < LONGEST_RENEWAL:
        pause = renewal_pause(pause, 300, lost, lost + 1)
        lost, passed = lost + 1, passed + pause
    assert lost <= 5
