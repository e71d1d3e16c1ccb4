"""What other bots do between two commands of this one loses nothing and leaves nothing behind."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bot.sandbox.valkey import Valkey
from deploy.actions.action import Outcome, State
from deploy.actions.audit import AuditLog
from deploy.actions.audit_pump import AuditPump
from deploy.actions.connection import connect
from deploy.actions.outbox import Outbox
from deploy.actions.store import ActionStore
from tests.support.actions import CODEC, ask, by_approvers, confirm, deny
from tests.support.redis_servers import started


class Meanwhile:
    """A client; once, just before a script with that word in it runs, something else happens."""

    def __init__(self, url: str, word: str, happens: Callable[[], object]) -> None:
        self._client = connect(url)
        self._word = word
        self._happens: Callable[[], object] | None = happens

    def register_script(self, text: str) -> Callable[..., Any]:
        script = self._client.register_script(text)

        def run(**given: Any) -> Any:
            if self._word in text and self._happens is not None:
                happens, self._happens = self._happens, None
                happens()
            return script(**given)

        return run

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path_factory.mktemp("redis"))


@pytest.fixture(autouse=True)
def empty(server: Valkey) -> None:
    connect(server.url).flushall()


def test_who_looks_for_an_action_that_is_just_being_made_does_not_lose_it(server: Valkey) -> None:
    client = connect(server.url)
    store, outbox = ActionStore(client, CODEC), Outbox(client, CODEC)
    audit = AuditPump(client, CODEC, AuditLog(client))

    def another_bot_looks() -> None:
        for action_id in store.due():
            assert store.get(action_id) is None
            store.drop_due(action_id)
        for action_id in outbox.owed():
            outbox.claim(action_id, "bot-2", 30)
        audit.pump()

    ask(ActionStore(Meanwhile(server.url, "made_by", another_bot_looks), CODEC))
    assert store.due() == ["AAAAAA"]
    assert outbox.owed() == ["AAAAAA"]
    assert audit.pump() == 1
    assert [action.state for action in store.open()] == [State.PENDING]


def test_what_was_changed_since_somebody_found_nothing_is_not_dropped(server: Valkey) -> None:
    store = ActionStore(connect(server.url), CODEC)
    connect(server.url).zadd("gateway-bot:{due}", {"AAAAAA": 0})
    assert store.due() == ["AAAAAA"]
    assert store.get("AAAAAA") is None
    ask(store)
    store.drop_due("AAAAAA")
    assert store.due() == ["AAAAAA"]


def ended(store: ActionStore, way: str) -> State:
    if way == "denied":
        ask(store, policy=by_approvers())
        deny(store, "U2")
    elif way == "cancelled":
        ask(store)
        store.cancel("AAAAAA", by="U1", digest="d1", request_id="1")
    elif way == "expired":
        ask(store, ttl=0)
        confirm(store)
    else:
        ask(store)
        confirm(store)
        store.claim("AAAAAA", "bot-1", 1, 30)
        store.step("AAAAAA", "bot-1", 1, "apply", "", "s1")
        store.finish("AAAAAA", "bot-1", 1, Outcome(State.SUCCEEDED, "done"))
    found = store.get("AAAAAA")
    assert found is not None
    return found.state


@pytest.mark.parametrize("way", ["denied", "cancelled", "expired", "succeeded"])
def test_nothing_of_an_ended_action_is_kept_for_ever(server: Valkey, way: str) -> None:
    client = connect(server.url)
    assert ended(ActionStore(client, CODEC), way) == way
    keys = list(client.scan_iter("*{a:AAAAAA}*"))
    assert len(keys) >= 3
    assert [key for key in keys if client.pttl(key) < 0] == []


def test_a_redis_wiped_while_the_trail_is_written_leaves_no_half_of_an_action(
    server: Valkey,
) -> None:
    client = connect(server.url)
    store = ActionStore(client, CODEC)
    ask(store)
    late = Meanwhile(server.url, "'audited', ARGV[1]", client.flushall)
    assert AuditPump(late, CODEC, AuditLog(client)).pump() == 1
    assert store.get("AAAAAA") is None
    gone = confirm(store)
    assert (gone.result, gone.action) == ("gone", None)


def test_what_is_shown_by_a_bot_whose_turn_was_over_is_shown_anew(server: Valkey) -> None:
    client = connect(server.url)
    store, outbox = ActionStore(client, CODEC), Outbox(client, CODEC)
    place = {"channel": "C1", "ts": "1.0"}
    ask(store)
    late = outbox.claim("AAAAAA", "bot-1", 0)
    assert late is not None
    store.cancel("AAAAAA", by="U1", digest="d1", request_id="1")
    newest = outbox.claim("AAAAAA", "bot-2", 30)
    assert newest is not None
    outbox.delivered("AAAAAA", "bot-2", newest.version, place)
    assert outbox.claim("AAAAAA", "bot-3", 30) is None, "the newest is shown, nothing is owed"
    outbox.delivered("AAAAAA", "bot-1", late.version, place)
    assert outbox.owed() == ["AAAAAA"]
    once_more = outbox.claim("AAAAAA", "bot-2", 30)
    assert once_more is not None
    assert once_more.action.state is State.CANCELLED
    outbox.delivered("AAAAAA", "bot-2", once_more.version, place)
    assert outbox.claim("AAAAAA", "bot-2", 30) is None


def test_a_late_sender_makes_owed_what_is_being_sent_at_that_moment(server: Valkey) -> None:
    client = connect(server.url)
    store, outbox = ActionStore(client, CODEC), Outbox(client, CODEC)
    place = {"channel": "C1", "ts": "1.0"}
    ask(store)
    late = outbox.claim("AAAAAA", "bot-1", 0)
    assert late is not None
    store.cancel("AAAAAA", by="U1", digest="d1", request_id="1")
    newest = outbox.claim("AAAAAA", "bot-2", 30)
    assert newest is not None
    outbox.delivered("AAAAAA", "bot-1", late.version, place)
    outbox.delivered("AAAAAA", "bot-2", newest.version, place)
    assert outbox.claim("AAAAAA", "bot-2", 30) is not None


def test_who_sent_of_an_action_that_is_gone_leaves_nothing_of_it(server: Valkey) -> None:
    client = connect(server.url)
    Outbox(client, CODEC).delivered("AAAAAA", "bot-1", 1, {"channel": "C1", "ts": "1.0"})
    assert list(client.scan_iter("*{a:AAAAAA}*")) == []
