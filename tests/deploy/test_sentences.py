"""Parts of sentences."""

import pytest

from deploy.sentences import joined


@pytest.mark.parametrize(
    ("words", "said"),
    [((), ""), (("a",), "a"), (("a", "b"), "a or b"), (("a", "b", "c"), "a, b or c")],
)
def test_words_are_joined_as_in_a_sentence(words: tuple[str, ...], said: str) -> None:
    assert joined(words, "or") == said
