"""What somebody typed, as the rich_text block that Slack gives it.

The elements are those of docs.slack.dev/reference/block-kit/blocks/rich-text-block.
"""

import html
import re

from bot.sandbox.slack.model import JSON

_TOKEN = re.compile(
    r"<@(?P<user>\w+)(?:\|[^>]*)?>"
    r"|<!subteam\^(?P<group>\w+)(?:\|[^>]*)?>"
    r"|<!(?P<range>here|channel|everyone)(?:\|[^>]*)?>"
    r"|<#(?P<channel>\w+)(?:\|[^>]*)?>"
    r"|<(?P<url>(?:https?|mailto):[^|>]+)(?:\|(?P<label>[^>]*))?>"
    r"|(?<!\w):(?P<emoji>[a-z0-9_+'-]+):(?!\w)"
)


def rich_text(text: str, block_id: str) -> JSON:
    """The block of a message of that text."""
    elements: list[JSON] = []
    end = 0
    for match in _TOKEN.finditer(text):
        elements += _plain(text[end : match.start()])
        elements.append(_element(match))
        end = match.end()
    elements += _plain(text[end:])
    section = {"type": "rich_text_section", "elements": elements}
    return {"type": "rich_text", "block_id": block_id, "elements": [section]}


def _plain(text: str) -> list[JSON]:
    return [{"type": "text", "text": html.unescape(text)}] if text else []


def _element(match: re.Match[str]) -> JSON:
    kind = str(match.lastgroup if match["label"] is None else "url")
    value = match[kind]
    if kind == "url":
        label = {"text": html.unescape(match["label"])} if match["label"] else {}
        return {"type": "link", "url": html.unescape(value), **label}
    names = {
        "user": ("user", "user_id"),
        "group": ("usergroup", "usergroup_id"),
        "range": ("broadcast", "range"),
        "channel": ("channel", "channel_id"),
        "emoji": ("emoji", "name"),
    }
    name, field = names[kind]
    return {"type": name, field: value}
