"""Preformatted lines on a phone: none is wider than it shows, and none loses anything."""

from hypothesis import example, given
from hypothesis import strategies as st

from handlers.views.columns import WIDTH, columns, shortened, wrapped

WIDE = st.text(alphabet="ab .-/日本é→👩‍👩‍👧", max_size=300)
LINES = st.text(st.characters(exclude_characters="\n"), max_size=300) | WIDE


@given(LINES, st.integers(0, 40))
@example("", 0)
@example("x" * 200, 30)
def test_a_line_of_any_length_is_broken_into_narrow_ones_without_loss(text: str, deep: int) -> None:
    found = wrapped(" " * deep + text)
    assert all(columns(line) <= WIDTH for line in found)
    assert "".join("".join(found).split(" ")) == "".join(text.split(" "))


def test_what_fits_stays_as_it_is() -> None:
    assert wrapped("  spec.replicas: 2 → 3") == ["  spec.replicas: 2 → 3"]
    assert wrapped("") == [""]


def test_a_line_is_broken_at_a_space_or_a_sign_and_goes_on_deeper() -> None:
    assert wrapped("  spec.template.spec.containers[edge-1].env[config.service.auth]:") == [
        "  spec.template.spec.containers[edge-1].",
        "    env[config.service.auth]:",
    ]
    assert wrapped(f"  {'a' * 30} {'b' * 30}") == [f"  {'a' * 30}", f"    {'b' * 30}"]


def test_east_asian_characters_and_emoji_take_two_columns() -> None:
    assert columns("日本 ab") == 7
    assert columns("🔴") == 2
    assert columns("é↻…→") == 4
    assert columns("e\u0301") == 1


@given(LINES, st.integers(3, 60), st.booleans())
def test_a_shortened_text_keeps_its_beginning_and_its_end(
    text: str, width: int, prose: bool
) -> None:
    short = shortened(text, width, prose=prose)
    assert columns(short) <= width
    if short != text:
        begin, _, end = short.partition("…") if "…" not in text else ("", "", "")
        assert text.startswith(begin)
        assert text.endswith(end)


def test_names_that_are_generated_are_told_apart_by_their_end() -> None:
    assert shortened("edge-1-token-20261130-a7f3", 15) == "edge-1-…30-a7f3"


def test_of_a_sentence_that_is_shortened_no_word_is_cut() -> None:
    said = "failed to pull the image from the registry: 503 Service Unavailable"
    assert shortened(said, 40, prose=True) == "failed to pull the…Unavailable"
