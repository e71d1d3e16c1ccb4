"""Short ways to write Block Kit in tests."""

from typing import Any

JSON = dict[str, Any]


def plain(text: str) -> JSON:
    """A plain_text object."""
    return {"type": "plain_text", "text": text}


def option(value: str, text: str = "") -> JSON:
    """An option of a select."""
    return {"text": plain(text or value), "value": value}


def button(action_id: str = "go", **fields: Any) -> JSON:
    """A button."""
    return {"type": "button", "action_id": action_id, "text": plain("Go"), **fields}


def actions(*elements: JSON, **fields: Any) -> JSON:
    """An actions block."""
    return {"type": "actions", "elements": list(elements), **fields}


def section(text: str = "x", **fields: Any) -> JSON:
    """A section block."""
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}, **fields}


def text_input(name: str = "name", **block: Any) -> JSON:
    """An input block with one line of text; its block and action id are `name`."""
    return {
        "type": "input",
        "block_id": name,
        "label": plain(name),
        "element": {"type": "plain_text_input", "action_id": name},
        **block,
    }


def modal(*blocks: JSON, **fields: Any) -> JSON:
    """A modal with a submit button."""
    return {
        "type": "modal",
        "callback_id": "deploy",
        "title": plain("Deploy"),
        "submit": plain("Go"),
        "blocks": list(blocks) or [text_input()],
        **fields,
    }


def typed(**values: str) -> JSON:
    """`state.values` for text inputs named like their blocks."""
    return {
        name: {name: {"type": "plain_text_input", "value": value}} for name, value in values.items()
    }
