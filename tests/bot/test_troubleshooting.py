"""What the pages for operators quote, name and link to exists."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import ROOT

_FORMAT = re.compile(r"%[-.0-9]*[a-z]")
_GAP = "…"


def _templates() -> Iterator[str]:
    """Each text of the product, with a gap for each value."""
    for package in ("bot", "deploy", "handlers"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if "sandbox" in path.parts:
                continue
            tree = ast.parse(path.read_text(encoding="utf-8"))
            documentation = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
            for node in ast.walk(tree):
                if id(node) in documentation:
                    continue
                if isinstance(node, ast.JoinedStr):
                    yield "".join(
                        str(part.value) if isinstance(part, ast.Constant) else _GAP
                        for part in node.values
                    )
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield _FORMAT.sub(_GAP, node.value)


def _quoted() -> list[str]:
    """What stands between back quotes in the middle column."""
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    rows = [line.split("|") for line in page.splitlines() if line.startswith("| ")]
    assert rows
    assert {len(row) for row in rows} == {5}, "a cell has a “|”"
    return [quote for row in rows for quote in re.findall(r"`([^`]+)`", row[2])]


@pytest.fixture(scope="module")
def templates() -> list[str]:
    return list(_templates())


@pytest.mark.parametrize("quote", sorted(set(_quoted()) - {"check", "invalid_auth"}))
def test_what_the_page_quotes_of_the_bot_is_in_its_code(quote: str, templates: list[str]) -> None:
    # A value at the end of a line may stand for several, and may be followed by more words.
    whole = quote.strip(_GAP).strip()
    assert len(whole) > 8, quote
    assert any(whole in template for template in templates), quote


def test_every_link_of_the_documentation_leads_somewhere() -> None:
    pages = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md")}
    anchors = {name: set(_anchors(text)) for name, text in pages.items()}
    for name, text in pages.items():
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if "://" in target:
                continue
            page, _, anchor = target.partition("#")
            assert (ROOT / "docs" / page).exists(), f"{name}: {target}"
            if anchor:
                assert anchor in anchors[page or name], f"{name}: {target}"


def _anchors(text: str) -> Iterator[str]:
    """As GitHub makes them of headings."""
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
        yield re.sub(r"[^\w\- ]", "", words).replace(" ", "-")


def test_what_holds_each_line_of_the_security_page_exists() -> None:
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:tests|bot|deploy|handlers|\.ci)/[\w./-]+)`", page)
    assert len(named) > 20
    missing = [path for path in named if not Path(ROOT / path).exists()]
    assert missing == []
