"""The check that finds words which are ruled out, by samples of what it must and must not see."""

import pytest

from tests.checks.wording import PATTERNS, Pattern, findings, sentences


def of_code(text: str) -> list[str]:
    return [how for _, how in findings(f"x = {text!r}\n", "deploy/x.py")]


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.name)
def test_a_pattern_finds_what_is_ruled_out_and_leaves_what_is_not(pattern: Pattern) -> None:
    assert any(how.startswith(pattern.name) for how in of_code(pattern.wrong))
    assert of_code(pattern.right) == []


@pytest.mark.parametrize(
    "source",
    [
        '"""It runs no more."""\n',
        "# It runs no more.\nx = 1\n",
        "# It runs\n# no more.\nx = 1\n",
        'x = f"{ref} runs no more."\n',
        'x = (\n    "It runs "\n    "no more."\n)\n',
        'log.info("%s runs no more.", ref)\n',
    ],
)
def test_strings_docstrings_and_comments_are_read(source: str) -> None:
    assert len(findings(source, "deploy/x.py")) == 1


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("It runs\nno more.\n", 1),
        ("| it runs no more. | it is told of |\n", 2),
        ("```\nIt runs no more.\n```\n", 0),
        ("`it runs no more.` is a line of a log.\n", 0),
        ("It runs no more. <!-- wording: a quotation -->\n", 0),
    ],
)
def test_pages_are_read_without_their_code(source: str, found: int) -> None:
    assert len(findings(source, "docs/x.md")) == found


def test_a_reason_excuses_its_text_alone() -> None:
    source = 'x = "It runs no more."  # wording: as Azure says it\ny = "It runs no more."\n'
    assert [line for line, _ in findings(source, "deploy/x.py")] == [2]


def test_a_reason_that_excuses_nothing_is_found() -> None:
    (found,) = findings('x = "It runs."  # wording: none\n', "deploy/x.py")
    assert found == (1, "“wording:” excuses nothing")


def test_every_sentence_for_people_is_listed_and_nothing_else() -> None:
    source = (
        '"""What this is for."""\n'
        "# why it is so\n"
        "def said(ref):\n"
        '    """What it says."""\n'
        '    raise NotFound(f"There is no {ref} here.", remedy="Type `/gateway list`, all of it.")\n'
        'KEY = max("spec.template", key=lambda it: it.name)\n'
    )
    assert list(sentences(source)) == [
        (5, "There is no … here."),
        (5, "Type `/gateway list`, all of it."),
    ]
