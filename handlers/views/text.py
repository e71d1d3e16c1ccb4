"""Words for people: escaping, times, and keeping within Slack's limits."""

import datetime
import re
from collections.abc import Iterable
from typing import Any

from deploy.masking import mask_secrets
from handlers.views.columns import wrapped
from handlers.views.reply import Block

SECTION_LIMIT = 3000
"""Characters in a section's text (Slack's Block Kit reference)."""
FENCE_LIMIT = 2500
"""What a diff or a table may take of a message: all blocks together hold about 13,000."""
_LINE = 300
"""What a fence shows of one line."""
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_FENCES = re.compile(r"``+")


def escape(text: str) -> str:
    """Text that Slack shows as it is: its three control characters written as entities, nothing that
    only a terminal can show, and no fence that would swallow what follows."""
    text = _UNPRINTABLE.sub(" ", printable(text))
    text = _FENCES.sub(lambda found: "ʼ" * len(found[0]), text)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def printable(text: str) -> str:
    """The text without colours of a terminal. A secret that one of them stood in is hidden."""
    return mask_secrets(text) if "\x1b" in text else text


def cut(text: str, limit: int) -> str:
    """`text` in at most `limit` characters, its end replaced by an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def header(text: str) -> Block:
    """A header block; Slack takes 150 characters."""
    return {"type": "header", "text": {"type": "plain_text", "text": cut(printable(text), 150)}}


def section(text: str, **more: Any) -> Block:
    """A section of mrkdwn text."""
    return {
        "type": "section",
        "text": {"type": "mrkdwn", "text": cut(printable(text), SECTION_LIMIT)},
        **more,
    }


def context(*texts: str) -> Block:
    """Small grey text."""
    return {
        "type": "context",
        "elements": [
            {"type": "mrkdwn", "text": cut(printable(text), SECTION_LIMIT)} for text in texts
        ],
    }


def fence(lines: Iterable[str], limit: int = FENCE_LIMIT) -> tuple[str, int]:
    """Lines as preformatted text, and how many of them did not fit in `limit` characters. A line that
    is wider than a phone is broken."""
    kept: list[str] = []
    used = 0
    every = [cut(printable(line), _LINE) for line in lines]
    for number, line in enumerate(every):
        shown = "\n".join(escape(part) for part in wrapped(line))
        used += len(shown) + 1
        if used > limit:
            return _fenced(kept), len(every) - number
        kept.append(shown)
    return _fenced(kept), 0


def fitting(lines: Iterable[str], limit: int) -> list[str]:
    """As many of the first lines as fit in `limit` characters."""
    kept: list[str] = []
    for line in lines:
        limit -= len(line) + 1
        if limit < 0:
            break
        kept.append(line)
    return kept


def _fenced(lines: list[str]) -> str:
    body = "\n".join(lines)
    return f"```\n{body}\n```"


def sections(lines: Iterable[str], between: str = "\n") -> list[Block]:
    """Lines of mrkdwn, as many to a section as Slack takes."""
    texts: list[str] = []
    for line in lines:
        if texts and len(texts[-1]) + len(between) + len(line) <= SECTION_LIMIT:
            texts[-1] += f"{between}{line}"
        else:
            texts.append(line)
    return [section(text) for text in texts]


def button(text: str, action_id: str, value: str, **more: Any) -> Block:
    """A button element."""
    return {
        "type": "button",
        "text": {"type": "plain_text", "text": cut(printable(text), 75), "emoji": True},
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


def lowered(sentence: str) -> str:
    """To be used within another one."""
    return sentence[:1].lower() + sentence[1:]
