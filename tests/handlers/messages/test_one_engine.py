"""Channels are written to by one engine, and what Slack's errors mean stands in one table."""

import ast
from collections.abc import Iterator
from pathlib import Path

from handlers.slack import api_errors

ROOT = Path(__file__).parents[3]
_WRITING = ("chat_postMessage", "chat_update")
_WRITERS = {
    "handlers/messages/turn.py",
    # It answers one person and writes to no channel.
    "handlers/slack/replies.py",
}


def sources() -> Iterator[Path]:
    for package in ("handlers", "bot", "deploy"):
        for path in (ROOT / package).rglob("*.py"):
            if "sandbox" not in path.parts:
                yield path


def test_only_the_engine_and_the_answers_to_one_person_write_to_slack() -> None:
    found = {
        str(path.relative_to(ROOT))
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in _WRITING
    }
    assert found == _WRITERS


def test_each_error_of_slack_stands_in_one_file() -> None:
    table = {error for error in api_errors.TABLE if "_" in error}
    found = {
        (str(path.relative_to(ROOT)), node.value)
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value in table
    }
    assert {path for path, _ in found} == {"handlers/slack/api_errors.py"}
