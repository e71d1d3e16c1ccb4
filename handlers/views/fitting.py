"""Cuts what is shown to what Slack takes. Pure.

Bounds are those of Slack's Block Kit reference and of chat.update; that all blocks of a message
together hold about 13,000 characters is not documented (slackapi/bolt-js#2509).
"""

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from handlers.views.reply import Block, Reply
from handlers.views.text import cut

TEXT = 4000
BLOCKS = 50
ALL_TEXT = 12_500
_SHORTEST = 200


def fitted(text: str, blocks: tuple[Block, ...]) -> tuple[str, list[Block], bool]:
    """The text and blocks within Slack's bounds, and whether anything was cut.

    Of blocks that are too long together the longest texts are cut first.
    """
    kept = copy.deepcopy(list(blocks[:BLOCKS]))
    shorter = len(blocks) > BLOCKS or len(text) > TEXT
    over = sum(len(each["text"]) for each in texts(kept)) - ALL_TEXT
    while over > 0:
        longest = max(texts(kept), key=lambda each: len(each["text"]), default=None)
        if longest is None or len(longest["text"]) <= _SHORTEST:
            break
        length = len(longest["text"])
        longest["text"] = _cut(longest["text"], max(_SHORTEST, length - over))
        over -= length - len(longest["text"])
        shorter = True
    return cut(text, TEXT), kept, shorter


def fitting_reply(reply: Reply) -> Reply:
    """The reply within Slack's bounds."""
    text, blocks, _ = fitted(reply.text, reply.blocks)
    return replace(reply, text=text, blocks=tuple(blocks))


def _cut(shown: str, limit: int) -> str:
    """Cut, with a fence that it leaves open closed again."""
    if len(shown) <= limit:
        return shown
    if shown.endswith("```") and shown.count("```") > 1:
        return shown[: limit - 5] + "…\n```"
    return cut(shown, limit)


def texts(part: Any) -> Iterator[dict[str, Any]]:
    """Every text object within blocks that may be cut: labels of buttons may not."""
    if isinstance(part, list):
        for each in part:
            yield from texts(each)
    elif isinstance(part, dict):
        if part.get("type") == "button":
            return
        if part.get("type") in ("mrkdwn", "plain_text") and isinstance(part.get("text"), str):
            yield part
            return
        for each in part.values():
            yield from texts(each)
