"""When the weekly digest is due. Pure."""

import datetime
from dataclasses import dataclass

_LATE = datetime.timedelta(hours=24)
"""A digest that nobody could send for so long is not sent any longer: the next one says it all."""
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@dataclass(frozen=True)
class Weekly:
    """A day of the week, counted from Monday as 0, and an hour in UTC."""

    day: int
    hour: int


def due(weekly: Weekly, now: datetime.datetime) -> str | None:
    """The week's name while its digest is due, such as `2026-W48`; None otherwise."""
    monday = now - datetime.timedelta(days=now.weekday())
    moment = monday.replace(hour=weekly.hour, minute=0, second=0, microsecond=0)
    moment += datetime.timedelta(days=weekly.day)
    for slot in (moment, moment - datetime.timedelta(days=7)):
        if slot <= now < slot + _LATE:
            year, week, _ = slot.isocalendar()
            return f"{year}-W{week:02}"
    return None


def began(weekly: Weekly, week: str) -> float:
    """When the digest of that week, as `due` names it, became due; epoch seconds."""
    year, _, number = week.partition("-W")
    day = datetime.datetime.fromisocalendar(int(year), int(number), weekly.day + 1)
    return day.replace(hour=weekly.hour, tzinfo=datetime.UTC).timestamp()
