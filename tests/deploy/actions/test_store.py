import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bot.sandbox.valkey import Valkey
from deploy.actions import reader, scripts
from deploy.actions.action import EDGES, Outcome, State, action_id
from deploy.actions.connection import connect
from deploy.actions.leases import GatewayLeases
from deploy.actions.store import ActionStore
from deploy.errors import Conflict, Unavailable
from deploy.plans.requests import ScaleRequest
from tests.support.actions import CODEC, REF, as_stored, ask, confirm, plan_of
from tests.support.redis_servers import ENGINES, LosingProxy, started


@pytest.fixture(params=ENGINES)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Valkey]:
    yield from started(request.param, tmp_path / "redis")


@pytest.fixture
def store(server: Valkey) -> ActionStore:
    return ActionStore(connect(server.url), CODEC)


def approved(store: ActionStore, name: str = "AAAAAA") -> None:
    ask(store, name)
    assert confirm(store, name).result == "done"


def test_the_hour_to_begin_does_not_pass_while_others_go_first_but_a_day_does(
    store: ActionStore, server: Valkey
) -> None:
    client, key = connect(server.url), "gateway-bot:{a:AAAAAA}:act"

    def start_by() -> float:
        action = store.get("AAAAAA")
        assert action is not None
        assert action.start_by is not None
        return action.start_by

    approved(store)
    first, decided = start_by(), int(client.hget(key, "decided"))
    client.hset(key, "start_by", decided + 60_000)
    store.waiting("AAAAAA", "BBBBBB")
    assert first <= start_by() <= first + 600
    client.hset(
        key, mapping={"start_by": decided + 60_000, "decided": decided - 86_400_000 + 90_000}
    )
    store.waiting("AAAAAA", "BBBBBB")
    assert start_by() == (decided + 90_000) / 1000


def test_what_is_created_is_read_back(store: ActionStore) -> None:
    asked = ScaleRequest(REF, 2, take_over=True)
    made = ask(store, kind="scale", request=asked, why="Black Friday", automatic=True)
    assert store.get("AAAAAA") == made
    assert (made.state, made.version, made.ref) == (State.PENDING, 1, REF)
    assert (made.kind, made.request, made.plan) == ("scale", asked, as_stored(plan_of()))
    assert (made.why, made.automatic, made.origin) == ("Black Friday", True, {"channel": "C1"})
    assert store.get("BBBBBB") is None


def test_creating_again_for_the_same_request_is_the_same_action(store: ActionStore) -> None:
    assert ask(store) == ask(store)
    with pytest.raises(Conflict):
        ask(store, request_id="r2")


def test_only_the_requester_of_exactly_this_plan_confirms_and_once(store: ActionStore) -> None:
    ask(store)

    def click(by: str, digest: str, request: str) -> str:
        return confirm(store, by=by, digest=digest, request_id=request).result

    assert click("U2", "d1", "1") == "not-requester"
    assert click("U1", "d2", "2") == "stale"
    assert click("U1", "d1", "3") == "done"
    assert click("U1", "d1", "3") == "replayed"
    assert click("U1", "d1", "4") == "already"
    assert store.cancel("AAAAAA", by="U1", digest="d1", request_id="5").result == "done"
    assert store.cancel("AAAAAA", by="U1", digest="d1", request_id="8").result == "already"
    assert confirm(store, "CCCCCC").result == "gone"
    assert confirm(store, "}x{*").result == "gone"


def test_a_request_that_is_over_time_cannot_be_confirmed(store: ActionStore) -> None:
    ask(store, ttl=0)
    late = confirm(store)
    assert late.result == "expired"
    assert late.action is not None
    assert late.action.state is State.EXPIRED


def test_sixteen_confirmations_at_once_have_one_effect(store: ActionStore) -> None:
    ask(store)
    barrier = threading.Barrier(16)

    def click(number: int) -> str:
        barrier.wait()
        return confirm(store, request_id=str(number)).result

    with ThreadPoolExecutor(16) as pool:
        results = sorted(pool.map(click, range(16)))
    assert results == ["already"] * 15 + ["done"]


def test_a_run_is_held_by_one_until_its_lease_ends(store: ActionStore) -> None:
    approved(store)
    assert store.claim("AAAAAA", "bot-1", 1, 30) is not None
    assert store.claim("AAAAAA", "bot-2", 2, 30) is None
    assert not store.heartbeat("AAAAAA", "bot-2", 2, 30)
    assert store.step("AAAAAA", "bot-1", 1, "apply", "", "s1")
    store.release("AAAAAA", "bot-1", 1)
    taken = store.claim("AAAAAA", "bot-2", 2, 30)
    assert taken is not None
    assert (taken.fence, taken.attempts) == (2, 2)
    assert not store.progress("AAAAAA", "bot-1", 1, {"ready": 1})
    assert not store.finish("AAAAAA", "bot-1", 1, Outcome(State.FAILED, "no"))
    assert store.finish("AAAAAA", "bot-2", 2, Outcome(State.SUCCEEDED, "done"))
    assert store.finish("AAAAAA", "bot-2", 2, Outcome(State.SUCCEEDED, "done"))
    ended = store.get("AAAAAA")
    assert ended is not None
    assert ended.final
    assert [step.name for step in ended.steps] == ["apply"]


def test_a_run_is_claimed_only_with_a_higher_fence_than_any_before(store: ActionStore) -> None:
    approved(store)
    assert store.claim("AAAAAA", "bot-1", 7, 30) is not None
    store.release("AAAAAA", "bot-1", 7)
    assert store.claim("AAAAAA", "bot-2", 7, 30) is None
    assert store.claim("AAAAAA", "bot-2", 8, 30) is not None


def test_a_gateway_is_leased_to_one_action_and_the_fence_rises(server: Valkey) -> None:
    leases = GatewayLeases(connect(server.url))
    assert leases.acquire(REF, "AAAAAA", "bot-1", 30).fence == 1
    assert leases.acquire(REF, "BBBBBB", "bot-2", 30).fence == 0
    assert leases.acquire(REF, "BBBBBB", "bot-2", 30).action_id == "AAAAAA"
    assert leases.renew(REF, "bot-1", 1, 0)
    assert leases.acquire(REF, "BBBBBB", "bot-2", 30).fence == 2
    assert not leases.renew(REF, "bot-1", 1, 30)
    assert leases.acquire(REF, "BBBBBB", "bot-2", 30, above=9).fence == 10


def test_a_renewal_that_comes_after_a_lease_was_let_go_of_takes_it_from_nobody(
    server: Valkey,
) -> None:
    leases = GatewayLeases(connect(server.url))
    fence = leases.acquire(REF, "AAAAAA", "bot-1", 120).fence
    assert leases.renew(REF, "bot-1", fence, 0)
    assert not leases.renew(REF, "bot-1", fence, 120)
    assert leases.acquire(REF, "BBBBBB", "bot-2", 120).fence == fence + 1


def test_each_change_marks_the_message_of_its_action(store: ActionStore, server: Valkey) -> None:
    client = connect(server.url)
    index = "gateway-bot:{messages}:owed"
    ask(store)
    assert client.zrange(index, 0, -1) == ["action:AAAAAA"]
    client.delete(index)
    confirm(store)
    assert client.zrange(index, 0, -1) == ["action:AAAAAA"]
    assert store.versions() == {"AAAAAA": 2}


@pytest.mark.parametrize("lost", [1, 2])
def test_a_lost_reply_changes_nothing_about_the_outcome(
    server: Valkey, tmp_path: Path, lost: int
) -> None:
    proxy = LosingProxy(server.url, tmp_path)
    store = ActionStore(connect(proxy.url), CODEC)
    proxy.match, proxy.lose = b"EVALSHA", lost
    made = ask(store)
    assert made.version == 1
    proxy.lose = lost
    decision = confirm(store)
    assert decision.result in ("done", "replayed")
    proxy.lose = lost
    claimed = store.claim("AAAAAA", "bot-1", 1, 30)
    assert claimed is not None
    assert claimed.attempts == 1
    proxy.lose = lost
    assert store.step("AAAAAA", "bot-1", 1, "apply", "", "s1")
    proxy.lose = lost
    assert store.finish("AAAAAA", "bot-1", 1, Outcome(State.SUCCEEDED, "done"))
    ended = store.get("AAAAAA")
    assert ended is not None
    assert (len(ended.steps), ended.version) == (1, 5), "each change was made once"
    proxy.close()


def test_all_that_waits_is_found_however_much_it_is(
    store: ActionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["AAAAAA", "BBBBBB", "CCCCCC"]
    for name in names:
        ask(store, name)
    monkeypatch.setattr(reader, "_OPEN_LIMIT", 2)
    assert [action.id for action in store.open()] == names
    assert (len(store.listing().actions), store.listing().more) == (2, 1)


def test_a_plan_is_known_of_its_gateway_for_as_long_as_it_may_be_decided(
    store: ActionStore, server: Valkey
) -> None:
    client, key = connect(server.url), f"gateway-bot:{{recent:{REF}}}"
    ask(store)
    week = 7 * 86_400_000
    client.zadd(key, {"AAAAAA": client.zscore(key, "AAAAAA") - week})
    ask(store, "BBBBBB")
    assert {action.id for action in store.open_on(REF)} == {"AAAAAA", "BBBBBB"}
    assert client.pttl(key) > week


def test_what_comes_in_several_pieces_passes_the_proxy_that_loses_replies(
    server: Valkey, tmp_path: Path
) -> None:
    proxy = LosingProxy(server.url, tmp_path)
    client, long = connect(proxy.url, timeout=2, retries=0), "x" * 5_000_000
    client.ping()
    before = proxy.trips
    client.set("long", long)
    assert client.get("long") == long
    assert proxy.trips == before + 2
    proxy.close()


def test_flushed_scripts_and_a_killed_server_lose_nothing(
    store: ActionStore, server: Valkey
) -> None:
    approved(store)
    connect(server.url).script_flush()
    assert store.claim("AAAAAA", "bot-1", 1, 30) is not None
    server.kill()
    server.start()
    found = store.get("AAAAAA")
    assert found is not None
    assert found.state is State.RUNNING


def test_a_server_that_is_away_is_a_sentence(store: ActionStore, server: Valkey) -> None:
    server.kill()
    store = ActionStore(connect(server.url, retries=1), CODEC)
    with pytest.raises(Unavailable, match="Redis cannot be used"):
        store.get("AAAAAA")


def test_the_scripts_know_the_same_edges_as_the_table(server: Valkey) -> None:
    client = connect(server.url)
    script = scripts.PRELUDE + "local a = EDGES[ARGV[1]] return a and a[ARGV[2]] and 'yes' or 'no'"
    for old in State:
        for new in State:
            answer = client.eval(script, 5, *"abcde", old.value, new.value)
            assert (answer == "yes") == (new in EDGES[old])


def test_an_id_is_the_same_for_the_same_request_and_easy_to_read() -> None:
    assert action_id("r1") == action_id("r1") != action_id("r2")
    assert len({action_id(str(n)) for n in range(2000)}) > 1990
    assert not set("".join(action_id(str(n)) for n in range(200))) & set("01OILU")
