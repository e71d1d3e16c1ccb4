"""The audit trail: each entry once, in one chain, and whatever is changed in it is found."""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.sandbox.valkey import Valkey
from deploy.actions.audit import AuditEntry, AuditLog, Sealed, faults, read_lines, seal
from deploy.actions.audit_pump import AuditPump
from deploy.actions.connection import connect
from deploy.actions.store import ActionStore
from deploy.actions.windows import Windows
from deploy.errors import InvalidInput
from deploy.gateway import GatewayRef
from deploy.plans.requests import ScaleRequest
from handlers.views.history import trail
from tests.support.actions import CODEC, ask, by_approvers
from tests.support.redis_servers import LosingProxy, started
from tests.support.waiting import until
from tests.support.windows import is_open, windows_of

REF = GatewayRef("west", "prod", "edge-1")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path_factory.mktemp("redis"))


@pytest.fixture(autouse=True)
def empty(server: Valkey) -> None:
    connect(server.url).flushall()


def act(server: Valkey, name: str) -> None:
    store = ActionStore(connect(server.url), CODEC)
    ask(store, name, ref=REF)
    store.cancel(name, by="U1", digest="d1", request_id="no")


def pump_of(server: Valkey, log: AuditLog) -> AuditPump:
    return AuditPump(connect(server.url), CODEC, log)


def test_what_an_action_logged_reaches_the_chain_once_and_in_order(server: Valkey) -> None:
    lines: list[str] = []
    log = AuditLog(connect(server.url), emit=lines.append)
    pump = pump_of(server, log)
    act(server, "AAAAAA")
    assert pump.pump() == 2
    act(server, "BBBBBB")
    until(lambda: pump.pump() or len(lines) == 4, "the rest")
    assert [(e.subject, e.event, e.who) for e in log.read()][::-1] == [
        ("AAAAAA", "pending", "U1"),
        ("AAAAAA", "cancelled", "U1"),
        ("BBBBBB", "pending", "U1"),
        ("BBBBBB", "cancelled", "U1"),
    ]
    assert log.of("west/dev/other") == []
    assert [len(log.of(name)) for name in ("edge-1", "prod/edge-1", "ge-1", "other")] == [
        4, 4, 0, 0,
    ]  # fmt: skip
    assert log.verify() == (4, [])
    assert list(faults(read_lines(["other output", *lines]), start="")) == []


def test_why_somebody_went_through_a_freeze_is_on_record(server: Valkey) -> None:
    log, store = AuditLog(connect(server.url)), ActionStore(connect(server.url), CODEC)
    ask(store, ref=REF, policy=by_approvers(break_glass="it is down"))
    pump_of(server, log).pump()
    assert [(e.event, e.who, e.detail) for e in log.read()][::-1] == [
        ("break-glass", "U1", "it is down"),
        ("pending", "U1", "d1"),
    ]
    text = json.dumps(trail(log.read()).blocks)
    assert "freeze overridden and requested by <@U1>: it is down" in text


def test_steps_take_no_place_from_what_was_decided(server: Valkey) -> None:
    log = AuditLog(connect(server.url))
    for version, event in enumerate(["pending", "step plan", "step apply", "succeeded"], 1):
        log.append(
            event, "U1", "", ref=REF, subject="AAAAAA", kind="deploy", version=version, at=1.0
        )
    assert [e.event for e in log.read(limit=2, steps=False)] == ["succeeded", "pending"]


def test_an_entry_names_what_was_asked_for_and_not_how_it_is_carried_out(server: Valkey) -> None:
    store = ActionStore(connect(server.url), CODEC)
    ask(store, ref=REF, kind="scale", request=ScaleRequest(REF, 2))
    log = AuditLog(connect(server.url))
    pump_of(server, log).pump()
    assert [entry.kind for entry in log.read()] == ["scale"]


def test_four_pumps_at_once_copy_each_entry_once(server: Valkey) -> None:
    lines: list[str] = []
    for number in range(25):
        act(server, f"A{number}")
    stop = threading.Event()

    def pump() -> None:
        mine = pump_of(server, AuditLog(connect(server.url), emit=lines.append))
        while not stop.is_set():
            mine.pump()

    threads = [threading.Thread(target=pump) for _ in range(4)]
    for thread in threads:
        thread.start()
    until(lambda: len(lines) >= 50, "every entry")
    stop.set()
    for thread in threads:
        thread.join()
    assert AuditLog(connect(server.url)).verify() == (50, [])
    assert len(lines) == len(set(lines)) == 50


def test_a_lost_reply_neither_doubles_nor_silences_an_entry(server: Valkey, tmp_path: Path) -> None:
    proxy = LosingProxy(server.url, tmp_path)
    lines: list[str] = []
    log = AuditLog(connect(proxy.url), emit=lines.append)
    proxy.match, proxy.lose = b"EVALSHA", 2
    log.append("x", "U1", "", subject="s", kind="k", version=1, at=1.0)
    log.append("x", "U1", "", subject="s", kind="k", version=1, at=1.0)
    assert log.verify() == (1, [])
    assert len(lines) == 1
    proxy.close()


def test_what_is_too_old_goes_and_the_rest_still_follows_from_it(server: Valkey) -> None:
    client = connect(server.url)
    log = AuditLog(client, keep_days=1)
    for number in range(3):
        log.append("x", "U1", "", subject=f"s{number}", kind="k", version=1, at=1.0)
    stored = client.xrange("gateway-bot:{audit}:log")
    client.delete("gateway-bot:{audit}:log")
    for number, (_, fields) in enumerate(stored):
        # The first two are of long ago.
        client.xadd("gateway-bot:{audit}:log", fields, id=f"{number + 1}-1" if number < 2 else "*")
    assert log.trim() == 2
    assert log.verify() == (1, [])
    client.xtrim("gateway-bot:{audit}:log", maxlen=0)
    assert log.verify()[1] == ["the last entry is not the newest one that was written"]


def chain(count: int, key: bytes) -> list[Sealed]:
    found: list[Sealed] = []
    for number in range(1, count + 1):
        prev = found[-1].hash if found else ""
        entry = AuditEntry(number, 1.5, "approved", "U2", "AAAAAA", "deploy", str(REF), "d", prev)
        found.append(seal(entry, key))
    return found


@given(
    key=st.sampled_from([b"", b"secret"]), place=st.integers(0, 4), data=st.data(),
    way=st.sampled_from(["text", "hash", "remove", "double", "swap"]),
)  # fmt: skip
def test_any_change_of_any_byte_and_any_entry_moved_or_gone_is_found(
    key: bytes, place: int, data: st.DataObject, way: str
) -> None:
    good = chain(5, key)
    changed = list(good)
    victim = good[place]
    if way in ("text", "hash"):
        value = victim.text if way == "text" else victim.hash
        at = data.draw(st.integers(0, len(value) - 1))
        other = value[:at] + chr((ord(value[at]) + 1) % 128) + value[at + 1 :]
        changed[place] = Sealed(other, victim.hash) if way == "text" else Sealed(victim.text, other)
    elif way == "remove":
        del changed[place]
    elif way == "double":
        changed.insert(place, victim)
    else:
        changed[place], changed[(place + 1) % 5] = changed[(place + 1) % 5], changed[place]
    assert list(faults(good, start="", end=good[-1].hash, key=key)) == []
    assert list(faults(changed, start="", end=good[-1].hash, key=key)) != []


def test_without_the_key_nobody_makes_a_chain_that_passes() -> None:
    assert list(faults(chain(3, b""), start="", key=b"secret")) != []


def test_a_window_is_opened_for_one_person_and_closed_by_another(server: Valkey) -> None:
    client = connect(server.url)
    log = AuditLog(client)
    windows = windows_of(client, log)
    made = windows.open(
        REF, "U1", by="U2", reason="link", seconds=600, channel="C1", request_id="r1"
    )
    again = windows.open(
        REF, "U1", by="U2", reason="link", seconds=600, channel="C1", request_id="r1"
    )
    assert again.key == made.key
    assert windows.find(REF, "U1") is not None
    assert windows.find(REF, "U3") is None
    assert windows.find(GatewayRef("west", "prod", "edge-2"), "U1") is None
    assert is_open(windows, made.key)
    closed = windows.close(made.key, by="U4")
    assert closed is not None
    assert (closed.open, closed.closed_by) == (False, "U4")
    assert not is_open(windows, made.key)
    reopened = windows.open(
        REF, "U1", by="U2", reason="again", seconds=600, channel="C1", request_id="r2"
    )
    assert reopened.key != made.key
    assert not is_open(windows, made.key), "what was asked under the first one stays closed"
    assert is_open(windows, reopened.key)
    assert [(e.event, e.who) for e in log.read()][::-1] == [
        ("window opened", "U2"),
        ("window closed", "U4"),
        ("window opened", "U2"),
    ]
    assert windows.close("}x{-1", by="U4") is None
    assert not is_open(windows, "nonsense")


def test_a_window_that_is_over_is_given_out_until_it_is_reported(server: Valkey) -> None:
    client = connect(server.url)
    windows = windows_of(client)
    made = windows.open(
        REF, "U1", by="U2", reason="link", seconds=600, channel="C1", request_id="r1"
    )
    assert windows.ended() == []
    assert windows.versions() == {made.key: 1}
    windows.close(made.key, by="U4")
    (over,) = windows.ended()
    assert (over.open, over.channel) == (False, "C1")
    assert windows.versions() == {made.key: 2}
    assert windows.ended() == [], "another bot is not given it at once"
    windows.reported(over)
    assert windows.versions() == {}
    short = windows.open(REF, "U1", by="U2", reason="x", seconds=1, channel="C1", request_id="r2")
    until(lambda: short.key in [w.key for w in windows.ended()], "its end")


def test_a_window_counts_only_while_its_message_is_shown(server: Valkey) -> None:
    client = connect(server.url)
    shown: set[str] = set()
    windows = Windows(client, AuditLog(client), shown.__contains__)
    made = windows.open(
        REF, "U1", by="U2", reason="link", seconds=600, channel="C1", request_id="r1"
    )
    assert (made.open, made.over) == (False, False)
    assert windows.find(REF, "U1") is None
    assert windows.open_for("U1") == ()
    assert not is_open(windows, made.key)
    last = windows.latest(REF, "U1")
    assert last is not None
    assert last.key == made.key
    shown.add(made.key)
    assert windows.find(REF, "U1") is not None
    assert windows.open_for("U1") != ()
    assert is_open(windows, made.key)
    shown.clear()
    assert not is_open(windows, made.key)


def test_a_window_that_is_opened_while_another_is_open_ends_that_one(server: Valkey) -> None:
    client = connect(server.url)
    windows = windows_of(client)
    made = [
        windows.open(
            REF, "U1", by=f"U{n + 2}", reason=str(n), seconds=60, channel="C1", request_id=f"r{n}"
        )
        for n in range(3)
    ]
    found = [windows.at(each.key) for each in made]
    assert [each and (each.over, each.closed_by, each.reason) for each in found] == [
        (True, "U3", "0"),
        (True, "U4", "1"),
        (False, "", "2"),
    ]
    assert [is_open(windows, each.key) for each in made] == [False, False, True]
    assert windows.versions() == {made[0].key: 2, made[1].key: 2, made[2].key: 1}


def test_a_window_is_on_record_also_where_one_of_long_ago_is_forgotten(server: Valkey) -> None:
    client = connect(server.url)
    log = AuditLog(client)
    windows = windows_of(client, log)
    keys = set()
    for request in ("r1", "r2"):
        made = windows.open(
            REF, "U1", by="U2", reason="link", seconds=600, channel="C1", request_id=request
        )
        windows.close(made.key, by="U4")
        keys.add(made.key)
        # As Redis does after a month.
        client.delete(f"gateway-bot:{{w:{made.id}}}")
    assert len(keys) == 2
    assert [e.event for e in log.read()] == ["window closed", "window opened"] * 2


class Dying(AuditLog):
    """The log of a bot that dies before it writes."""

    def append(self, *_: Any, **__: Any) -> None:
        raise SystemExit


def test_who_closed_a_window_is_on_record_also_if_their_bot_died_at_it(server: Valkey) -> None:
    client = connect(server.url)
    log = AuditLog(client)
    windows = windows_of(client, log)
    made = windows.open(
        REF, "U1", by="U2", reason="link", seconds=600, channel="C1", request_id="r1"
    )
    with pytest.raises(SystemExit):
        windows_of(client, Dying(client)).close(made.key, by="U4")
    (over,) = until(windows.ended, "its end")
    for _ in range(2):
        windows.reported(over)
    assert [(e.event, e.who) for e in log.read()] == [
        ("window closed", "U4"),
        ("window opened", "U2"),
    ]


@pytest.mark.parametrize(("by", "seconds"), [("U2", 3601), ("U2", 0), ("U1", 60)])
def test_a_window_is_never_for_long_nor_for_oneself(server: Valkey, by: str, seconds: int) -> None:
    client = connect(server.url)
    with pytest.raises(InvalidInput):
        windows_of(client).open(
            REF, "U1", by=by, reason="x", seconds=seconds, channel="C1", request_id="r"
        )


class Interrupted:
    """A client after whose call of that number something else happens in Redis."""

    def __init__(self, client: Any, number: int, meanwhile: Callable[[], object]) -> None:
        self._client = client
        self.left = number
        self._meanwhile = meanwhile

    def register_script(self, text: str) -> Any:
        return self._counted(self._client.register_script(text))

    def __getattr__(self, name: str) -> Any:
        return self._counted(getattr(self._client, name))

    def _counted(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            answer = method(*given, **named)
            self.left -= 1
            if self.left == 0:
                self._meanwhile()
            return answer

        return call


def written(log: AuditLog, count: int, first: int = 1) -> None:
    for version in range(first, first + count):
        log.append("told", "U1", "", subject="a-1", kind="message", version=version, at=0.0)


@pytest.mark.parametrize("change", ["an append", "a trim"])
def test_a_trail_that_changes_while_it_is_looked_through_is_not_called_tampered_with(
    server: Valkey, change: str
) -> None:
    client = connect(server.url)
    log = AuditLog(client)

    def meanwhile() -> None:
        if change == "a trim":
            AuditLog(connect(server.url), keep_days=-1).trim()
        else:
            written(AuditLog(connect(server.url)), 1, 1001)

    number, reached = 1, True
    while reached:
        client.flushall()
        written(log, 501)
        interrupted = Interrupted(client, number, meanwhile)
        assert AuditLog(interrupted).verify()[1] == []
        reached, number = interrupted.left <= 0, number + 1
    assert number > 3
