"""While a cluster or an environment is paused, no action starts there, and each that waits says why."""

import dataclasses
import itertools
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.access import Environment
from deploy.actions.action import WAIT, Action, State
from deploy.actions.fencing import Fences
from deploy.actions.leases import GatewayLeases
from deploy.actions.pauses import CLUSTER, ENVIRONMENT, Pause, Pauses, holding, pause_of, waits_for
from deploy.actions.store import LONGEST_WAIT_SECONDS, START_SECONDS, ActionStore
from deploy.deadline import Deadline
from deploy.errors import Unavailable
from deploy.gateway import GatewayRef
from tests.support import actions
from tests.support.actions import CODEC
from tests.support.runners import Work, ask, ended, runner_of
from tests.support.waiting import until

EVERY = (
    Environment("production", namespaces=("prod",), production=True),
    Environment("development", namespaces=("dev",)),
)
BY = "Ana Diaz, as ana@host (operator)"


@contextmanager
def running(client: Any, fences: Fences, work: Work, owner: str = "bot-1") -> Iterator[None]:
    """A bot that heeds pauses."""
    pauses = Pauses(client)
    bot = runner_of(
        ActionStore(client, CODEC),
        GatewayLeases(client),
        fences,
        {"deploy": work},
        owner=owner,
        paused=lambda action: holding(action, pauses.all(), EVERY),
        heartbeat_seconds=0.3,
    )
    bot.start()
    try:
        yield
    finally:
        work.go.set()
        bot.stop(Deadline.after(10))


def waits(store: ActionStore, name: str = "AAAAAA") -> Action:
    """The action once it says that it waits for the end of a pause."""

    def look() -> Action | None:
        action = store.get(name)
        return action if action is not None and waits_for(action) else None

    return until(look, f"{name} to wait")


def resume(client: Any, store: ActionStore, scope: str, name: str, *ids: str) -> None:
    assert Pauses(client).end(scope, name)
    store.look_again(ids)


@pytest.mark.parametrize(("scope", "name"), [(CLUSTER, "west"), (ENVIRONMENT, "development")])
def test_an_approved_action_waits_for_the_end_of_a_pause_and_starts_after_it(
    store: ActionStore, client: Any, fences: Fences, scope: str, name: str
) -> None:
    work = Work()
    pause = Pauses(client).begin(scope, name, reason="upgrade", by=BY)
    with running(client, fences, work), running(client, fences, work, "bot-2"):
        ask(store, "AAAAAA")
        assert waits_for(waits(store)) == pause
        assert work.ran == []
        work.go.set()
        resume(client, store, scope, name, "AAAAAA")
        assert ended(store, "AAAAAA").state is State.SUCCEEDED
    assert work.ran == ["AAAAAA"]


def test_what_runs_when_a_pause_begins_continues_to_its_end(
    store: ActionStore, client: Any, fences: Fences
) -> None:
    work = Work()
    with running(client, fences, work):
        ask(store, "AAAAAA")
        until(lambda: work.ran, "the run")
        Pauses(client).begin(CLUSTER, "west", reason="upgrade", by=BY)
        ask(store, "BBBBBB", gateway="edge-2")
        waits(store, "BBBBBB")
        work.go.set()
        assert ended(store, "AAAAAA").state is State.SUCCEEDED
        assert work.ran == ["AAAAAA"]


def test_what_a_bot_that_died_had_started_is_continued_by_another_during_a_pause(
    store: ActionStore, client: Any, fences: Fences
) -> None:
    ask(store, "AAAAAA")
    fence = GatewayLeases(client).acquire(actions.REF, "AAAAAA", "gone", 0.001).fence
    assert store.claim("AAAAAA", "gone", fence, 60)
    assert store.step("AAAAAA", "gone", fence, "apply", "", "gone:1")
    store.release("AAAAAA", "gone", fence)
    Pauses(client).begin(CLUSTER, "west", reason="upgrade", by=BY)
    work = Work()
    work.go.set()
    with running(client, fences, work):
        assert ended(store, "AAAAAA").state is State.SUCCEEDED


def test_what_a_bot_had_claimed_and_let_go_of_before_it_began_waits_for_the_end_of_a_pause(
    store: ActionStore, client: Any, fences: Fences
) -> None:
    ask(store, "AAAAAA")
    fence = GatewayLeases(client).acquire(actions.REF, "AAAAAA", "gone", 0.001).fence
    assert store.claim("AAAAAA", "gone", fence, 60)
    assert store.step("AAAAAA", "gone", fence, WAIT, "for the Lease", "gone:1")
    store.release("AAAAAA", "gone", fence)
    Pauses(client).begin(CLUSTER, "west", reason="upgrade", by=BY)
    work = Work()
    work.go.set()
    with running(client, fences, work):
        found = waits(store)
        assert (found.state, work.ran) == (State.APPROVED, [])
        names = [each.name for each in store.events("AAAAAA")]
        assert names[-2:] == ["taken over", "held back"]
        resume(client, store, CLUSTER, "west", "AAAAAA")
        assert ended(store, "AAAAAA").state is State.SUCCEEDED


def test_a_pause_that_begins_right_before_an_action_is_claimed_holds_it_back(
    store: ActionStore, client: Any, fences: Fences
) -> None:
    ask(store, "AAAAAA", confirm=False)
    work = Work()
    work.go.set()
    pauses, looks = Pauses(client), itertools.count()

    def paused(action: Action) -> Pause | None:
        # The runner has looked, and only then somebody pauses.
        if next(looks) == 1:
            pauses.begin(CLUSTER, "west", reason="upgrade", by=BY)
        return holding(action, pauses.all(), EVERY)

    bot = runner_of(
        store, GatewayLeases(client), fences, {"deploy": work}, paused=paused,
        heartbeat_seconds=0.3,
    )  # fmt: skip
    bot.start()
    try:
        actions.confirm(store, "AAAAAA")
        assert waits(store).state is State.APPROVED
        assert work.ran == []
    finally:
        bot.stop(Deadline.after(10))


def test_while_pauses_cannot_be_read_what_is_due_is_not_asked_about_at_each_turn(
    store: ActionStore,
    client: Any,
    fences: Fences,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("deploy.actions.runner._AGAIN_SECONDS", 3600.0)
    asked: Counter[str] = Counter()

    def paused(action: Action) -> Pause | None:
        asked[action.id] += 1
        if action.id == "AAAAAA":
            raise Unavailable("The cluster west does not answer.")
        return None

    work = Work()
    work.go.set()
    bot = runner_of(
        store, GatewayLeases(client), fences, {"deploy": work}, paused=paused,
        heartbeat_seconds=0.3,
    )  # fmt: skip
    ask(store, "AAAAAA")
    bot.start()
    try:
        until(lambda: asked["AAAAAA"], "the first question")
        for name in ("BBBBBB", "CCCCCC", "DDDDDD"):
            ask(store, name)
            assert ended(store, name).state is State.SUCCEEDED
    finally:
        bot.stop(Deadline.after(10))
    assert asked["AAAAAA"] == 1
    assert caplog.text.count("action AAAAAA does not begin yet: The cluster west") == 1


def test_what_is_stopped_is_ended_also_where_it_would_have_waited_for_a_pause(
    store: ActionStore, client: Any, fences: Fences
) -> None:
    ask(store, "AAAAAA")
    fence = GatewayLeases(client).acquire(actions.REF, "AAAAAA", "gone", 0.001).fence
    assert store.claim("AAAAAA", "gone", fence, 60)
    store.release("AAAAAA", "gone", fence)
    store.stop("AAAAAA", by="U1", request_id="stop:1")
    Pauses(client).begin(CLUSTER, "west", reason="upgrade", by=BY)
    with running(client, fences, Work()):
        assert ended(store, "AAAAAA").state is State.STOPPED


def test_a_pause_ends_automatically_at_its_time(
    store: ActionStore, client: Any, fences: Fences
) -> None:
    work = Work()
    work.go.set()
    Pauses(client).begin(CLUSTER, "west", reason="", by=BY, until=store.now() + 3)
    with running(client, fences, work):
        ask(store, "AAAAAA")
        done = ended(store, "AAAAAA")
    assert done.state is State.SUCCEEDED
    assert Pauses(client).all() == ()


def test_what_waits_for_a_pause_with_an_end_is_looked_at_each_minute_until_then(
    store: ActionStore, client: Any, fences: Fences
) -> None:
    Pauses(client).begin(CLUSTER, "west", reason="", by=BY, until=store.now() + 7200)
    ask(store, "AAAAAA")
    with running(client, fences, Work()):
        waits(store)
        index = "gateway-bot:{due}"

        def put_off() -> bool:
            ahead = client.zscore(index, "AAAAAA") / 1000 - store.now()
            return 50 < float(ahead) <= 60

        # Each look moves the hour in which it must begin.
        until(put_off, "the next look within a minute")


def test_the_hour_in_which_an_action_must_start_does_not_pass_during_a_pause_but_a_day_does(
    store: ActionStore, client: Any, fences: Fences
) -> None:
    Pauses(client).begin(CLUSTER, "west", reason="upgrade", by=BY)
    ask(store, "AAAAAA")
    key = "gateway-bot:{a:AAAAAA}:act"
    decided = int(client.hget(key, "decided"))
    almost_over = decided + 5000
    client.hset(key, "start_by", almost_over)
    with running(client, fences, Work()):
        waits(store)
        # It was approved nearly a day ago: after that day it expires as ever.
        client.hset(key, mapping={"decided": decided - LONGEST_WAIT_SECONDS * 1000, "start_by": 1})
        store.look_again(["AAAAAA"])
        assert ended(store, "AAAAAA").state is State.EXPIRED
    ask(store, "BBBBBB", gateway="edge-2")
    client.hset("gateway-bot:{a:BBBBBB}:act", "start_by", almost_over)
    with running(client, fences, Work()):
        found = waits(store, "BBBBBB")
        assert found.start_by is not None
        assert found.start_by > decided / 1000 + START_SECONDS - 60


def test_an_action_that_is_held_up_by_something_else_after_a_pause_no_longer_names_the_pause(
    store: ActionStore, client: Any, fences: Fences
) -> None:
    Pauses(client).begin(CLUSTER, "west", reason="upgrade", by=BY)
    with running(client, fences, Work()):
        ask(store, "AAAAAA")
        waits(store)
        GatewayLeases(client).acquire(actions.REF, "OTHER2", "bot-9", 600)
        resume(client, store, CLUSTER, "west", "AAAAAA")

        def other() -> bool:
            action = store.get("AAAAAA")
            return action is not None and action.progress == {"waiting_for": "OTHER2"}

        until(other, "it to wait for the other action")


def test_other_clusters_and_environments_are_not_held_up(client: Any, store: ActionStore) -> None:
    ask(store, "AAAAAA", confirm=False)
    action = store.get("AAAAAA")
    assert action is not None
    pauses = Pauses(client)
    for scope, name in ((CLUSTER, "east"), (ENVIRONMENT, "production"), (CLUSTER, "development")):
        pauses.begin(scope, name, reason="x", by=BY)
    assert holding(action, pauses.all(), EVERY) is None
    prod = dataclasses.replace(action, ref=GatewayRef("west", "prod", "edge-1"))
    found = holding(prod, pauses.all(), EVERY)
    assert found is not None
    assert (found.scope, found.name) == (ENVIRONMENT, "production")
    # A token dies whether somebody remembers the pause or not.
    assert holding(dataclasses.replace(prod, automatic=True), pauses.all(), EVERY) is None


def test_a_second_pause_changes_reason_and_end_and_keeps_since_when(client: Any) -> None:
    pauses = Pauses(client)
    first = pauses.begin(CLUSTER, "west", reason="upgrade", by="ana")
    second = pauses.begin(CLUSTER, "west", reason="longer", by="ben", until=4e9)
    assert pauses.all() == (second,)
    assert (second.since, second.reason, second.until) == (first.since, "longer", 4e9)
    assert pauses.end(CLUSTER, "west")
    assert not pauses.end(CLUSTER, "west")


@pytest.mark.parametrize("text", ["{", "[]", '{"version": 99, "reason": 7, "since": "soon"}'])
def test_a_pause_that_this_bot_cannot_read_holds_and_can_be_ended(client: Any, text: str) -> None:
    client.hset("gateway-bot:{pauses}", "environment:production: eu", text)
    (found,) = Pauses(client).all()
    assert (found.scope, found.name) == (ENVIRONMENT, "production: eu")
    assert Pauses(client).end(ENVIRONMENT, "production: eu")


@pytest.mark.parametrize("moment", ["NaN", "Infinity", "1e300", "-1", "true"])
def test_a_pause_with_an_end_that_no_moment_is_holds_without_end(client: Any, moment: str) -> None:
    client.hset("gateway-bot:{pauses}", "cluster:west", f'{{"until": {moment}}}')
    (found,) = Pauses(client).all()
    assert found.until is None


def test_a_pause_of_what_only_a_newer_bot_knows_holds_everywhere(client: Any) -> None:
    client.hset("gateway-bot:{pauses}", "region:eu", "{}")
    (found,) = Pauses(client).all()
    assert found.covers("west", "development")


@given(
    st.builds(
        Pause,
        st.sampled_from([CLUSTER, ENVIRONMENT]),
        st.text(),
        st.text(),
        st.text(),
        st.none() | st.floats(0, 4e9),
        st.none() | st.floats(0, 4e9),
    )
)
def test_a_pause_is_read_as_it_was_written(pause: Pause) -> None:
    assert pause_of(json.loads(json.dumps(pause.to_mapping()))) == pause


def test_a_pause_that_is_over_is_told_until_it_is_forgotten_and_one_begun_anew_is_kept(
    client: Any, store: ActionStore
) -> None:
    pauses = Pauses(client)
    pauses.begin(CLUSTER, "east", reason="x", by=BY)
    over = pauses.begin(CLUSTER, "west", reason="x", by=BY, until=store.now() - 1)
    assert pauses.ended() == (over,)
    assert pauses.ended() == (over,)
    pauses.begin(CLUSTER, "west", reason="longer", by=BY)
    pauses.forget(over)
    assert [each.name for each in pauses.all()] == ["east", "west"]
    pauses.begin(CLUSTER, "west", reason="x", by=BY, until=store.now() - 1)
    pauses.forget(over)
    assert pauses.ended() == ()
    assert client.hkeys("gateway-bot:{pauses}") == ["cluster:east"]
