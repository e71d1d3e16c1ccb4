import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.errors import InvalidInput
from handlers.verbs.grammar import parse
from handlers.verbs.table import VERBS


def test_nothing_typed_asks_for_help() -> None:
    assert parse("   ", VERBS).verb.name == "help"


def test_a_gateway_and_options_are_read_in_any_order() -> None:
    command = parse("deploy --tag 2.11.1 edge-1 --to=west/dev --replicas 2 --take-over", VERBS)
    assert command.gateway == "edge-1"
    assert command.options == {
        "tag": "2.11.1",
        "to": "west/dev",
        "replicas": 2,
        "take-over": True,
    }


def test_dashes_quotes_and_spaces_that_an_editor_changed_are_read_as_meant() -> None:
    command = parse(
        "deploy\u00a0edge-1 —tag “2.11.1” ––to".replace("––", "--") + " west/dev", VERBS
    )
    assert command.options == {"tag": "2.11.1", "to": "west/dev"}


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("deplyo edge-1", "Did you mean `deploy`?"),
        ("deploy edge-1 --tga 2.11.1", "Did you mean `--tag`?"),
        ("deploy edge-1 --tag", "Write `--tag TAG`"),
        ("deploy edge-1 --tag --to west/dev", "`--tag` needs a value"),
        ("deploy edge-1 --tag 1 --tag 2", "given twice"),
        ("deploy edge-1 --replicas many", "not a number"),
        ("deploy edge-1 edge-2", "edge-2"),
        ("deploy --take-over=yes edge-1", "takes no value"),
        ('deploy "edge-1', "quote"),
        ("xyzzy", "Type `help`"),
    ],
)
def test_a_wrong_command_says_what_is_wrong_and_what_to_write(typed: str, said: str) -> None:
    with pytest.raises(InvalidInput) as error:
        parse(typed, VERBS)
    assert said in str(error.value)


@pytest.mark.parametrize("verb", [verb.name for verb in VERBS])
def test_every_verb_explains_itself(verb: str) -> None:
    assert parse(f"{verb} --help", VERBS).help


@given(st.text(max_size=300))
def test_any_text_is_understood_or_explained(text: str) -> None:
    with contextlib.suppress(InvalidInput):
        assert parse(text, VERBS).verb in VERBS
