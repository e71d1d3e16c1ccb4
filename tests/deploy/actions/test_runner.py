import threading
from pathlib import Path
from typing import Any

import pytest

from bot.sandbox.valkey import Valkey
from deploy.actions.action import Action, Outcome, State
from deploy.actions.connection import connect
from deploy.actions.executor import Run
from deploy.actions.fencing import Fences
from deploy.actions.leases import GatewayLeases
from deploy.actions.store import ActionStore
from deploy.deadline import Deadline
from deploy.errors import Refused
from deploy.retry import RunLost
from tests.support import actions
from tests.support.actions import CODEC
from tests.support.log_records import logged
from tests.support.redis_servers import LosingProxy
from tests.support.runners import Fails, Work, ask, ended, report, runner, runner_of
from tests.support.waiting import until


class Clicked(ActionStore):
    """As soon as somebody has looked at an action, its requester confirms it."""

    def look_after(self, action_id: str) -> tuple[Action | None, bool]:
        found, held = super().look_after(action_id)
        if found is not None and found.state is State.PENDING:
            actions.confirm(self, action_id)
        return found, held


def test_what_is_decided_while_a_runner_looks_is_carried_out_at_once(
    store: ActionStore, client: Any, fences: Fences
) -> None:
    work = Work()
    work.go.set()
    ask(store, "AAAAAA", confirm=False)
    first = runner_of(
        Clicked(client, CODEC), GatewayLeases(client), fences, {"deploy": work}, owner="bot-1",
        report=report, poll_seconds=0.05,
    )  # fmt: skip
    first.start()
    assert ended(store, "AAAAAA").state is State.SUCCEEDED
    first.stop(Deadline.after(5))


def test_an_approved_action_is_carried_out_once(
    store: ActionStore, client: Any, fences: Fences
) -> None:
    work = Work()
    work.go.set()
    first, second = runner(client, fences, work), runner(client, fences, work, "bot-2")
    ask(store, "AAAAAA")
    assert ended(store, "AAAAAA").state is State.SUCCEEDED
    first.stop(Deadline.after(5))
    second.stop(Deadline.after(5))
    assert work.ran == ["AAAAAA"]


def test_the_log_has_when_a_run_started_and_how_it_ended_under_its_action(
    store: ActionStore, client: Any, fences: Fences
) -> None:
    work = Work()
    work.go.set()
    with logged("deploy.actions") as lines:
        first = runner(client, fences, work)
        ask(store, "AAAAAA")
        ended(store, "AAAAAA")
        first.stop(Deadline.after(5))
    started, over = (line for line in lines if line.get("event") == "run")
    assert (started["outcome"], over["outcome"]) == ("started", "succeeded")
    for line in (started, over):
        about = [line[name] for name in ("action", "user", "gateway", "cluster")]
        assert about == ["AAAAAA", "U1", "west/dev/edge-1", "west"]
    assert over["duration"] >= 0


def test_two_actions_on_one_gateway_run_one_after_the_other(
    store: ActionStore, client: Any, fences: Fences
) -> None:
    work = Work()
    both = runner(client, fences, work), runner(client, fences, work, "bot-2")
    ask(store, "AAAAAA")
    until(lambda: work.ran, "the first run")
    ask(store, "BBBBBB")

    def waits() -> bool:
        action = store.get("BBBBBB")
        return action is not None and action.progress == {"waiting_for": "AAAAAA"}

    until(waits, "the second to say that it waits")
    work.go.set()
    ended(store, "AAAAAA")
    ended(store, "BBBBBB")
    for one in both:
        one.stop(Deadline.after(5))
    assert sorted(work.ran) == ["AAAAAA", "BBBBBB"]
    assert work.most == 1


def test_a_stopped_runner_lets_another_go_on_at_once(
    store: ActionStore, client: Any, fences: Fences
) -> None:
    work = Work()
    first = runner(client, fences, work)
    ask(store, "AAAAAA")
    until(lambda: work.ran, "the first run")
    first.stop(Deadline.after(5))
    work.go.set()
    second = runner(client, fences, work, "bot-2")
    done = ended(store, "AAAAAA")
    second.stop(Deadline.after(5))
    assert (done.state, done.attempts) == (State.SUCCEEDED, 2)


def test_a_runner_that_is_cut_off_from_redis_stops_and_another_goes_on(
    store: ActionStore, client: Any, fences: Fences, server: Valkey, tmp_path: Path
) -> None:
    proxy = LosingProxy(server.url, tmp_path)
    cut, work = Work(), Work()
    work.go.set()
    cut_off = connect(proxy.url, timeout=5, retries=0)
    first = runner(cut_off, fences, cut, lease_seconds=1.5)
    ask(store, "AAAAAA")
    until(lambda: cut.ran, "the first run")
    proxy.match, proxy.lose = b"", 1_000_000
    second = runner(client, fences, work, "bot-2")
    assert ended(store, "AAAAAA").lease_owner == "bot-2"
    until(lambda: cut.most == 1 and not first._runs, "the first to let go")
    first.stop(Deadline.after(5))
    second.stop(Deadline.after(5))
    proxy.close()


@pytest.mark.parametrize(
    ("error", "state", "said"),
    [
        (Refused("Not allowed.", remedy="Ask."), State.FAILED, "Not allowed."),
        (RuntimeError("secret text"), State.UNKNOWN, "The bot failed"),
    ],
)
def test_a_failure_is_told_and_what_nobody_foresaw_is_not_guessed(
    store: ActionStore, client: Any, fences: Fences, error: Exception, state: State, said: str
) -> None:
    one = runner(client, fences, Fails(error))
    ask(store, "AAAAAA")
    action = ended(store, "AAAAAA")
    one.stop(Deadline.after(5))
    assert action.state is state
    assert action.outcome is not None
    assert said in action.outcome.happened
    assert "secret text" not in str(action)


def test_a_request_that_nobody_decides_expires_by_itself(
    store: ActionStore, client: Any, fences: Fences
) -> None:
    one = runner(client, fences, Work())
    ask(store, "AAAAAA", confirm=False, ttl=1)
    assert ended(store, "AAAAAA").state is State.EXPIRED
    one.stop(Deadline.after(5))


def test_a_runner_says_that_it_lives(store: ActionStore, client: Any, fences: Fences) -> None:
    one = runner(client, fences, Work())
    assert one.live
    one.stop(Deadline.after(60))
    assert not one.live


def test_no_more_actions_run_at_a_time_than_there_are_rooms_on_all_bots_together(
    store: ActionStore, client: Any, fences: Fences
) -> None:
    work = Work()
    bots = [runner(client, fences, work, f"bot-{number}", rooms=2) for number in (1, 2)]
    names = [f"A{number}" for number in range(6)]
    for name in names:
        ask(store, name, gateway=f"edge-{name.lower()}")

    def waiting() -> list[str]:
        found = [store.get(name) for name in names]
        return [a.id for a in found if a and a.progress and "waiting_for" in a.progress]

    until(lambda: len(work.ran) == 2 and len(waiting()) == 4, "four that wait for two")
    work.go.set()
    for name in names:
        assert ended(store, name).state is State.SUCCEEDED
    assert work.most == 2
    for bot in bots:
        bot.stop(Deadline.after(5))


def test_a_room_is_free_again_when_its_bot_has_died(
    store: ActionStore, client: Any, fences: Fences
) -> None:
    work = Work()
    GatewayLeases(client).acquire("room:0", "GONE", "dead-bot", 1.0)
    bot = runner(client, fences, work, rooms=1)
    work.go.set()
    ask(store, "NEXT")
    assert ended(store, "NEXT").state is State.SUCCEEDED
    bot.stop(Deadline.after(5))


def test_what_a_dead_bot_had_begun_is_continued_before_the_next_action_of_its_gateway(
    store: ActionStore, client: Any, fences: Fences
) -> None:
    ask(store, "AAAAAA")
    assert store.claim("AAAAAA", "dead-bot", 1, 1.0) is not None
    assert store.step("AAAAAA", "dead-bot", 1, "apply", "", "apply")
    # The Lease of the gateway may run out before that of the action.
    work = Work()
    work.go.set()
    ask(store, "BBBBBB")
    bot = runner(client, fences, work)
    ended(store, "BBBBBB")
    bot.stop(Deadline.after(5))
    assert work.ran == ["AAAAAA", "BBBBBB"]


def test_an_action_that_ended_many_bots_is_not_given_to_one_more(
    store: ActionStore, client: Any, fences: Fences
) -> None:
    ask(store, "AAAAAA")
    for number in range(20):
        assert store.claim("AAAAAA", f"bot-{number}", number + 1, 0) is not None
        assert store.step("AAAAAA", f"bot-{number}", number + 1, "apply", "", f"step-{number}")
    work = Work()
    work.go.set()
    one = runner(client, fences, work)
    action = ended(store, "AAAAAA")
    one.stop(Deadline.after(5))
    assert action.state is State.UNKNOWN
    assert action.outcome is not None
    assert "20 attempts" in action.outcome.happened
    assert work.ran == []


@pytest.mark.parametrize("steps", [(), ("wait",), ("wait", "apply")])
def test_what_was_claimed_but_not_begun_in_time_is_not_begun_later(
    store: ActionStore, client: Any, fences: Fences, steps: tuple[str, ...]
) -> None:
    ask(store, "AAAAAA")
    assert store.claim("AAAAAA", "bot-0", 1, 0) is not None
    for name in steps:
        assert store.step("AAAAAA", "bot-0", 1, name, "", name)
    client.hset("gateway-bot:{a:AAAAAA}:act", "start_by", 1)
    work = Work()
    work.go.set()
    one = runner(client, fences, work)
    action = ended(store, "AAAAAA")
    one.stop(Deadline.after(5))
    begun = "apply" in steps
    assert action.state is (State.SUCCEEDED if begun else State.FAILED)
    assert work.ran == (["AAAAAA"] if begun else [])
    assert begun or (action.outcome is not None and "Nothing was changed" in action.outcome.meaning)


def test_a_redis_that_is_away_for_a_moment_ends_no_run(
    store: ActionStore, client: Any, fences: Fences, server: Valkey
) -> None:
    killed = threading.Event()

    class Steps(Work):
        def execute(self, action: Action, run: Run) -> Outcome:
            server.kill()
            killed.set()
            run.step("first")
            run.progress({"ready": 1})
            self.ran.append(action.id)
            return Outcome(State.SUCCEEDED, "done")

    work = Steps()
    one = runner(connect(server.url, timeout=5, retries=0), fences, work)
    ask(store, "AAAAAA")
    assert killed.wait(30)
    server.start()
    action = ended(store, "AAAAAA")
    one.stop(Deadline.after(5))
    assert (action.state, action.attempts, work.ran) == (State.SUCCEEDED, 1, ["AAAAAA"])


def test_a_run_whose_action_redis_lost_ends_and_may_write_nothing_more(
    store: ActionStore, client: Any, fences: Fences
) -> None:
    runs: list[Run] = []

    class Guarded(Work):
        def execute(self, action: Action, run: Run) -> Outcome:
            runs.append(run)
            return super().execute(action, run)

    work = Guarded()
    bot = runner(client, fences, work)
    ask(store, "AAAAAA")
    until(lambda: work.ran, "the run")
    client.flushall()
    with pytest.raises(RunLost):
        runs[0].guard()
    until(lambda: not bot._runs, "the run's end")
    work.go.set()
    bot.stop(Deadline.after(5))
    assert store.get("AAAAAA") is None
    held = fences._clusters["west"].get("Lease", "dev", "gateway-bot-edge-1")
    assert held is not None
    assert not held["spec"].get("holderIdentity")


def test_approvers_are_reminded_once_and_nobody_looks_at_what_waits_before(
    store: ActionStore, client: Any, fences: Fences
) -> None:
    key, due = "gateway-bot:{a:AAAAAA}:act", "gateway-bot:{due}"

    def put_off_to(before_end: float) -> None:
        """Wait until nobody looks at it before that."""
        at = (int(client.hget(key, "expires")) / 1000 - before_end) * 1000
        until(lambda: client.zscore(due, "AAAAAA") == pytest.approx(at, abs=2), "a look at it")

    def told() -> list[str]:
        return [event.name for event in store.events("AAAAAA")]

    actions.ask(store, policy=actions.by_approvers(), ttl=3600)
    changed: list[str] = []
    one = runner_of(
        store, GatewayLeases(client), fences, {}, owner="bot-1", report=report,
        on_change=changed.append, poll_seconds=0.05,
    )  # fmt: skip
    one.start()
    put_off_to(900)
    assert (told(), changed) == (["pending"], [])
    # As if so much time had passed; then it is due.
    for field in ("created", "expires"):
        client.hincrby(key, field, -2_800_000)
    for _ in range(2):
        client.zadd(due, {"AAAAAA": 0})
        put_off_to(0)
        assert told() == ["pending", "reminder"]
    client.hset(key, "expires", 1)
    client.zadd(due, {"AAAAAA": 0})
    until(lambda: client.zscore(due, "AAAAAA") is None, "the end")
    assert told() == ["pending", "reminder", "expired"]
    one.stop(Deadline.after(5))
    assert changed
