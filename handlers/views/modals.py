"""Replies in modals: what a command answers, and an action's plan with the buttons of its reader. Pure.

A modal is found again by a name of ours (`external_id`), which its buttons carry in their values.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from deploy.actions.action import Action
from handlers.views.allowed import DECIDING, Allowed, only
from handlers.views.reply import Block, View
from handlers.views.text import context, date, section
from handlers.views.words import home as words

_BLOCKS = 100
MODAL = "modal"
"""Where the value of a button names the modal that it is in."""


def loading(title: str, modal: str) -> View:
    """The modal until the answer is there."""
    return showing(title, [section(words.LOADING)], modal)


def showing(title: str, blocks: Sequence[Block], modal: str) -> View:
    """These blocks in a modal, without a form."""
    return {
        "type": "modal",
        "callback_id": "shown",
        "external_id": modal,
        "title": {"type": "plain_text", "text": title[:24]},
        "close": {"type": "plain_text", "text": words.CLOSE},
        "blocks": list(blocks)[:_BLOCKS] or [section(words.NOTHING)],
    }


def listing(blocks: Sequence[Block], renamed: Mapping[str, str], modal: str) -> list[Block]:
    """The blocks of a reply for a modal: buttons that are not in `renamed` answer in a message, so
    they are left out."""
    return _with_elements(blocks, lambda element: _renamed(element, renamed, modal))


def review(
    action: Action,
    blocks: Sequence[Block],
    allowed: Allowed,
    modal: str,
    at: float,
    said: Sequence[Block] = (),
) -> View:
    """An action's message, with those of its deciding buttons that are `allowed`; `said` is why the
    last click changed nothing."""
    renamed = {name: name for name in DECIDING}
    drawn = listing(only(blocks, allowed), renamed, modal)
    return showing(
        f"Request {action.id}",
        [*said, *drawn, context(words.read_at(date(at, "{date_short_pretty} at {time_secs}")))],
        modal,
    )


def modal_of(value: str) -> str:
    """The modal that the clicked button was in; empty where it was in none."""
    try:
        found = json.loads(value)
    except ValueError:
        return ""
    return str(found.get(MODAL, ""))[:255] if isinstance(found, dict) else ""


def _renamed(element: Block, renamed: Mapping[str, str], modal: str) -> Block | None:
    name = renamed.get(str(element.get("action_id")))
    if name is None:
        return None
    try:
        carried: Any = json.loads(element.get("value", ""))
    except ValueError:
        carried = None
    if isinstance(carried, dict):
        return {**element, "action_id": name, "value": json.dumps({**carried, MODAL: modal})}
    return {**element, "action_id": name}


def _with_elements(blocks: Sequence[Block], change: Any) -> list[Block]:
    drawn: list[Block] = []
    for block in blocks:
        if block["type"] == "actions":
            elements = [kept for each in block["elements"] if (kept := change(each)) is not None]
            if elements:
                drawn.append({**block, "elements": elements})
            continue
        if "accessory" in block:
            kept = change(block["accessory"])
            block = {key: value for key, value in block.items() if key != "accessory"}
            block |= {"accessory": kept} if kept is not None else {}
        drawn.append(block)
    return drawn
