"""Moments as the Kubernetes API writes them, and as people read them."""

import datetime
import re

_FINER = re.compile(r"(\.\d{6})\d+")
"""Digits of a fraction beyond microseconds."""


def epoch(text: str | None) -> float | None:
    """An RFC 3339 timestamp as epoch seconds; None when there is none or it is unreadable.

    Fractions may have up to nine digits, and there may be an offset: container logs have both, the
    second from nodes that do not run on UTC.
    """
    if not text:
        return None
    try:
        moment = datetime.datetime.fromisoformat(_FINER.sub(r"\1", text))
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return moment.timestamp()


def minute(moment: datetime.datetime) -> str:
    """A moment in a sentence, `2026-11-23 15:04 UTC`."""
    return f"{moment.astimezone(datetime.UTC):%Y-%m-%d %H:%M} UTC"


def minute_of(seconds: float) -> str:
    """The same of epoch seconds."""
    return minute(datetime.datetime.fromtimestamp(seconds, datetime.UTC))
