"""What one person was shown can be shown to everybody, with who did that and of when it is."""

from hypothesis import given
from hypothesis import strategies as st

from handlers.views.reply import Reply
from handlers.views.sharing import offered, shared
from handlers.views.text import button, header, section
from tests.support.shown import check_blocks

BLOCKS = st.sampled_from(
    [
        header("edge-1"),
        section("2 of 2 pods ready"),
        {"type": "actions", "elements": [button("Rotate", "rotate", "x")]},
    ]
)


@given(st.lists(BLOCKS, max_size=5))
def test_the_button_stands_last_and_the_rest_is_as_it_was(blocks: list[dict[str, object]]) -> None:
    reply = offered(Reply("text", tuple(blocks)), "status_share", "west/dev/edge-1")
    check_blocks(list(reply.blocks))
    last = reply.blocks[-1]["elements"][-1]
    assert (last["action_id"], last["value"]) == ("status_share", "west/dev/edge-1")
    assert last["text"]["text"] == "Share to channel"
    assert len(reply.blocks) - len(blocks) in (0, 1)
    assert list(reply.blocks[: len(blocks) - 1]) == blocks[:-1]


@given(st.lists(BLOCKS, max_size=5))
def test_what_is_shared_says_by_whom_and_of_when(blocks: list[dict[str, object]]) -> None:
    reply = shared(Reply("edge-1: 2 of 2 pods ready", tuple(blocks)), "U1", 90.0)
    check_blocks(list(reply.blocks))
    assert reply.text == "edge-1: 2 of 2 pods ready, shared by <@U1>"
    (said,) = [b["elements"][0]["text"] for b in reply.blocks if b["type"] == "context"]
    assert said.startswith("Shared by <@U1>. Read <!date^90^")
    assert [b for b in reply.blocks if b["type"] != "context"] == blocks
