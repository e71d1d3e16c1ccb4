"""A digest is due once a week, from its hour on for a day."""

import datetime

from hypothesis import given
from hypothesis import strategies as st

from deploy.expiry.weekly import Weekly, began, due

UTC = datetime.UTC


def test_it_is_due_from_its_hour_on_and_for_a_day() -> None:
    monday = Weekly(0, 8)
    assert due(monday, datetime.datetime(2026, 11, 23, 7, 59, tzinfo=UTC)) is None
    assert due(monday, datetime.datetime(2026, 11, 23, 8, 0, tzinfo=UTC)) == "2026-W48"
    assert due(monday, datetime.datetime(2026, 11, 24, 7, 59, tzinfo=UTC)) == "2026-W48"
    assert due(monday, datetime.datetime(2026, 11, 24, 8, 0, tzinfo=UTC)) is None


def test_a_digest_of_a_late_sunday_keeps_its_week_into_monday() -> None:
    sunday = Weekly(6, 20)
    assert due(sunday, datetime.datetime(2026, 11, 29, 20, 0, tzinfo=UTC)) == "2026-W48"
    assert due(sunday, datetime.datetime(2026, 11, 30, 3, 0, tzinfo=UTC)) == "2026-W48"


@given(st.integers(0, 6), st.integers(0, 23), st.integers(0, 10_000))
def test_each_week_has_one_name_and_24_hours_of_it(day: int, hour: int, start: int) -> None:
    began = datetime.datetime(2026, 1, 1, tzinfo=UTC) + datetime.timedelta(hours=start)
    hours = [due(Weekly(day, hour), began + datetime.timedelta(hours=n)) for n in range(24 * 7)]
    named = [week for week in hours if week]
    assert len(named) == 24
    assert len(set(named)) <= 2


@given(st.integers(0, 6), st.integers(0, 23), st.integers(0, 10_000))
def test_of_a_week_it_is_known_when_its_digest_became_due(day: int, hour: int, start: int) -> None:
    weekly = Weekly(day, hour)
    now = datetime.datetime(2026, 1, 1, tzinfo=UTC) + datetime.timedelta(hours=start)
    week = due(weekly, now)
    if week is not None:
        assert 0 <= now.timestamp() - began(weekly, week) < 86_400
