"""The history of a gateway is found by an index, which says what a look through the trail says."""

import itertools
import json
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.sandbox.valkey import Valkey
from deploy.actions.audit import AuditEntry, AuditLog
from deploy.actions.audit_index import AuditIndex
from deploy.actions.connection import connect
from deploy.gateway import GatewayRef
from tests.support.redis_servers import LosingProxy, started

LOG = "gateway-bot:{audit}:log"
REFS = [
    *(
        GatewayRef(cluster, "prod", name)
        for cluster in ("west", "east")
        for name in ("edge-1", "1")
    ),
    GatewayRef("west", "dev", "edge-1"),
]
NAMES = [
    "edge-1",
    "prod/edge-1",
    "west/prod/edge-1",
    "1",
    "ge-1",
    "",
    "west",
    "west/prod",
    "*",
    "{x}",
]
EVENTS = ["pending", "approved", "step apply", "succeeded"]
_NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path_factory.mktemp("redis"))


@pytest.fixture(autouse=True)
def empty(server: Valkey) -> None:
    connect(server.url).flushall()


def append(log: AuditLog, event: str, ref: GatewayRef | None) -> None:
    subject = f"S{next(_NUMBERS)}"
    log.append(event, "U1", "", ref=ref, subject=subject, kind="deploy", version=1, at=1.0)


def looked_through(log: AuditLog, name: str, limit: int) -> list[AuditEntry]:
    """What `of` is to say, found in the trail itself."""
    every = log.read(limit=10_000, steps=False)
    return [e for e in every if e.ref and f"/{e.ref}".endswith(f"/{name}") and name][:limit]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rounds=st.lists(
        st.tuples(
            st.lists(st.tuples(st.sampled_from(EVENTS), st.sampled_from([*REFS, None]))),
            st.booleans(),
        ),
        max_size=5,
    ),
    limit=st.integers(1, 8),
)  # fmt: skip
def test_the_index_says_what_a_look_through_the_trail_says_however_far_it_has_come(
    server: Valkey,
    rounds: Sequence[tuple[Sequence[tuple[str, GatewayRef | None]], bool]],
    limit: int,
) -> None:
    client = connect(server.url)
    client.flushall()
    log = AuditLog(client)
    for entries, filed in rounds:
        # A bot of an older version adds to the trail alone, which is what `append` does.
        for event, ref in entries:
            append(log, event, ref)
        if filed:
            log.file()
    for name in NAMES:
        assert log.of(name, limit) == looked_through(log, name, limit)


def test_what_older_versions_wrote_is_filed_and_shown_until_then(
    server: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.actions.audit._BATCHES", 1)
    monkeypatch.setattr("deploy.actions.audit_index._BATCH", 7)
    log = AuditLog(connect(server.url))
    for number in range(20):
        append(log, "pending", REFS[number % 2])
    for filed in range(4):
        assert len(log.of("west/prod/edge-1", 100)) == 10, f"{filed} batches are filed"
        log.file()
    assert connect(server.url).llen("gateway-bot:{audit}:of:west/prod/edge-1") == 10


def test_two_bots_that_file_at_once_and_a_lost_answer_file_each_entry_once(
    server: Valkey, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.actions.audit_index._BATCH", 3)
    proxy = LosingProxy(server.url, tmp_path_factory.mktemp("proxy"))
    client = connect(server.url)
    first, second = AuditLog(connect(proxy.url)), AuditLog(client)
    for number in range(30):
        append(second, EVENTS[number % 2], REFS[0])
        if number % 10 == 9:
            proxy.match, proxy.lose = b"EVALSHA", 1
            first.file()
            second.file()
    assert client.llen("gateway-bot:{audit}:of:edge-1") == 30
    assert second.of("edge-1", 100) == looked_through(second, "edge-1", 100)
    proxy.close()


def test_entries_that_come_while_a_history_is_read_are_neither_doubled_nor_in_the_way(
    server: Valkey,
) -> None:
    client = connect(server.url)
    log = AuditLog(client)
    for _ in range(30):
        append(log, "pending", REFS[0])
    log.file()
    before = log.of("edge-1", 100)
    index = AuditIndex(client, "gateway-bot:{audit}", LOG, 86_400_000)
    pages = index.newest("edge-1", index.filed(), 4)
    ids = list(next(pages))
    for _ in range(6):
        append(log, "approved", REFS[0])
    log.file()
    ids += itertools.chain.from_iterable(pages)
    assert len(ids) == len(set(ids)) == 30
    assert ids == [entry_id for entry_id, _ in client.xrevrange(LOG)][6:]
    assert log.of("edge-1", 100)[6:] == before


def test_what_the_trail_let_go_of_is_gone_from_the_index_and_hides_nothing(server: Valkey) -> None:
    client = connect(server.url)
    log = AuditLog(client, keep_days=1)
    for _ in range(6):
        append(log, "pending", REFS[0])
    log.file()
    oldest = [entry_id for entry_id, _ in client.xrange(LOG, count=4)]
    client.xdel(LOG, *oldest)
    assert len(log.of("edge-1", 3)) == 2
    key = "gateway-bot:{audit}:of:edge-1"
    assert 0 < client.pttl(key) <= 86_400_000, "a gateway without entries is forgotten"
    client.lset(key, 0, "1-0")
    append(log, "approved", REFS[0])
    log.file()
    assert client.lrange(key, 0, 0) == oldest[1:2]


def test_what_is_no_entry_stops_no_filing(server: Valkey) -> None:
    client = connect(server.url)
    log = AuditLog(client)
    for text in ("{", "[]", '{"ref": 5, "event": "x"}', json.dumps({"ref": "a/b/c"}), "null"):
        client.xadd(LOG, {"entry": text, "hash": "h"})
    client.xadd(LOG, {"other": "x"})
    append(log, "pending", REFS[0])
    log.file()
    assert [entry.event for entry in log.of("edge-1")] == ["pending"]
