"""Finds words and patterns that DESIGN's page on language rules out. `make check` runs it.

It reads the texts of the product: string literals, docstrings and comments of its code, and the pages of
docs, README and CHANGELOG. Code in back quotes and fences, names and addresses are not read.

A text that needs such words, as a quotation of another system does, has `wording: ` and the reason in a
comment on the line that it begins at.
"""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_ROOTS = ("deploy", "handlers", "bot")
_NOT_READ = "bot/sandbox/"
_PAGES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/*.md")
_ALLOWED = "wording: "
_WORD = re.compile(r"[A-Za-z]{2,}")
_WORDS = 3
"""So many words make a sentence; names, keys and paths have fewer."""


@dataclass(frozen=True)
class Pattern:
    """What must not be written, what to write instead, and one sentence with and one without it."""

    name: str
    regex: re.Pattern[str]
    instead: str
    wrong: str
    right: str


def _pattern(name: str, regex: str, instead: str, wrong: str, right: str) -> Pattern:
    return Pattern(name, re.compile(regex), instead, wrong, right)


PATTERNS = (
    _pattern(
        "of before",
        r"\bof before\b|\b(?:[Tt]he|those) (?:ones?|tokens?|versions?|pods|Secrets?)? ?before(?=[.,;:)]|$)",
        "previous",
        "The token of before still works.",
        "The previous token still works.",
    ),
    _pattern(
        "no more",
        r"\b[Nn]o more(?=[.,;:)]|$| (?:where|and|or|taken|may|which|that)\b)|\b[Aa]ny ?more\b(?! (?:than|\w+s)\b)",
        "no longer",
        "The gateway runs no more.",
        "No more than five pods; the gateway no longer runs.",
    ),
    _pattern(
        "on its own",
        r"\bon (?:its|their|your) own(?=[.,;:)!?]|$| (?:and|or|in|at|when|before|after|once|with|is|are)\b)"
        r"|\bby (?:it|him|her|one)self\b|\bby themselves\b",
        "automatically",
        "Its token is rotated on its own, or by itself.",
        "Its token is rotated automatically, on its own thread.",
    ),
    _pattern(
        "tell",
        r"\b[Tt]ell(?:s|ing)? (?:of|once|them(?! apart)|him|her|people|whoever|the channel|operators|approvers)\b"
        r"|\b[Tt]ell(?:s|ing)? (?:every|any|some|no)(?:body|one)\b|\b[Tt]ell(?:s|ing)? requesters?\b"
        r"|\b(?:is|are|was|were|be|been|cannot be) told(?! (?:apart|to|from|by|otherwise)\b)|\b[Tt]old of\b"
        r"|\b[Hh]ears? of\b|\b[Hh]eard of\b|\bsays? to (?:the channel|people|who\w*)\b",
        "notify, report; know, determine",
        "The channel is told, and hears of it.",
        "The channel is notified; pods are told apart by name, and told to stop.",
    ),
    _pattern(
        "go through a freeze",
        r"\b(?:go|goes|going|went) through\b[^.]{0,20}\bfreeze",
        "override the freeze",
        "An emergency goes through the freeze.",
        "An emergency overrides the freeze; traffic goes through the gateway.",
    ),
    _pattern(
        "well again",
        r"\b(?:is|are|was|were|be|looks?|been) well\b",
        "recovered, resolved",
        "The gateway is well again.",
        "The gateway has recovered, as well as its link.",
    ),
    _pattern(
        "go on",
        r"\b(?:[Gg]o|[Gg]oes|[Gg]oing|[Ww]ent|[Gg]one) on\b(?! (?:the|a|an|to) (?:cluster|node|page)\b)",
        "continue, resume",
        "The rotation goes on after that.",
        "The rotation continues after that.",
    ),
    _pattern(
        "does not take",
        r"\b(?:does|do|did|would|will|could) not take\b(?! (?:part|place|long|effect|over|from)\b)",
        "rejected, refused",
        "Azure does not take the token.",
        "Azure rejects the token; that does not take long.",
    ),
    _pattern(
        "is no",
        r"(?<!\b[Tt]here )(?<!\b[Tt]here still )\b(?:is|are|was|were) no (?!longer\b|more\b)[\w“`-]+",
        "is not a",
        "“soon” is no length of time.",
        "There is no pod, and “soon” is not a duration; it is no longer there.",
    ),
    _pattern(
        "decide on",
        r"\b[Dd]ecid(?:e|es|ed|ing) on\b",
        "approve, deny, confirm",
        "Approvers decide on it.",
        "Approvers approve or deny it.",
    ),
    _pattern(
        "has begun",
        r"\b(?:has|have|had) (?:not )?begun\b",
        "pending, running, started",
        "It has begun.",
        "It is running.",
    ),
    _pattern(
        "question word as a noun",
        r"(?:^|[.:;(] ?)(?:Where to|Which [\w-]+|Who|How many|How long) (?:is|are) (?:missing|unknown|required)\b"
        r"|\b[Ww]here to is\b",
        "required: …, or the noun",
        "Which gateway is missing.",
        "A gateway is required. It is not known which gateway this is.",
    ),
    _pattern(
        "headless relative",
        r"\b[Ww]hat (?:waits?|goes|comes|came|stands|begins)\b(?! (?:next|of it|first)\b)"
        r"|(?:^|[.] |\b(?:[Bb]y|[Tt]o|[Ff]or|[Oo]f|[Ff]rom|[Ww]ith) )[Ww]ho"
        r" (?!(?:is|was|has|does)\b)\w+(?:s|ed)\b(?! what\b)",
        "the noun",
        "It lists what waits, and of who goes through.",
        "It lists pending requests, and people who approve them.",
    ),
)

_CODE = re.compile(r"```.*?```|`[^`\n]*`|https?://\S+", re.DOTALL)
_FENCE = re.compile(r"^ {0,3}```")


def findings(source: str, path: str) -> list[tuple[int, str]]:
    """Each line with a pattern that is ruled out; also a reason that excuses nothing."""
    page = path.endswith(".md")
    texts = list(_texts_of_page(source) if page else _texts_of_code(source))
    lines = source.splitlines()
    allowed = {
        n for n, line in enumerate(lines, 1) if f"{'<!--' if page else '#'} {_ALLOWED}" in line
    }
    found: list[tuple[int, str]] = []
    excusing: set[int] = set()
    for number, text in texts:
        for how in _in_text(text):
            if number in allowed:
                excusing.add(number)
            else:
                found.append((number, how))
    unused = [(n, f"“{_ALLOWED.strip()}” excuses nothing") for n in allowed - excusing]
    return sorted({*found, *unused})


def _in_text(text: str) -> Iterator[str]:
    read = " ".join(_CODE.sub("·", text).split())
    for pattern in PATTERNS:
        for match in pattern.regex.finditer(read):
            yield f"{pattern.name} (“{match[0].strip()}”): write {pattern.instead}"


def _texts_of_page(source: str) -> Iterator[tuple[int, str]]:
    """The paragraphs of a page, without its fences; each list item and row is one."""
    fenced, start, kept = False, 1, list[str]()
    for number, line in enumerate([*source.splitlines(), ""], 1):
        ends = not line.strip() or re.match(r"\s*(?:[-*|#]|\d+\.) ?", line) or _FENCE.match(line)
        if ends and kept:
            yield start, "\n".join(kept)
            kept = []
        if _FENCE.match(line):
            fenced = not fenced
        elif not fenced and line.strip() and not line.startswith("    "):
            if not kept:
                start = number
            kept.append(line)


def _texts_of_code(source: str) -> Iterator[tuple[int, str]]:
    yield from _literals(ast.parse(source))
    yield from _comments(source)


def _literals(tree: ast.AST) -> Iterator[tuple[int, str]]:
    inner = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in ast.walk(node)
        if part is not node and isinstance(part, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield node.lineno, _formatted(node)
        elif (
            isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner
        ):
            yield node.lineno, node.value


def _formatted(node: ast.JoinedStr) -> str:
    parts = (str(p.value) if isinstance(p, ast.Constant) else "…" for p in node.values)
    return "".join(parts)


def _comments(source: str) -> Iterator[tuple[int, str]]:
    """Comments, of several lines together where they stand below each other."""
    start, last, kept = 0, -1, list[str]()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT or _ALLOWED in token.string:
            continue
        number = token.start[0]
        if kept and number != last + 1:
            yield start, " ".join(kept)
            kept = []
        if not kept:
            start = number
        kept.append(token.string.lstrip("# "))
        last = number
    if kept:
        yield start, " ".join(kept)


def sentences(source: str) -> Iterator[tuple[int, str]]:
    """What a person may read of a module's texts: those of several words that are no docstrings."""
    tree = ast.parse(source)
    docstrings = {
        node.value.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for number, text in sorted(_literals(tree)):
        if number not in docstrings and len(_WORD.findall(text)) >= _WORDS <= len(text.split()):
            yield number, " ".join(text.split())


def main() -> int:
    """Print every finding; 1 where there is any. With `--all` print every sentence instead, to be read."""
    paths = [
        path
        for root in _ROOTS
        for path in sorted(Path(root).rglob("*.py"))
        if not path.as_posix().startswith(_NOT_READ)
    ]
    if "--all" in sys.argv[1:]:
        for path in paths:
            for number, text in sentences(path.read_text(encoding="utf-8")):
                print(f"{path}:{number}: {text}")
        return 0
    paths += [path for pages in _PAGES for path in sorted(Path().glob(pages))]
    found = [
        f"{path}:{number}: {how}"
        for path in paths
        for number, how in findings(path.read_text(encoding="utf-8"), path.as_posix())
    ]
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
