"""Words for people: escaping, times, and keeping within Slack's limits."""

import datetime
from collections.abc import Iterable
from typing import Any

from handlers.views.reply import Block

SECTION_LIMIT = 3000
"""Characters in a section's text (Slack's Block Kit reference)."""
FENCE_LIMIT = 2500
"""What a diff or a table may take of a message: all blocks together hold about 13,000."""


def escape(text: str) -> str:
    """Text that Slack shows as it is: its three control characters written as entities."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def cut(text: str, limit: int) -> str:
    """`text` in at most `limit` characters, its end replaced by an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def header(text: str) -> Block:
    """A header block; Slack takes 150 characters."""
    return {"type": "header", "text": {"type": "plain_text", "text": cut(text, 150)}}


def section(text: str, **more: Any) -> Block:
    """A section of mrkdwn text."""
    return {
        "type": "section",
        "text": {"type": "mrkdwn", "text": cut(text, SECTION_LIMIT)},
        **more,
    }


def fields(pairs: Iterable[tuple[str, str]]) -> Block:
    """A section of labelled values, two columns; Slack takes ten."""
    return {
        "type": "section",
        "fields": [
            {"type": "mrkdwn", "text": cut(f"*{label}*\n{value}", 2000)} for label, value in pairs
        ][:10],
    }


def context(*texts: str) -> Block:
    """Small grey text."""
    return {
        "type": "context",
        "elements": [{"type": "mrkdwn", "text": cut(text, SECTION_LIMIT)} for text in texts],
    }


def fence(lines: Iterable[str], limit: int = FENCE_LIMIT) -> tuple[str, int]:
    """Lines as preformatted text, and how many of them did not fit in `limit` characters."""
    kept: list[str] = []
    used = 0
    every = [escape(cut(line, 300)).replace("```", "ʼʼʼ") for line in lines]
    for line in every:
        if used + len(line) + 1 > limit:
            break
        kept.append(line)
        used += len(line) + 1
    body = "\n".join(kept)
    return f"```\n{body}\n```", len(every) - len(kept)


def button(text: str, action_id: str, value: str, **more: Any) -> Block:
    """A button element."""
    return {
        "type": "button",
        "text": {"type": "plain_text", "text": cut(text, 75), "emoji": True},
        "action_id": action_id,
        "value": value,
        **more,
    }


def confirm(title: str, text: str, yes: str, no: str = "Back") -> Block:
    """The dialog Slack shows before a click counts."""
    return {
        "title": {"type": "plain_text", "text": cut(title, 100)},
        "text": {"type": "mrkdwn", "text": cut(text, 300)},
        "confirm": {"type": "plain_text", "text": cut(yes, 30)},
        "deny": {"type": "plain_text", "text": cut(no, 30)},
    }


def date(epoch: float, form: str = "{date_short_pretty} at {time}") -> str:
    """A moment, shown by Slack in each reader's own time zone."""
    return f"<!date^{int(epoch)}^{form}|{utc(epoch)}>"


def utc(epoch: float) -> str:
    """The same in plain words: notifications show mark-up as it is written."""
    return f"{datetime.datetime.fromtimestamp(epoch, datetime.UTC):%Y-%m-%d %H:%M} UTC"


def duration(seconds: float) -> str:
    """A length of time as kubectl writes ages: `45s`, `12m`, `3h20m`, `6d`."""
    left = max(0, int(seconds))
    if left < 120:
        return f"{left}s"
    if left < 2 * 3600:
        return f"{left // 60}m"
    if left < 2 * 86400:
        hours, rest = divmod(left, 3600)
        return f"{hours}h{rest // 60}m" if rest >= 60 else f"{hours}h"
    return f"{left // 86400}d"


def counted(count: int, noun: str) -> str:
    """`1 pod`, `3 pods`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def table(rows: list[tuple[str, ...]]) -> list[str]:
    """Rows in aligned columns, as kubectl prints them; the first row is the heading."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
