"""The rules of Block Kit blocks, messages and views. Pure.

Each problem is a sentence ending in a JSON pointer, as Slack puts it in
`response_metadata.messages`. Numbers: docs.slack.dev/reference/block-kit (blocks) and
reference/views; the total size of a message's blocks is undocumented (bolt-js#2509).
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bot.sandbox.slack.elements import (
    ACCESSORY,
    ACTION,
    BUTTON,
    CONTEXT_ACTION,
    ID,
    IMAGE,
    INPUT,
    SLACK_FILE,
)
from bot.sandbox.slack.rules import (
    JSON,
    Checker,
    Report,
    any_text,
    anything,
    array,
    at_least_one,
    boolean,
    by_type,
    choice,
    exactly_one,
    integer,
    plain_text,
    record,
    string,
)

MESSAGE_BLOCKS = 50
VIEW_BLOCKS = 100
MESSAGE_CHARACTERS = 13_200
MARKDOWN_CHARACTERS = 12_000
DATA_TABLE_CHARACTERS = 20_000
VIEW_BYTES = 250_000

_MESSAGE_ONLY = {"markdown", "table", "data_table", "plan", "task_card", "context_actions", "file"}


def _block(required: Mapping[str, Checker], optional: Mapping[str, Checker] | None = None) -> Any:
    return record(required, {"block_id": ID, **(optional or {})})


_INLINE = by_type(
    dict.fromkeys(
        [
            "text",
            "link",
            "user",
            "usergroup",
            "channel",
            "emoji",
            "date",
            "broadcast",
            "color",
            "team",
            "file",
        ],
        anything,
    )
)
_INLINES = {"elements": array(_INLINE, 0, 10_000)}
_BORDER = {"border": integer(0, 1)}
_RICH_PARTS = by_type(
    {
        "rich_text_section": record(_INLINES),
        "rich_text_preformatted": record(_INLINES, {**_BORDER, "language": string()}),
        "rich_text_quote": record(_INLINES, _BORDER),
        "rich_text_list": record(
            {
                "style": choice("bullet", "ordered"),
                "elements": array(by_type({"rich_text_section": record(_INLINES)}), 0, 10_000),
            },
            {"indent": integer(0, 8), "offset": integer(0, 100_000), **_BORDER},
        ),
    }
)
_RICH_TEXT = _block({"elements": array(_RICH_PARTS, 0, 10_000)})
_RICH_TEXT_OBJECT = by_type({"rich_text": _RICH_TEXT})
_CELL = by_type(
    {
        "raw_text": record({"text": string(None, 0)}),
        "raw_number": record({"value": anything}, {"text": string(None, 0)}),
        "rich_text": _RICH_TEXT,
    }
)
_COLUMN = record({}, {"align": choice("left", "center", "right"), "is_wrapped": boolean})
_TASK = _block(
    {
        "task_id": string(),
        "title": string(),
        "status": choice("pending", "in_progress", "complete", "error"),
    },
    {
        "details": _RICH_TEXT_OBJECT,
        "output": _RICH_TEXT_OBJECT,
        "sources": array(by_type({"url": record({"url": string(), "text": string()})}), 0, 100),
    },
)
_CARD = record(
    {},
    {
        "block_id": ID,
        "hero_image": by_type({"image": IMAGE}),
        "icon": by_type({"image": IMAGE}),
        "title": any_text(150),
        "subtitle": any_text(150),
        "body": any_text(200),
        "actions": array(by_type({"button": BUTTON}), 1, 3),
    },
    at_least_one("hero_image", "title", "actions", "body"),
)


def _data_table(value: JSON, at: str, report: Report) -> None:
    if characters(value.get("rows")) > DATA_TABLE_CHARACTERS:
        report(f"must be less than {DATA_TABLE_CHARACTERS + 1} characters", at)


BLOCKS: dict[str, Checker] = {
    "section": record(
        {},
        {
            "block_id": ID,
            "text": any_text(3000),
            "fields": array(any_text(2000), 1, 10),
            "accessory": ACCESSORY,
            "expand": boolean,
        },
        at_least_one("text", "fields"),
    ),
    "header": _block({"text": plain_text(150)}),
    "divider": _block({}),
    "context": _block(
        {
            "elements": array(
                by_type({"image": IMAGE, "mrkdwn": any_text(3000), "plain_text": any_text(3000)}),
                1,
                10,
            )
        }
    ),
    "actions": _block({"elements": array(ACTION, 1, 25)}),
    "context_actions": _block({"elements": array(CONTEXT_ACTION, 1, 5)}),
    "input": _block(
        {"label": plain_text(2000), "element": INPUT},
        {"hint": plain_text(2000), "optional": boolean, "dispatch_action": boolean},
    ),
    "image": record(
        {"alt_text": string(2000, 0)},
        {
            "block_id": ID,
            "image_url": string(3000),
            "slack_file": SLACK_FILE,
            "title": plain_text(2000),
        },
        exactly_one("image_url", "slack_file"),
    ),
    "markdown": _block({"text": string(MARKDOWN_CHARACTERS)}),
    "rich_text": _RICH_TEXT,
    "table": _block(
        {"rows": array(array(_CELL, 1, 20), 1, 100)},
        {
            "column_settings": array(
                lambda v, at, r: None if v is None else _COLUMN(v, at, r), 0, 20
            )
        },
    ),
    "data_table": record(
        {"rows": array(array(_CELL, 1, 20), 2, 201)}, {"block_id": ID}, _data_table
    ),
    "task_card": _TASK,
    "plan": _block({"title": string()}, {"tasks": array(by_type({"task_card": _TASK}), 0, 50)}),
    "alert": _block(
        {"text": any_text(200)},
        {"level": choice("default", "info", "warning", "error", "success")},
    ),
    "card": _CARD,
    "carousel": _block({"elements": array(by_type({"card": _CARD}), 1, 10)}),
    "video": _block(
        {
            "alt_text": string(),
            "video_url": string(),
            "thumbnail_url": string(),
            "title": plain_text(199),
        },
        {
            "title_url": string(),
            "description": plain_text(2000),
            "provider_icon_url": string(),
            "provider_name": string(),
            "author_name": string(49),
        },
    ),
    "file": _block({"external_id": ID, "source": choice("remote")}),
}


def _container(value: JSON, at: str, report: Report) -> None:
    if value.get("is_collapsible") is True and value.get("has_header_divider") is True:
        report("has_header_divider cannot be set when is_collapsible is true", at)
    at_least_one("title", "rich_text_title")(value, at, report)


BLOCKS["container"] = record(
    {"child_blocks": array(by_type(dict(BLOCKS)), 1, 10)},
    {
        "block_id": ID,
        "title": plain_text(150),
        "rich_text_title": _RICH_TEXT_OBJECT,
        "subtitle": any_text(150),
        "width": choice("narrow", "standard", "wide", "full"),
        "icon": by_type({"image": IMAGE}),
        "is_collapsible": boolean,
        "default_collapsed": boolean,
        "has_header_divider": boolean,
    },
    _container,
)

_ANY_BLOCK = by_type(BLOCKS)
_VIEW_FIELDS: Mapping[str, Checker] = {
    "private_metadata": string(3000, 0),
    "callback_id": string(255, 0),
    "external_id": string(255, 0),
}
_VIEWS: Mapping[str, Checker] = {
    "modal": record(
        {"title": plain_text(24), "blocks": anything},
        {
            **_VIEW_FIELDS,
            "submit": plain_text(24),
            "close": plain_text(24),
            "clear_on_close": boolean,
            "notify_on_close": boolean,
        },
    ),
    "home": record({"blocks": anything}, _VIEW_FIELDS),
}


def check_blocks(blocks: object, *, limit: int = MESSAGE_BLOCKS) -> list[str]:
    """What is wrong with the blocks of one surface; an empty list when nothing is."""
    problems: list[str] = []

    def report(sentence: str, at: str) -> None:
        problems.append(f"{sentence} [json-pointer:{at}]")

    array(_ANY_BLOCK, 0, limit)(blocks, "/blocks", report)
    if isinstance(blocks, list):
        _check_ids([b for b in blocks if isinstance(b, dict)], report)
    return problems


def check_message_blocks(blocks: object) -> list[str]:
    """What is wrong with the blocks of one message."""
    problems = check_blocks(blocks)
    if isinstance(blocks, list):
        markdown = [
            len(str(b.get("text") or ""))
            for b in blocks
            if isinstance(b, dict) and b.get("type") == "markdown"
        ]
        if len(markdown) > 1 and sum(markdown) > MARKDOWN_CHARACTERS:
            problems.append(
                f"markdown blocks must be less than {MARKDOWN_CHARACTERS + 1} characters together "
                "[json-pointer:/blocks]"
            )
    return problems


def check_view(view: object) -> list[str]:
    """What is wrong with a view a bot hands in."""
    problems: list[str] = []

    def report(sentence: str, at: str) -> None:
        problems.append(f"{sentence} [json-pointer:{at}]")

    by_type(_VIEWS)(view, "/view", report)
    if not isinstance(view, dict):
        return problems
    blocks = view.get("blocks")
    problems += check_blocks(blocks, limit=VIEW_BLOCKS)
    if not isinstance(blocks, list):
        return problems
    for n, block in enumerate(blocks):
        kind = block.get("type") if isinstance(block, dict) else None
        if isinstance(kind, str) and kind in _MESSAGE_ONLY:
            report(f"unsupported type: {kind}", f"/blocks/{n}/type")
        if kind == "input" and view.get("type") == "modal" and not view.get("submit"):
            report("missing required field: submit", "/view")
    return problems


def view_too_large(view: JSON) -> bool:
    """Whether the view's JSON is above Slack's 250 kB."""
    return len(json.dumps(view, ensure_ascii=False).encode()) > VIEW_BYTES


def tables(blocks: Sequence[JSON]) -> int:
    """How many table blocks there are; a message may have one."""
    return sum(1 for block in blocks if block.get("type") == "table")


def characters(value: object) -> int:
    """Characters of all the text people read in blocks."""
    if isinstance(value, list):
        return sum(characters(entry) for entry in value)
    if isinstance(value, dict):
        return sum(
            len(entry) if name in _TEXT_FIELDS and isinstance(entry, str) else characters(entry)
            for name, entry in value.items()
        )
    return 0


_NESTING = {"card", "carousel", "container", "section", "actions", "context_actions", "input"}
_TEXT_FIELDS = {"text", "title", "alt_text"}


def elements_of(block: JSON) -> Iterator[JSON]:
    """Every interactive element in a block."""
    candidates: list[Any] = [block.get("accessory"), block.get("element")]
    for name in ("elements", "actions", "child_blocks"):
        if isinstance(block.get(name), list):
            candidates += block[name]
    for entry in candidates:
        if not isinstance(entry, dict):
            continue
        if str(entry.get("type")) in _NESTING:
            yield from elements_of(entry)
        else:
            yield entry


def _check_ids(blocks: Sequence[JSON], report: Report) -> None:
    given = Counter(b["block_id"] for b in blocks if isinstance(b.get("block_id"), str))
    for n, block in enumerate(blocks):
        if given[str(block.get("block_id"))] > 1:
            report(f'block_id "{block["block_id"]}" already exists', f"/blocks/{n}/block_id")
        # Slack wants action_id unique in the containing block only: rows may repeat it.
        actions = Counter(
            e["action_id"] for e in elements_of(block) if isinstance(e.get("action_id"), str)
        )
        for action_id, times in actions.items():
            if times > 1:
                report(f'action_id "{action_id}" already exists', f"/blocks/{n}")
