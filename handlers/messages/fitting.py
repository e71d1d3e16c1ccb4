"""Cuts a message to what Slack takes. Pure.

Bounds are those of Slack's Block Kit reference and of chat.update; that all blocks of a message
together hold about 13,000 characters is not documented (slackapi/bolt-js#2509).
"""

import copy
import dataclasses
import hashlib
import itertools
import json
from collections.abc import Iterator
from typing import Any

from handlers.messages.family import Line, Message
from handlers.views.reply import Block
from handlers.views.text import cut

TEXT = 4000
BLOCKS = 50
ALL_TEXT = 12_500
_SHORTEST = 200
_PIECE = 3800
_PIECES = 10


def fitted(text: str, blocks: tuple[Block, ...]) -> tuple[str, list[Block], bool]:
    """The text and blocks within Slack's bounds, and whether anything was cut.

    Of blocks that are too long together the longest texts are cut first.
    """
    kept = copy.deepcopy(list(blocks[:BLOCKS]))
    shorter = len(blocks) > BLOCKS or len(text) > TEXT
    over = sum(len(each["text"]) for each in _texts(kept)) - ALL_TEXT
    while over > 0:
        longest = max(_texts(kept), key=lambda each: len(each["text"]), default=None)
        if longest is None or len(longest["text"]) <= _SHORTEST:
            break
        length = len(longest["text"])
        longest["text"] = _cut(longest["text"], max(_SHORTEST, length - over))
        over -= length - len(longest["text"])
        shorter = True
    return cut(text, TEXT), kept, shorter


def whole(blocks: tuple[Block, ...]) -> list[str]:
    """Everything that blocks say, in as many messages as that takes; very much is cut."""
    return pieces_of("\n\n".join(each["text"] for each in _texts(list(blocks))))


def pieces_of(text: str) -> list[str]:
    """A long text in as many messages as it takes; very much is cut."""
    pieces = [text[start : start + _PIECE] for start in range(0, len(text), _PIECE)]
    if len(pieces) > _PIECES:
        pieces[_PIECES - 1] = cut(pieces[_PIECES - 1], _PIECE - 1) + "…"
    return pieces[:_PIECES]


def _cut(text: str, limit: int) -> str:
    """Cut, with a fence that it leaves open closed again."""
    if len(text) <= limit:
        return text
    if text.endswith("```") and text.count("```") > 1:
        return text[: limit - 5] + "…\n```"
    return cut(text, limit)


def _texts(part: Any) -> Iterator[dict[str, Any]]:
    """Every text object within blocks that may be cut: labels of buttons may not."""
    if isinstance(part, list):
        for each in part:
            yield from _texts(each)
    elif isinstance(part, dict):
        if part.get("type") == "button":
            return
        if part.get("type") in ("mrkdwn", "plain_text") and isinstance(part.get("text"), str):
            yield part
            return
        for each in part.values():
            yield from _texts(each)


def within(message: Message) -> tuple[Message, str]:
    """The message within Slack's bounds, with lines for what had to be cut, and the digest of its
    content."""
    text, blocks, shorter = fitted(message.text, message.blocks)
    content = json.dumps([text, blocks], sort_keys=True)
    digest = hashlib.sha256(content.encode()).hexdigest()[:16]
    lines = tuple(piece for line in message.lines for piece in _pieces(line))
    if shorter and message.whole:
        lines += tuple(
            Line(f"once:whole:{digest}:{number}", piece)
            for number, piece in enumerate(whole(message.blocks))
        )
    return dataclasses.replace(message, text=text, blocks=tuple(blocks), lines=lines), digest


def _pieces(line: Line) -> Iterator[Line]:
    """A line of any length, in as many as it takes."""
    texts = pieces_of(line.text) or [""]
    others = pieces_of(line.otherwise.text) if line.otherwise else []
    for number, (text, other) in enumerate(itertools.zip_longest(texts, others)):
        piece = dataclasses.replace(
            line,
            key=f"{line.key}:{number}" if number else line.key,
            text=text or other,
            blocks=() if number else line.blocks,
            broadcast=line.broadcast and not number,
            otherwise=dataclasses.replace(line.otherwise, text=other)
            if line.otherwise and other
            else None,
        )
        yield piece
