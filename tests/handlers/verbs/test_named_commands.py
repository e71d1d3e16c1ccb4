"""Every command that a sentence of the product names is one that can be typed."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from handlers.verbs import grammar
from handlers.verbs.table import VERBS

ROOT = Path(__file__).parents[3]
FILES = [
    path
    for root in ("deploy", "handlers", "bot")
    for path in sorted((ROOT / root).rglob("*.py"))
    if "sandbox" not in path.parts
]
NAMES = {verb.name for verb in VERBS}
BARE = re.compile(rf"`(?:{'|'.join(sorted(NAMES, key=len, reverse=True))})(?: [^`]*)?`")


def strings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """What people may read: strings but docstrings, a value in a text as `{}`."""
    documents = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = (p.value if isinstance(p, ast.Constant) else "{}" for p in node.values)
            yield node.lineno, "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and id(node) not in documents:
            yield node.lineno, str(node.value)


@pytest.mark.parametrize("path", [p for p in FILES if "`" in p.read_text()], ids=str)
def test_no_sentence_names_a_verb_without_the_command(path: Path) -> None:
    found = [
        (line, span[0])
        for line, text in strings(ast.parse(path.read_text()))
        for span in BARE.finditer(text)
    ]
    assert found == []


def test_every_command_that_is_built_has_a_verb_and_options_that_there_are() -> None:
    built = 0
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Command"):
                continue
            match node.args:
                case [ast.Constant(value=str(name)), *rest]:
                    built += 1
                    assert name in NAMES, path
                    verb = next(verb for verb in VERBS if verb.name == name)
                    named = " ".join(
                        str(part.value)
                        for argument in [*rest, *(k.value for k in node.keywords)]
                        for part in ast.walk(argument)
                        if isinstance(part, ast.Constant)
                    )
                    known = {option.name for option in verb.options}
                    assert set(re.findall(r"--([a-z-]+)", named)) <= known, path
    assert built > 20


def test_a_command_that_stands_as_it_is_typed_can_be_typed() -> None:
    for text in ("list", "tags", "pending"):
        assert grammar.parse(text, VERBS, "/gateway").verb.name == text
