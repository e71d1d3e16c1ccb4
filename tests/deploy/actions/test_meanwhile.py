"""What other bots do between two commands of this one loses nothing and leaves nothing behind."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bot.sandbox.valkey import Valkey
from deploy.actions.action import Outcome, State
from deploy.actions.audit import AuditLog
from deploy.actions.audit_pump import AuditPump
from deploy.actions.connection import connect
from deploy.actions.store import ActionStore
from deploy.actions.windows import Window, Windows
from deploy.health.live_messages import LiveMessages
from handlers.messages.store import MessageStore
from tests.support.actions import CODEC, REF, ask, by_approvers, confirm, deny
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

        run.sha = script.sha  # type: ignore[attr-defined]
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
    store, messages = ActionStore(client, CODEC), MessageStore(client, "bot-2")
    audit = AuditPump(client, CODEC, AuditLog(client))

    def another_bot_looks() -> None:
        for due in store.due():
            assert store.get(due.id) is None
            store.drop_due(due)
        for name in messages.due(50).members:
            record = messages.take(*name)
            assert record is not None
            messages.drop(record)
        audit.pump()

    ask(ActionStore(Meanwhile(server.url, "made_by", another_bot_looks), CODEC))
    assert [due.id for due in store.due()] == ["AAAAAA"]
    assert messages.due(50).members == (("action", "AAAAAA"),)
    assert audit.pump() == 1
    assert [action.state for action in store.open()] == [State.PENDING]


def test_what_was_changed_since_somebody_found_nothing_is_not_dropped(server: Valkey) -> None:
    store = ActionStore(connect(server.url), CODEC)
    connect(server.url).zadd("gateway-bot:{due}", {"AAAAAA": 0})
    (due,) = store.due()
    assert store.get("AAAAAA") is None
    ask(store)
    store.drop_due(due)
    assert [each.id for each in store.due()] == ["AAAAAA"]


def test_what_was_approved_and_taken_anew_meanwhile_is_not_put_off(server: Valkey) -> None:
    store = ActionStore(connect(server.url), CODEC)
    pending = ask(store)
    (due,) = store.due()
    confirm(store)
    (again,) = store.due()
    store.put_off(due, [pending.expires_at])
    store.drop_due(due)
    index = connect(server.url).zscore("gateway-bot:{due}", "AAAAAA")
    assert f"{index:.0f}" == again.score


@pytest.mark.parametrize("way", ["confirmed", "cancelled"])
def test_what_was_decided_by_a_bot_that_died_before_it_made_it_due_is_due_at_the_next_sweep(
    server: Valkey, way: str
) -> None:
    store, client = ActionStore(connect(server.url), CODEC), connect(server.url)
    for name in ("AAAAAA", "BBBBBB"):
        pending = ask(store, name)
    if way == "confirmed":
        confirm(store)
    else:
        store.cancel("AAAAAA", by="U1", digest="d1", request_id="1")
    for due in store.due():
        store.put_off(due, [pending.expires_at])
    assert store.due() == []
    assert set(store.versions()) == {"AAAAAA", "BBBBBB"}
    assert [due.id for due in store.due()] == ["AAAAAA"]
    assert client.zscore("gateway-bot:{due}", "BBBBBB") == pytest.approx(
        pending.expires_at * 1000, abs=2
    )


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


def test_a_window_that_is_opened_anew_while_its_end_is_reported_is_not_forgotten(
    server: Valkey,
) -> None:
    def windows_of(client: Any) -> Windows:
        return Windows(client, AuditLog(client), lambda key: True)

    def opened(request_id: str) -> Window:
        return windows.open(
            REF, "U1", by="U2", reason="link", seconds=600, channel="C1", request_id=request_id
        )

    windows = windows_of(connect(server.url))
    first = opened("r1")
    windows.close(first.key, by="U4")
    (over,) = windows.ended()
    again: list[Window] = []
    late = Meanwhile(server.url, "'ZREM'", lambda: again.append(opened("r2")))
    windows_of(late).reported(over)
    assert windows.versions()[again[0].key] == 1


def test_a_live_message_that_begins_while_others_look_for_those_left_behind_is_found_later(
    server: Valkey,
) -> None:
    other = LiveMessages(connect(server.url), "bot-2", "watch")
    late = Meanwhile(server.url, "'begun', now", lambda: other.orphans(()))
    assert LiveMessages(late, "bot-1", "watch", lease=0).begin("r1", {}, 60, {}) is not None
    assert [each.id for each in other.orphans(())] == ["r1"]


def test_a_live_message_that_begins_as_another_bot_finds_none_of_that_name_is_found_later(
    server: Valkey,
) -> None:
    client = connect(server.url)
    mine = LiveMessages(client, "bot-1", "watch", lease=0)
    # Its bot has written the index and nothing else yet.
    client.sadd("gateway-bot:watch:{live}:all", "r1")

    def begins(key: str) -> None:
        assert mine.begin(key, {}, 60, {}) is not None

    other = LiveMessages(client, "bot-2", "watch", on_mark=begins)
    assert other.orphans(()) == []
    assert [each.id for each in other.orphans(())] == ["r1"]
