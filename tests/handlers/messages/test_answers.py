"""What was said to the bot is answered once, in the thread of the message."""

from collections.abc import Iterator
from typing import Any

import pytest

from bot.sandbox.valkey import Valkey
from deploy.actions.connection import connect
from deploy.health.live_messages import LiveMessages
from handlers.messages.family import Message
from handlers.messages.live_family import LiveFamily
from handlers.messages.store import MessageRecord, Place
from handlers.slack.payloads import Request, request_to_mapping
from tests.support.redis_servers import started


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path_factory.mktemp("redis"))


def answer(client: Any, request: Request) -> Message:
    """Its message, however often the answer was given."""
    store = LiveMessages(client, "bot-1", "answer")
    for text in ("first", "second"):
        store.once(request.id, request_to_mapping(request), {"text": text, "blocks": []})
    family, record = LiveFamily("answer", store, ""), MessageRecord("answer", request.id)
    return family.render(family.load(request.id, record), record)


def test_in_a_channel_it_stands_in_the_thread_of_what_was_said(server: Valkey) -> None:
    said = Request("said:C1:5.1", "status", "U1", "C1", said=True, thread="5.1")
    found = answer(connect(server.url), said)
    assert found.parent == Place("C1", "5.1")
    assert found.final
    assert found.text.startswith("first"), "the first answer is the one"


def test_in_a_direct_message_it_stands_in_the_conversation(server: Valkey) -> None:
    found = answer(connect(server.url), Request("said:D1:5.1", "status", "U1", "D1", said=True))
    assert found.parent is None
    assert found.channels[0] == "D1"
