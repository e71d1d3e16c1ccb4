"""Whatever a view makes is cut to what Slack accepts."""

from hypothesis import given
from hypothesis import strategies as st

from handlers.messages.fitting import whole
from handlers.views.fitting import ALL_TEXT, BLOCKS, TEXT, fitted
from handlers.views.reply import Block
from handlers.views.text import button, context, section

PARTS = st.lists(
    st.one_of(
        st.text(max_size=3000).map(lambda text: section(text or "-")),
        st.text(max_size=2500).map(lambda text: section(f"```\n{text}\n```")),
        st.lists(st.text(min_size=1, max_size=500), min_size=1, max_size=5).map(
            lambda several: context(*several)
        ),
    ),
    max_size=60,
)


def texts(blocks: list[Block]) -> list[str]:
    found = []
    for block in blocks:
        parts = block.get("elements") or [block["text"]]
        found += [part["text"] for part in parts]
    return found


@given(st.text(max_size=6000), PARTS)
def test_a_message_of_any_size_is_within_slacks_bounds(text: str, blocks: list[Block]) -> None:
    said, kept, shorter = fitted(text, tuple(blocks))
    assert len(said) <= TEXT
    assert len(kept) <= BLOCKS
    assert sum(map(len, texts(kept))) <= ALL_TEXT + 5 * BLOCKS * 200
    if not shorter:
        assert (said, kept) == (text, blocks)


def test_the_longest_text_is_cut_first_and_its_fence_is_closed() -> None:
    long = [section("short"), *(section("```\n" + "x" * 2900 + "\n```") for _ in range(6))]
    _, kept, shorter = fitted("t", tuple(long))
    assert shorter
    assert kept[0] == long[0]
    assert all(block["text"]["text"].count("```") == 2 for block in kept[1:])
    assert sum(map(len, texts(kept))) <= ALL_TEXT


def test_buttons_are_left_as_they_are() -> None:
    actions = {"type": "actions", "elements": [button("Approve", "approve", "v" * 1900)]}
    blocks = (*(section("x" * 3000) for _ in range(6)), actions)
    assert fitted("t", blocks)[1][-1] == actions


def test_all_of_what_was_cut_is_in_pieces_that_slack_takes() -> None:
    blocks = tuple(section(str(number) * 3000) for number in range(8))
    pieces = whole(blocks)
    assert "".join(pieces).replace("\n", "") == "".join(str(n) * 3000 for n in range(8))
    assert max(map(len, pieces)) <= TEXT
