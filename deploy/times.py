"""Moments as the Kubernetes API writes them, and as people read them."""

import datetime


def epoch(text: str | None) -> float | None:
    """An RFC 3339 timestamp as epoch seconds; None when there is none or it is unreadable.

    Fractions may have up to nine digits, as container logs have them.
    """
    if not text:
        return None
    whole, dot, rest = text.partition(".")
    if dot:
        digits = rest.rstrip("Z")
        text = f"{whole}.{digits[:6]}" + ("Z" if rest.endswith("Z") else "")
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return moment.timestamp()


def minute(moment: datetime.datetime) -> str:
    """A moment in a sentence, `2026-11-23 15:04 UTC`."""
    return f"{moment.astimezone(datetime.UTC):%Y-%m-%d %H:%M} UTC"
