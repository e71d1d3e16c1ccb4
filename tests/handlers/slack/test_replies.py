"""Every reply leaves through one door, within what Slack takes."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path

from slack_bolt import Ack

import handlers
from bot.sandbox.slack.blocks import MESSAGE_CHARACTERS, characters, check_message_blocks
from handlers.slack import replies
from handlers.views.fitting import TEXT
from handlers.views.reply import Reply
from handlers.views.text import context, section

SENDING = {"chat_postMessage", "chat_postEphemeral", "chat_update", "WebhookClient"}
DOORS = {
    "slack/replies.py": "answers to one person",
    "messages/turn.py": "messages of the engine",
}
"""The modules that send, each of which cuts what it sends to Slack's bounds."""


def test_an_answer_in_an_ack_is_cut_to_what_slack_takes() -> None:
    ack = Ack()
    blocks = tuple(section("w" * 3000) for _ in range(60))
    replies.with_ack(ack, Reply("t" * 5000, (*blocks, context("c" * 3000))), "/gateway")
    assert ack.response is not None
    sent = ack.response.body
    body = json.loads(sent)
    assert len(body["text"]) <= TEXT
    assert check_message_blocks(body["blocks"]) == []
    assert characters(body["blocks"]) <= MESSAGE_CHARACTERS
    assert body["response_type"] == "ephemeral"


def test_an_ack_names_the_command_as_the_installation_does() -> None:
    ack = Ack()
    replies.with_ack(ack, Reply("See `/gateway help`.", (section("`/gateway help`"),)), "/apim")
    assert ack.response is not None
    assert "/gateway" not in str(ack.response.body)


def test_nothing_is_sent_to_slack_but_through_the_doors_that_cut_it() -> None:
    assert {module for module, _ in _sending()} == set(DOORS)
    (folder,) = handlers.__path__
    for module in DOORS:
        assert "views.fitting import" in (Path(folder) / module).read_text()


def _sending() -> Iterator[tuple[str, str]]:
    """The modules that send messages or answer an ack with one, and how."""
    (folder,) = handlers.__path__
    for path in sorted(Path(folder).rglob("*.py")):
        module = str(path.relative_to(folder))
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute | ast.Name):
                name = node.attr if isinstance(node, ast.Attribute) else node.id
                if name in SENDING:
                    yield module, name
            if isinstance(node, ast.Call) and any(k.arg == "response_type" for k in node.keywords):
                yield module, "response_type"
