"""Our rules against the models of Slack's own SDK, which nobody here wrote."""

import inspect
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slack_sdk.errors import SlackObjectFormationError
from slack_sdk.models.blocks import Block, block_elements
from slack_sdk.models.blocks import blocks as sdk_blocks

from bot.sandbox.slack.blocks import check_message_blocks, check_view
from tests.support.slack_blocks import actions, button, option, plain, section, text_input

JSON = dict[str, Any]


def around(*limits: int) -> st.SearchStrategy[int]:
    """Counts near a limit, on both sides."""
    return st.sampled_from([n + step for n in limits for step in (-1, 0, 1)])


@st.composite
def texts(draw: st.DrawFn, limit: int) -> JSON:
    """A plain_text object of about the limit."""
    letter = draw(st.sampled_from(["x", "é", "漢", "𝒳"]))
    return plain(letter * draw(around(limit)))


@st.composite
def ids(draw: st.DrawFn) -> str:
    return "i" * draw(around(255))


BLOCKS = st.one_of(
    texts(3000).map(lambda t: {"type": "section", "text": t}),
    texts(150).map(lambda t: {"type": "header", "text": t}),
    ids().map(lambda i: section(block_id=i)),
    ids().map(lambda i: actions(button(i))),
    texts(75).map(lambda t: actions(button(text=t))),
    around(2000).map(lambda n: actions(button(value="v" * n))),
    around(3000).map(lambda n: actions(button(url="u" * n))),
    st.sampled_from(["primary", "danger", "green"]).map(lambda s: actions(button(style=s))),
    around(25).map(lambda n: actions(*[button(str(i)) for i in range(n)])),
    around(10).map(lambda n: {"type": "context", "elements": [plain("x")] * n}),
    around(10).map(lambda n: {"type": "section", "fields": [plain("x")] * n}),
    around(100).map(
        lambda n: actions(
            {
                "type": "static_select",
                "action_id": "s",
                "options": [option(str(i)) for i in range(n)],
            }
        )
    ),
    around(5).map(
        lambda n: actions(
            {"type": "overflow", "action_id": "o", "options": [option(str(i)) for i in range(n)]}
        )
    ),
    texts(2000).map(lambda t: text_input(label=t)),
    texts(150).map(
        lambda t: text_input(
            element={"type": "plain_text_input", "action_id": "a", "placeholder": t}
        )
    ),
    around(2000).map(lambda n: {"type": "image", "image_url": "https://x", "alt_text": "a" * n}),
    around(12_000).map(lambda n: {"type": "markdown", "text": "m" * n}),
    texts(150).map(lambda t: {"type": "card", "title": t}),
    texts(200).map(lambda t: {"type": "card", "body": t}),
    st.sampled_from(["info", "error", "shout"]).map(
        lambda level: {"type": "alert", "text": plain("x"), "level": level}
    ),
)


@given(BLOCKS)
def test_slacks_models_and_our_rules_accept_the_same_lengths(block: JSON) -> None:
    parsed = Block.parse(block)
    assert parsed is not None
    try:
        parsed.to_dict()
        accepted = True
    except SlackObjectFormationError:
        accepted = False
    assert (check_message_blocks([block]) == []) == accepted


@given(BLOCKS)
def test_what_slacks_models_write_is_accepted(block: JSON) -> None:
    if check_message_blocks([block]) == []:
        parsed = Block.parse(block)
        assert parsed is not None
        assert check_message_blocks([parsed.to_dict()]) == []


NAMES = [
    "type",
    "text",
    "elements",
    "element",
    "accessory",
    "options",
    "option_groups",
    "initial_option",
    "block_id",
    "action_id",
    "value",
    "blocks",
    "child_blocks",
]
TYPES = [
    "section",
    "actions",
    "button",
    "static_select",
    "plain_text",
    "input",
    "container",
    "modal",
]
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(NAMES), inner | st.sampled_from(TYPES), max_size=4)
    ),
    max_leaves=12,
)


@given(JSON_VALUES)
def test_whatever_a_bot_sends_is_judged_without_a_crash(value: object) -> None:
    assert isinstance(check_message_blocks([value]), list)
    assert isinstance(check_message_blocks(value), list)
    assert isinstance(check_view(value), list)
    assert isinstance(check_view({"type": "home", "blocks": [value]}), list)


PARTNERS_ONLY = {"call", "auth_provider"}


def _fields(module: Any, base: type) -> list[tuple[str, str]]:
    """Every field name of every typed model in a module."""
    found = []
    for _, model in inspect.getmembers(module, inspect.isclass):
        kind = getattr(model, "type", None)
        if kind in PARTNERS_ONLY:
            continue
        if (
            issubclass(model, base)
            and isinstance(kind, str)
            and model.__module__ == module.__name__
        ):
            parameters = inspect.signature(model.__init__).parameters
            names = set(parameters) - {"self", "others", "type", "subtype", "args", "kwargs"}
            found += [(kind, name) for name in names]
    return sorted(found)


@pytest.mark.parametrize(("kind", "name"), _fields(sdk_blocks, Block))
def test_every_field_of_slacks_block_models_is_known(kind: str, name: str) -> None:
    problems = check_message_blocks([{"type": kind, name: object()}])
    assert f"invalid additional property: {name} [json-pointer:/blocks/0]" not in problems
    assert f"unsupported type: {kind} [json-pointer:/blocks/0/type]" not in problems


@pytest.mark.parametrize(("kind", "name"), _fields(block_elements, block_elements.BlockElement))
def test_every_field_of_slacks_element_models_is_known(kind: str, name: str) -> None:
    element = {"type": kind, name: object()}
    tried = [
        actions(element),
        section(accessory=element),
        text_input(element=element),
        {"type": "context", "elements": [element]},
        {"type": "context_actions", "elements": [element]},
        {"type": "rich_text", "elements": [element]},
        {
            "type": "task_card",
            "task_id": "1",
            "title": "t",
            "status": "error",
            "sources": [element],
        },
    ]
    reports = [check_message_blocks([block]) for block in tried]
    fitting = [r for r in reports if not any("unsupported type" in problem for problem in r)]
    assert fitting
    assert not any(f"invalid additional property: {name}" in p for r in fitting for p in r)
