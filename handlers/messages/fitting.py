"""Cuts a message with its lines to what Slack takes, and what had to be cut into lines. Pure."""

import dataclasses
import hashlib
import itertools
import json
from collections.abc import Iterator

from handlers.messages.family import Line, Message
from handlers.views.fitting import fitted, texts
from handlers.views.reply import Block
from handlers.views.text import cut

_PIECE = 3800
_PIECES = 10


def whole(blocks: tuple[Block, ...]) -> list[str]:
    """Everything that blocks say, in as many messages as that takes; very much is cut."""
    return pieces_of("\n\n".join(each["text"] for each in texts(list(blocks))))


def pieces_of(text: str) -> list[str]:
    """A long text in as many messages as it takes; very much is cut."""
    pieces = [text[start : start + _PIECE] for start in range(0, len(text), _PIECE)]
    if len(pieces) > _PIECES:
        pieces[_PIECES - 1] = cut(pieces[_PIECES - 1], _PIECE - 1) + "…"
    return pieces[:_PIECES]


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
