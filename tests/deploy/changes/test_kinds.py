"""The table of kinds of change: each has all that belongs to it, and nothing else knows it by name."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.changes import kinds
from deploy.changes.kinds import KINDS, Kind
from deploy.rollouts.stopped import Leftovers
from handlers.views.words.kinds import KIND_WORDS
from tests.faults.cases import CASES
from tests.support.actions import REF, REQUESTS, workings
from tests.support.processes import ROOT

NAMES = frozenset(kind.name for kind in KINDS)
CONSTANTS = frozenset(
    name for name, value in vars(kinds).items() if isinstance(value, str) and value in NAMES
)
TABLES = ("deploy/changes/kinds.py", "handlers/views/words/kinds.py")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_each_kind_has_its_words_its_workings_and_its_crash_case(kind: Kind) -> None:
    words = KIND_WORDS[kind.name]
    request = REQUESTS[kind.name]
    title = words.title.format(name=REF.name, place="west/dev", request=request)
    assert "{" not in title + words.question.format(title=title, tag="2.11.1", summary="changes")
    works = workings(left=Leftovers({}).of)[kind.name]
    assert callable(works.plan)
    assert callable(works.left)
    assert callable(works.executor.execute)
    assert kind.name in CASES, "tests/faults/cases.py"
    assert kind.request.from_mapping(json.loads(json.dumps(request.to_mapping()))) == request


def test_each_kind_has_a_name_of_its_own() -> None:
    assert len(NAMES) == len(KINDS)
    assert set(KIND_WORDS) == NAMES


def product() -> Iterator[Path]:
    for package in ("deploy", "handlers", "bot"):
        for path in (ROOT / package).rglob("*.py"):
            name = str(path.relative_to(ROOT))
            if name not in TABLES and not name.startswith("bot/sandbox/"):
                yield path


def test_no_behaviour_hangs_on_the_name_of_a_kind() -> None:
    found = {
        f"{path.relative_to(ROOT)}:{line}"
        for path in product()
        for line in branches(ast.parse(path.read_text()))
    }
    assert not found, "what differs between kinds is a field of Kind or KindWords"


def branches(tree: ast.AST) -> list[int]:
    """The lines that compare the name of a kind, or choose by it."""
    imported = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == kinds.__name__
        for alias in node.names
        if alias.name in CONSTANTS
    }

    def is_constant(node: ast.expr | None) -> bool:
        return isinstance(node, ast.Name) and node.id in imported

    def chooses(node: ast.AST) -> bool:
        if isinstance(node, ast.Compare):
            operands = [leaf for each in (node.left, *node.comparators) for leaf in leaves(each)]
            by_text = any(map(is_kind, operands)) and any(map(is_name, operands))
            return by_text or any(map(is_constant, operands))
        if isinstance(node, ast.Match):
            return is_kind(node.subject)
        if isinstance(node, ast.Dict):
            return any(map(is_constant, node.keys))
        return isinstance(node, ast.Tuple | ast.List | ast.Set) and any(map(is_constant, node.elts))

    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.expr | ast.stmt) and chooses(node)
    ]


def leaves(node: ast.expr) -> list[ast.expr]:
    """The entries of a literal, else the expression itself."""
    return node.elts if isinstance(node, ast.Tuple | ast.List | ast.Set) else [node]


def is_kind(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "kind"


def is_name(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value in NAMES


@pytest.mark.parametrize(
    ("code", "bad"),
    [
        ('action.kind == "rotate"', True),
        ('action.kind in ("rotate", "delete")', True),
        ("action.kind != ROTATE", True),
        ("_WITHOUT = (DELETE, REGENERATE)", True),
        ("{ROTATE: 1}[action.kind]", True),
        ("match action.kind:\n    case _: pass", True),
        ("ask(needs.proposer, request, RESTART, wanted, ref)", False),
        ('change.change == "delete"', False),
        ('change.kind == "Deployment"', False),
        ("other.kind == kind", False),
    ],
)
def test_such_a_branch_is_found(code: str, bad: bool) -> None:
    imports = "from deploy.changes.kinds import DELETE, REGENERATE, RESTART, ROTATE\n"
    assert bool(branches(ast.parse(imports + code))) == bad
