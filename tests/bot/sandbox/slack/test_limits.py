"""The table of limits, each at its edge and one beyond."""

from collections.abc import Callable
from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.sandbox.slack.blocks import check_message_blocks, check_view
from bot.sandbox.slack.limits import RateLimits
from tests.support.slack_blocks import actions, button, modal, option, plain, section, text_input
from tests.support.slack_workspace import OPS

JSON = dict[str, Any]


def text(length: int) -> str:
    return "x" * length


def mrkdwn(length: int) -> JSON:
    return {"type": "mrkdwn", "text": text(length)}


def select(**fields: Any) -> JSON:
    return {"type": "static_select", "action_id": "s", "options": [option("a")], **fields}


def options(count: int) -> list[JSON]:
    return [option(str(n)) for n in range(count)]


def inputs(**element: Any) -> JSON:
    return text_input(element={"type": "plain_text_input", "action_id": "a", **element})


def image(**fields: Any) -> JSON:
    return {"type": "image", "image_url": "https://x/y.png", "alt_text": "y", **fields}


def confirm(**fields: Any) -> JSON:
    dialog = {
        "title": plain("t"),
        "text": plain("t"),
        "confirm": plain("y"),
        "deny": plain("n"),
    }
    return actions(button(confirm={**dialog, **fields}))


def rows(height: int, width: int) -> JSON:
    cell = {"type": "raw_text", "text": "x"}
    return {"type": "table", "rows": [[cell] * width] * height}


def tasks(count: int) -> JSON:
    task = {"type": "task_card", "title": "t", "status": "pending"}
    return {
        "type": "plan",
        "title": "p",
        "tasks": [{**task, "task_id": str(n)} for n in range(count)],
    }


def indented(depth: int) -> JSON:
    entry = {
        "type": "rich_text_list",
        "style": "bullet",
        "indent": depth,
        "elements": [{"type": "rich_text_section", "elements": []}],
    }
    return {"type": "rich_text", "elements": [entry]}


BLOCK_LIMITS: list[tuple[str, int, Callable[[int], JSON]]] = [
    ("section text", 3000, lambda n: section(text(n))),
    ("section fields", 10, lambda n: {"type": "section", "fields": [mrkdwn(1)] * n}),
    ("section field", 2000, lambda n: {"type": "section", "fields": [mrkdwn(n)]}),
    ("header", 150, lambda n: {"type": "header", "text": plain(text(n))}),
    ("context elements", 10, lambda n: {"type": "context", "elements": [mrkdwn(1)] * n}),
    ("actions elements", 25, lambda n: actions(*[button(str(i)) for i in range(n)])),
    ("block_id", 255, lambda n: section(block_id=text(n))),
    ("action_id", 255, lambda n: actions(button(text(n)))),
    ("button text", 75, lambda n: actions(button(text=plain(text(n))))),
    ("button value", 2000, lambda n: actions(button(value=text(n)))),
    ("button url", 3000, lambda n: actions(button(url=text(n)))),
    ("accessibility_label", 75, lambda n: actions(button(accessibility_label=text(n)))),
    ("confirm title", 100, lambda n: confirm(title=plain(text(n)))),
    ("confirm text", 300, lambda n: confirm(text=plain(text(n)))),
    ("confirm button", 30, lambda n: confirm(confirm=plain(text(n)))),
    ("deny button", 30, lambda n: confirm(deny=plain(text(n)))),
    ("option text", 75, lambda n: actions(select(options=[option("a", text(n))]))),
    ("option value", 150, lambda n: actions(select(options=[option(text(n), "a")]))),
    (
        "option description",
        75,
        lambda n: actions(select(options=[{**option("a"), "description": plain(text(n))}])),
    ),
    (
        "option group label",
        75,
        lambda n: actions(
            select(
                options=None,
                option_groups=[{"label": plain(text(n)), "options": [option("a")]}],
            )
        ),
    ),
    ("select options", 100, lambda n: actions(select(options=options(n)))),
    ("select placeholder", 150, lambda n: actions(select(placeholder=plain(text(n))))),
    (
        "overflow options",
        5,
        lambda n: actions({"type": "overflow", "action_id": "o", "options": options(n)}),
    ),
    (
        "checkboxes",
        10,
        lambda n: actions({"type": "checkboxes", "action_id": "c", "options": options(n)}),
    ),
    (
        "radio buttons",
        10,
        lambda n: actions({"type": "radio_buttons", "action_id": "r", "options": options(n)}),
    ),
    ("input label", 2000, lambda n: text_input(label=plain(text(n)))),
    ("input hint", 2000, lambda n: text_input(hint=plain(text(n)))),
    ("text input max_length", 3000, lambda n: inputs(max_length=n)),
    ("text input placeholder", 150, lambda n: inputs(placeholder=plain(text(n)))),
    ("image_url", 3000, lambda n: image(image_url=text(n))),
    ("image alt_text", 2000, lambda n: image(alt_text=text(n))),
    ("image title", 2000, lambda n: image(title=plain(text(n)))),
    ("list indent", 8, indented),
    ("table rows", 100, lambda n: rows(n, 1)),
    ("table columns", 20, lambda n: rows(1, n)),
    ("plan tasks", 50, tasks),
    ("data table rows", 201, lambda n: {**rows(n, 1), "type": "data_table"}),
    ("alert text", 200, lambda n: {"type": "alert", "text": mrkdwn(n)}),
    ("card title", 150, lambda n: {"type": "card", "title": mrkdwn(n)}),
    ("card body", 200, lambda n: {"type": "card", "body": mrkdwn(n)}),
    (
        "card actions",
        3,
        lambda n: {"type": "card", "actions": [button(str(i)) for i in range(n)]},
    ),
    (
        "carousel",
        10,
        lambda n: {"type": "carousel", "elements": [{"type": "card", "body": mrkdwn(1)}] * n},
    ),
    (
        "container",
        10,
        lambda n: {
            "type": "container",
            "title": plain("t"),
            "child_blocks": [{"type": "divider"}] * n,
        },
    ),
    ("markdown", 12000, lambda n: {"type": "markdown", "text": text(n)}),
]


@pytest.mark.parametrize(("name", "limit", "build"), BLOCK_LIMITS, ids=[x[0] for x in BLOCK_LIMITS])
def test_a_block_may_reach_its_limit_and_not_exceed_it(
    name: str, limit: int, build: Callable[[int], JSON]
) -> None:
    assert check_message_blocks([build(limit)]) == []
    problems = check_message_blocks([build(limit + 1)])
    assert problems
    assert all("[json-pointer:/blocks/0" in problem for problem in problems)


VIEW_LIMITS: list[tuple[str, int, Callable[[int], JSON]]] = [
    ("title", 24, lambda n: modal(title=plain(text(n)))),
    ("submit", 24, lambda n: modal(submit=plain(text(n)))),
    ("close", 24, lambda n: modal(close=plain(text(n)))),
    ("private_metadata", 3000, lambda n: modal(private_metadata=text(n))),
    ("callback_id", 255, lambda n: modal(callback_id=text(n))),
    ("external_id", 255, lambda n: modal(external_id=text(n))),
    ("blocks", 100, lambda n: modal(*[section()] * n)),
]


@pytest.mark.parametrize(("name", "limit", "build"), VIEW_LIMITS, ids=[x[0] for x in VIEW_LIMITS])
def test_a_view_may_reach_its_limit_and_not_exceed_it(
    name: str, limit: int, build: Callable[[int], JSON]
) -> None:
    assert check_view(build(limit)) == []
    assert check_view(build(limit + 1))


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        ({"type": "nonsense"}, "unsupported type: nonsense [json-pointer:/blocks/0/type]"),
        ({}, "missing required field: type [json-pointer:/blocks/0]"),
        ({"type": "section"}, "missing required field: text or fields [json-pointer:/blocks/0]"),
        (section(""), "must be more than 0 characters [json-pointer:/blocks/0/text/text]"),
        (section(colour="red"), "invalid additional property: colour [json-pointer:/blocks/0]"),
        (
            {"type": "header", "text": mrkdwn(1)},
            "unsupported type: mrkdwn [json-pointer:/blocks/0/text/type]",
        ),
        (
            actions(button(style="green")),
            "must be one of: primary, danger [json-pointer:/blocks/0/elements/0/style]",
        ),
        (
            actions(button("a"), button("a")),
            'action_id "a" already exists [json-pointer:/blocks/0]',
        ),
        (
            actions(select(option_groups=[{"label": plain("g"), "options": options(1)}])),
            "exactly one of options, option_groups must be given "
            "[json-pointer:/blocks/0/elements/0]",
        ),
        (
            actions(select(initial_option=option("z"))),
            "initial option must match one of the options "
            "[json-pointer:/blocks/0/elements/0/initial_option]",
        ),
        (
            actions({"type": "plain_text_input", "action_id": "x"}),
            "unsupported type: plain_text_input [json-pointer:/blocks/0/elements/0/type]",
        ),
    ],
)
def test_a_problem_says_what_and_where(block: JSON, problem: str) -> None:
    assert check_message_blocks([block]) == [problem]


def test_block_ids_are_unique_and_action_ids_unique_in_their_block() -> None:
    twice = [section(block_id="b"), section(block_id="b")]
    assert len(check_message_blocks(twice)) == 2
    rows = [actions(button("same"), block_id=str(n)) for n in range(2)]
    assert check_message_blocks(rows) == []


def test_markdown_blocks_share_their_limit() -> None:
    blocks = [{"type": "markdown", "text": text(7000)}] * 2
    assert any("12001" in problem for problem in check_message_blocks(blocks))


@pytest.mark.parametrize("kind", ["table", "markdown", "plan"])
def test_blocks_for_messages_are_refused_in_views(kind: str) -> None:
    block = {"table": rows(1, 1), "plan": tasks(1), "markdown": {"type": kind, "text": "x"}}[kind]
    assert check_view(modal(block)) == [f"unsupported type: {kind} [json-pointer:/blocks/0/type]"]


def test_a_modal_with_inputs_needs_a_submit_button_and_a_home_has_no_title() -> None:
    view = modal()
    del view["submit"]
    assert check_view(view) == ["missing required field: submit [json-pointer:/view]"]
    home = {"type": "home", "blocks": [text_input()]}
    assert check_view(home) == []
    assert check_view({**home, "title": plain("x")})


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ({}, "no_text"),
        ({"text": "", "blocks": []}, "no_text"),
        ({"text": "x", "blocks": "nonsense"}, "invalid_blocks_format"),
        ({"text": "x", "blocks": {"type": "section"}}, "invalid_blocks_format"),
        ({"text": "x", "blocks": [section(text(3001))]}, "invalid_blocks"),
        ({"text": "x", "blocks": [section()] * 51}, "invalid_blocks"),
        ({"text": "x", "blocks": [section(text(3000))] * 5}, "msg_blocks_too_long"),
        ({"text": "x", "blocks": [rows(1, 1), rows(1, 1)]}, "invalid_attachments"),
        ({"text": "x", "attachments": [{"text": "a"}] * 101}, "too_many_attachments"),
        ({"text": "x", "markdown_text": "y"}, "markdown_text_conflict"),
        ({"markdown_text": text(12001)}, "msg_too_long"),
    ],
)
@pytest.mark.filterwarnings("ignore:The top-level `text` argument is missing")
def test_a_message_beyond_its_limits_is_refused(
    client: WebClient, message: JSON, error: str
) -> None:
    with pytest.raises(SlackApiError) as caught:
        client.api_call("chat.postMessage", json={"channel": OPS, **message})
    assert caught.value.response["error"] == error


def test_posting_cuts_long_text_and_updating_refuses_it(client: WebClient) -> None:
    posted = client.chat_postMessage(channel=OPS, text=text(40_001))
    assert len(posted["message"]["text"]) == 40_000
    assert client.chat_update(channel=OPS, ts=posted["ts"], text=text(4000))["ok"]
    with pytest.raises(SlackApiError) as caught:
        client.chat_update(channel=OPS, ts=posted["ts"], text=text(4001))
    assert caught.value.response["error"] == "msg_too_long"


def test_refused_blocks_are_explained(client: WebClient) -> None:
    with pytest.raises(SlackApiError) as caught:
        client.chat_postMessage(channel=OPS, text="x", blocks=[section(text(3001))])
    reply = caught.value.response
    problem = "must be less than 3001 characters [json-pointer:/blocks/0/text/text]"
    assert reply["errors"] == [problem]
    assert reply["response_metadata"]["messages"] == [f"[ERROR] {problem}"]


def test_tiers_let_a_minutes_worth_pass_and_then_name_the_wait() -> None:
    now = [0.0]
    limits = RateLimits(lambda: now[0])
    assert [limits.take("users.list", "t2") for _ in range(20)] == [None] * 20
    assert limits.take("users.list", "t2") == 3
    now[0] += 3
    assert limits.take("users.list", "t2") is None
    assert limits.take("users.info", "t4") is None


def test_messages_are_counted_for_each_channel() -> None:
    limits = RateLimits(lambda: 0.0)
    for _ in range(5):
        assert limits.take("chat.postMessage", "special", "C1") is None
    assert limits.take("chat.postMessage", "special", "C1") == 1
    assert limits.take("chat.postMessage", "special", "C2") is None
