"""The rules of Block Kit elements and composition objects. Pure.

Numbers: docs.slack.dev/reference/block-kit (block-elements, composition-objects).
"""

from collections.abc import Mapping
from functools import partial

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

ID = string(255)
STYLE = choice("primary", "danger")

CONFIRM = record(
    {"title": plain_text(100), "text": any_text(300)},
    {"confirm": plain_text(30), "deny": plain_text(30), "style": STYLE},
)
OPTION = record(
    {"text": any_text(75), "value": string(150)},
    {"description": any_text(75), "url": string(3000)},
)
PLAIN_OPTION = record(
    {"text": plain_text(75), "value": string(150)},
    {"description": plain_text(75), "url": string(3000)},
)
OPTION_GROUP = record({"label": plain_text(75), "options": array(PLAIN_OPTION, 1, 100)})
SLACK_FILE = record({}, {"id": string(), "url": string()}, exactly_one("id", "url"))
DISPATCH = record(
    {},
    {"trigger_actions_on": array(choice("on_enter_pressed", "on_character_entered"), 1, 2)},
)
FILTER = record(
    {},
    {
        "include": array(choice("im", "mpim", "private", "public"), 1, 4),
        "exclude_external_shared_channels": boolean,
        "exclude_bot_users": boolean,
    },
    at_least_one("include", "exclude_external_shared_channels", "exclude_bot_users"),
)
FEEDBACK = record(
    {"text": plain_text(75), "value": string(2000)}, {"accessibility_label": string(75)}
)


def _date(value: object, at: str, report: Report) -> None:
    parts = value.split("-") if isinstance(value, str) else []
    if [len(p) for p in parts] != [4, 2, 2] or not all(p.isdigit() for p in parts):
        report("must be a date as YYYY-MM-DD", at)


def _time(value: object, at: str, report: Report) -> None:
    parts = value.split(":") if isinstance(value, str) else []
    digits = [len(p) for p in parts] == [2, 2] and all(p.isdigit() for p in parts)
    if not digits or int(parts[0]) > 23 or int(parts[1]) > 59:
        report("must be a time as HH:mm", at)


def _lengths_in_order(value: JSON, at: str, report: Report) -> None:
    low, high = value.get("min_length"), value.get("max_length")
    if isinstance(low, int) and isinstance(high, int) and low > high:
        report("min_length must not be above max_length", f"{at}/min_length")


def _initial_is_an_option(many: bool, value: JSON, at: str, report: Report) -> None:
    if not many and (first := value.get("initial_option")) is not None:
        given, where = [first], f"{at}/initial_option"
    elif many and isinstance(value.get("initial_options"), list):
        given, where = value["initial_options"], f"{at}/initial_options"
    else:
        return
    known = {_pair(option) for option in options_of(value)}
    if any(_pair(option) not in known for option in given):
        report("initial option must match one of the options", where)


def _pair(option: object) -> tuple[str, str]:
    if not isinstance(option, dict):
        return ("", "")
    text = option.get("text")
    return (str(text.get("text")) if isinstance(text, dict) else "", str(option.get("value")))


def options_of(element: JSON) -> list[JSON]:
    """Every option of a select, those of its groups included."""
    groups = element.get("option_groups")
    found: list[object] = []
    for holder in [element, *(groups if isinstance(groups, list) else [])]:
        options = holder.get("options") if isinstance(holder, dict) else None
        found += options if isinstance(options, list) else []
    return [option for option in found if isinstance(option, dict)]


def _static(many: bool, value: JSON, at: str, report: Report) -> None:
    exactly_one("options", "option_groups")(value, at, report)
    _initial_is_an_option(many, value, at, report)


_COMMON: Mapping[str, Checker] = {"action_id": ID, "confirm": CONFIRM, "focus_on_load": boolean}
_SELECT: Mapping[str, Checker] = {**_COMMON, "placeholder": plain_text(150)}
_MULTI: Mapping[str, Checker] = {**_SELECT, "max_selected_items": integer(1, 10_000)}
_STATIC: Mapping[str, Checker] = {
    "options": array(PLAIN_OPTION, 1, 100),
    "option_groups": array(OPTION_GROUP, 1, 100),
}
_TYPED: Mapping[str, Checker] = {
    "action_id": ID,
    "placeholder": plain_text(150),
    "dispatch_action_config": DISPATCH,
    "focus_on_load": boolean,
}
_IDS = array(string(), 0, 10_000)

IMAGE = record(
    {"alt_text": string(2000, 0)},
    {"image_url": string(3000), "slack_file": SLACK_FILE},
    exactly_one("image_url", "slack_file"),
)
BUTTON = record(
    {"text": plain_text(75)},
    {
        "action_id": ID,
        "url": string(3000),
        "value": string(2000, 0),
        "style": STYLE,
        "confirm": CONFIRM,
        "accessibility_label": string(75, 0),
        "agent_prompt": string(4000, 0),
        "agent_prompt_display": anything,
        "visible_to_user_ids": _IDS,
    },
)

ELEMENTS: Mapping[str, Checker] = {
    "button": BUTTON,
    "checkboxes": record(
        {"options": array(OPTION, 1, 10)},
        {**_COMMON, "initial_options": array(OPTION, 1, 10)},
        partial(_initial_is_an_option, True),
    ),
    "radio_buttons": record(
        {"options": array(OPTION, 1, 10)},
        {**_COMMON, "initial_option": OPTION},
        partial(_initial_is_an_option, False),
    ),
    "overflow": record(
        {"options": array(PLAIN_OPTION, 1, 5)}, {"action_id": ID, "confirm": CONFIRM}
    ),
    "datepicker": record({}, {**_SELECT, "initial_date": _date}),
    "timepicker": record({}, {**_SELECT, "initial_time": _time, "timezone": string()}),
    "datetimepicker": record({}, {**_COMMON, "initial_date_time": integer(0, 9_999_999_999)}),
    "static_select": record(
        {}, {**_SELECT, **_STATIC, "initial_option": PLAIN_OPTION}, partial(_static, False)
    ),
    "external_select": record(
        {}, {**_SELECT, "initial_option": PLAIN_OPTION, "min_query_length": integer(0, 100)}
    ),
    "users_select": record({}, {**_SELECT, "initial_user": string()}),
    "conversations_select": record(
        {},
        {
            **_SELECT,
            "initial_conversation": string(),
            "default_to_current_conversation": boolean,
            "response_url_enabled": boolean,
            "filter": FILTER,
        },
    ),
    "channels_select": record(
        {}, {**_SELECT, "initial_channel": string(), "response_url_enabled": boolean}
    ),
    "multi_static_select": record(
        {},
        {**_MULTI, **_STATIC, "initial_options": array(PLAIN_OPTION, 1, 100)},
        partial(_static, True),
    ),
    "multi_external_select": record(
        {},
        {
            **_MULTI,
            "initial_options": array(PLAIN_OPTION, 1, 100),
            "min_query_length": integer(0, 100),
        },
    ),
    "multi_users_select": record({}, {**_MULTI, "initial_users": _IDS}),
    "multi_conversations_select": record(
        {},
        {
            **_MULTI,
            "initial_conversations": _IDS,
            "default_to_current_conversation": boolean,
            "filter": FILTER,
        },
    ),
    "multi_channels_select": record({}, {**_MULTI, "initial_channels": _IDS}),
    "plain_text_input": record(
        {},
        {
            **_TYPED,
            "initial_value": string(3000, 0),
            "multiline": boolean,
            "min_length": integer(0, 3000),
            "max_length": integer(1, 3000),
        },
        _lengths_in_order,
    ),
    "number_input": record(
        {"is_decimal_allowed": boolean},
        {
            **_TYPED,
            "initial_value": string(),
            "min_value": string(),
            "max_value": string(),
        },
    ),
    "email_text_input": record({}, {**_TYPED, "initial_value": string(None, 0)}),
    "url_text_input": record({}, {**_TYPED, "initial_value": string(None, 0)}),
    "rich_text_input": record(
        {},
        {
            **_TYPED,
            "initial_value": anything,
            "min_lines": integer(1, 100),
            "max_lines": integer(1, 100),
        },
    ),
    "file_input": record(
        {},
        {"action_id": ID, "filetypes": array(string(), 1, 100), "max_files": integer(1, 10)},
    ),
    "image": IMAGE,
    "workflow_button": record(
        {"text": plain_text(75), "workflow": anything},
        {"action_id": ID, "style": STYLE, "accessibility_label": string(75, 0)},
    ),
    "feedback_buttons": record(
        {"positive_button": FEEDBACK, "negative_button": FEEDBACK}, {"action_id": ID}
    ),
    "icon_button": record(
        {"icon": choice("trash"), "text": plain_text(75)},
        {
            "action_id": ID,
            "value": string(2000, 0),
            "confirm": CONFIRM,
            "accessibility_label": string(75, 0),
            "visible_to_user_ids": _IDS,
        },
    ),
}

_SELECTS = [
    "static_select",
    "external_select",
    "users_select",
    "conversations_select",
    "channels_select",
    "multi_static_select",
    "multi_external_select",
    "multi_users_select",
    "multi_conversations_select",
    "multi_channels_select",
]
_CHOOSERS = [*_SELECTS, "checkboxes", "radio_buttons", "datepicker", "timepicker"]


def _pick(*names: str) -> Checker:
    return by_type({name: ELEMENTS[name] for name in names})


ACCESSORY = _pick(*_CHOOSERS, "button", "image", "overflow", "workflow_button")
ACTION = _pick(
    *_CHOOSERS, "button", "overflow", "datetimepicker", "workflow_button", "rich_text_input"
)
INPUTS = (
    *_CHOOSERS,
    "datetimepicker",
    "plain_text_input",
    "number_input",
    "email_text_input",
    "url_text_input",
    "rich_text_input",
    "file_input",
)
INPUT = _pick(*INPUTS)
CONTEXT_ACTION = _pick("feedback_buttons", "icon_button")
