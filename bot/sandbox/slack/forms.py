"""What a client knows about inputs: their state, and what it checks before it sends. Pure."""

import copy
import re
from collections.abc import Iterator, Sequence

from bot.sandbox.slack.blocks import elements_of
from bot.sandbox.slack.elements import options_of
from bot.sandbox.slack.model import JSON

# Element type → (field of the state, field of the element that sets it first, empty value).
_FIELDS: dict[str, tuple[str, str, object]] = {
    "plain_text_input": ("value", "initial_value", None),
    "number_input": ("value", "initial_value", None),
    "email_text_input": ("value", "initial_value", None),
    "url_text_input": ("value", "initial_value", None),
    "rich_text_input": ("rich_text_value", "initial_value", None),
    "static_select": ("selected_option", "initial_option", None),
    "external_select": ("selected_option", "initial_option", None),
    "radio_buttons": ("selected_option", "initial_option", None),
    "multi_static_select": ("selected_options", "initial_options", []),
    "multi_external_select": ("selected_options", "initial_options", []),
    "checkboxes": ("selected_options", "initial_options", []),
    "users_select": ("selected_user", "initial_user", None),
    "multi_users_select": ("selected_users", "initial_users", []),
    "conversations_select": ("selected_conversation", "initial_conversation", None),
    "multi_conversations_select": ("selected_conversations", "initial_conversations", []),
    "channels_select": ("selected_channel", "initial_channel", None),
    "multi_channels_select": ("selected_channels", "initial_channels", []),
    "datepicker": ("selected_date", "initial_date", None),
    "timepicker": ("selected_time", "initial_time", None),
    "datetimepicker": ("selected_date_time", "initial_date_time", None),
    "file_input": ("files", "", []),
}
_HAS_OWN_OPTIONS = {
    "static_select",
    "radio_buttons",
    "multi_static_select",
    "checkboxes",
    "overflow",
}
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_URL = re.compile(r"https?://\S+")


class UnknownOptionError(ValueError):
    """An option was chosen that the element does not offer."""


def interactive(blocks: Sequence[JSON]) -> Iterator[tuple[JSON, JSON]]:
    """Every element with an action id, with its block."""
    for block in blocks:
        for element in elements_of(block):
            if "action_id" in element:
                yield block, element


def value_of(element: JSON, given: JSON) -> JSON:
    """The state of one input as Slack has it: what was given, else what it starts with.

    Options may be given by their `value` alone. Raises UnknownOptionError.
    """
    kind = element["type"]
    name, first, empty = _FIELDS[kind]
    value = given[name] if name in given else element.get(first, empty)
    if kind in _HAS_OWN_OPTIONS and value:
        many = isinstance(value, list)
        chosen = [known_option(element, v) for v in (value if many else [value])]
        value = chosen if many else chosen[0]
    # A cleared text field is null on the wire, not an empty string.
    return {"type": kind, name: copy.deepcopy(empty if value in (None, "") else value)}


def known_option(element: JSON, chosen: object) -> JSON:
    """The option of the element with the chosen `value`. Raises UnknownOptionError."""
    value = chosen.get("value") if isinstance(chosen, dict) else chosen
    for option in options_of(element):
        if option.get("value") == value:
            return option
    raise UnknownOptionError(f"{element.get('action_id')} does not offer {value!r}")


def state_values(blocks: Sequence[JSON], given: JSON) -> JSON:
    """`state.values` of a surface: all inputs, and other elements once something is chosen."""
    values: JSON = {}
    for block, element in interactive(blocks):
        if element["type"] not in _FIELDS:
            continue
        block_id, action_id = block["block_id"], element["action_id"]
        value = value_of(element, given.get(block_id, {}).get(action_id, {}))
        if block["type"] == "input" or not _is_empty(value):
            values.setdefault(block_id, {})[action_id] = value
    return values


def check_inputs(blocks: Sequence[JSON], values: JSON) -> dict[str, str]:
    """What the client complains about before sending, by block id."""
    errors = {}
    for block in blocks:
        if block["type"] != "input":
            continue
        element = block["element"]
        value = values[block["block_id"]][element["action_id"]]
        if _is_empty(value):
            if not block.get("optional"):
                errors[block["block_id"]] = "Please complete this required field."
        elif complaint := _complaint(element, value):
            errors[block["block_id"]] = complaint
    return errors


def action(element: JSON, block_id: str, given: JSON, action_ts: str) -> JSON:
    """The entry of `actions` in a block_actions payload. Raises UnknownOptionError."""
    kind = element["type"]
    entry: JSON = {
        "type": kind,
        "action_id": element["action_id"],
        "block_id": block_id,
        "action_ts": action_ts,
    }
    for name in ("text", "style", "confirm", "placeholder", "initial_option", "url"):
        if name in element:
            entry[name] = element[name]
    if kind in _FIELDS:
        return {**entry, **value_of(element, given)}
    if kind == "overflow":
        return {**entry, "selected_option": known_option(element, given.get("selected_option"))}
    value = given.get("value", element.get("value"))
    return entry if value is None else {**entry, "value": value}


def _is_empty(value: JSON) -> bool:
    return all(entry in (None, "", []) for name, entry in value.items() if name != "type")


def _complaint(element: JSON, value: JSON) -> str | None:
    if element["type"] == "file_input":
        return _files_complaint(element, value["files"])
    text = value.get("value")
    if not isinstance(text, str):
        return None
    kind = element["type"]
    if kind == "plain_text_input":
        low, high = element.get("min_length", 0), element.get("max_length", 3000)
        if len(text) < low:
            return f"Please enter at least {low} characters."
        if len(text) > high:
            return f"Please enter no more than {high} characters."
    if kind == "number_input":
        return _number_complaint(element, text)
    if kind == "email_text_input" and not _EMAIL.fullmatch(text):
        return "Please enter a valid email address."
    if kind == "url_text_input" and not _URL.fullmatch(text):
        return "Please enter a valid URL."
    return None


def _files_complaint(element: JSON, files: Sequence[JSON]) -> str | None:
    if len(files) > (most := element.get("max_files", 10)):
        return f"Please choose no more than {most} files."
    allowed = element.get("filetypes")
    if allowed and any(file["name"].rpartition(".")[2].lower() not in allowed for file in files):
        return f"Please choose files of these types: {', '.join(allowed)}."
    return None


def _number_complaint(element: JSON, text: str) -> str | None:
    try:
        number = float(text)
    except ValueError:
        return "Please enter a number."
    if not element.get("is_decimal_allowed") and not re.fullmatch(r"[+-]?\d+", text):
        return "Please enter a whole number."
    low, high = element.get("min_value"), element.get("max_value")
    if low is not None and number < float(low):
        return f"Please enter a number of at least {low}."
    if high is not None and number > float(high):
        return f"Please enter a number of at most {high}."
    return None
