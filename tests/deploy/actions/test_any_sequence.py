"""Any sequence of decisions, claims, stops and ends, with a server that is killed now and then."""

import itertools
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from bot.sandbox.valkey import Valkey
from deploy.actions.action import EDGES, Outcome, State
from deploy.actions.connection import connect
from deploy.actions.pauses import CLUSTER, Pause
from deploy.actions.store import ActionStore
from deploy.policy import Policy, Requirement
from tests.support.actions import APPROVERS, CODEC, approve, ask, deny, facts

USERS = {"U1": "ana", "U11": "ana", "U2": "ben", "U22": "ben", "U3": "chen"}
NAMES = ("production", "staging", "development")
ENDS = (State.SUCCEEDED, State.FAILED, State.UNKNOWN, State.SUPERSEDED, State.STOPPED)


class Model:
    """What must be true of one action, in as few words as there are."""

    def __init__(self, quorum: dict[str, int]) -> None:
        self.quorum = quorum
        self.state = State.PENDING
        self.votes: dict[str, str] = {}
        self.serving: list[str] = []
        self.answers: dict[str, bool] = {}
        self.fence = 0
        self.held = False
        self.runs = 0
        self.stopped_by = ""
        self.steps = 0

    def vote(self, person: str, verdict: str, serves: Collection[str]) -> bool:
        if self.state is not State.PENDING or person == "ana" or not serves:
            return False
        if verdict == "approve" and person in self.votes:
            return False
        self.votes[person] = verdict
        self.serving += serves
        if verdict == "deny":
            self.state = State.DENIED
        elif all(self.serving.count(name) >= count for name, count in self.quorum.items()):
            self.state = State.APPROVED
        return True

    def claim(self, fence: int) -> bool:
        if self.state is State.RUNNING and fence == self.fence:
            self.held = True  # the same runner asks once more
            return True
        free = self.state is State.APPROVED or (self.state is State.RUNNING and not self.held)
        if not free or fence <= self.fence:
            return False
        self.state, self.held, self.fence, self.runs = State.RUNNING, True, fence, self.runs + 1
        return True

    def hold_back(self) -> None:
        self.held = False
        if not self.stopped_by:
            self.state = State.APPROVED

    def finish(self, fence: int, state: State) -> bool:
        if self.state is not State.RUNNING or not self.held or fence != self.fence:
            return False
        if self.stopped_by and state is not State.STOPPED:
            return False
        self.state = state
        return True

    def stop(self, by: str) -> bool:
        if self.state is not State.RUNNING or self.stopped_by:
            return False
        self.stopped_by = by
        return True

    def step(self, fence: int) -> bool:
        holds = self.state is State.RUNNING and self.held and fence == self.fence
        if not holds or self.stopped_by:
            return False
        self.steps += 1
        return True


class Machine(RuleBasedStateMachine):
    """The real store on a real server, beside the model."""

    server: ClassVar[Valkey]

    @initialize(
        quorum=st.dictionaries(st.sampled_from(NAMES), st.integers(1, 2), min_size=1),
        start=st.sampled_from([State.PENDING, State.APPROVED, State.RUNNING]),
    )
    def begin(self, quorum: dict[str, int], start: State) -> None:
        client = connect(self.server.url)
        client.flushall()
        self.store = ActionStore(client, CODEC)
        self.model = Model(quorum)
        self.count = 0
        each = (Requirement(name, APPROVERS, count) for name, count in quorum.items())
        self.policy = Policy(tuple(each))
        ask(self.store, person="ana", policy=self.policy, ttl=600)
        # A random walk from the start alone is denied long before it runs.
        for by in ("U2", "U3")[: max(quorum.values()) if start is not State.PENDING else 0]:
            self.decide(by, "approve", set(NAMES), False)
        if start is State.RUNNING:
            self.claim(5)

    @rule(by=st.sampled_from(sorted(USERS)), verdict=st.sampled_from(["approve", "deny"]),
          names=st.sets(st.sampled_from(NAMES)), twice=st.booleans())  # fmt: skip
    def decide(self, by: str, verdict: str, names: set[str], twice: bool) -> None:
        self.count += 1
        serves = tuple(name for name in self.model.quorum if name in names)
        now = facts(self.policy, serves=serves)
        say = deny if verdict == "deny" else approve
        for number in range(1 + twice):
            decision = say(self.store, by, person=USERS[by], request_id=str(self.count), now=now)
            if number == 0:
                first = self.model.vote(USERS[by], verdict, serves)
            assert decision.counted is first

    @rule(by=st.sampled_from(["U1", "U2"]))
    def cancel(self, by: str) -> None:
        self.count += 1
        may = by == "U1" and self.model.state in (State.PENDING, State.APPROVED)
        done = self.store.cancel("AAAAAA", by=by, digest="d1", request_id=str(self.count))
        assert done.counted is may
        if may:
            self.model.state = State.CANCELLED

    @rule(luck=st.integers(0, 3))
    def lapse(self, luck: int) -> None:
        if luck == 0:
            self.store.lapse("AAAAAA")
            if self.model.state is State.PENDING:
                self.model.state = State.EXPIRED

    @rule(step=st.integers(-1, 2))
    def claim(self, step: int) -> None:
        fence = max(1, self.model.fence + step)
        got = self.store.claim("AAAAAA", f"bot-{fence}", fence, 60)
        assert (got is not None) is self.model.claim(fence)

    @precondition(lambda self: self.model.held)
    @rule()
    def let_go(self) -> None:
        self.store.release("AAAAAA", f"bot-{self.model.fence}", self.model.fence)
        self.model.held = False

    @precondition(lambda self: self.model.held and self.model.state is State.RUNNING)
    @rule()
    def hold_back(self) -> None:
        pause = Pause(CLUSTER, "west")
        self.store.hold_back("AAAAAA", f"bot-{self.model.fence}", self.model.fence, pause)
        self.model.hold_back()

    @rule(by=st.sampled_from(sorted(USERS)), twice=st.booleans())
    def stop(self, by: str, twice: bool) -> None:
        self.count += 1
        counts = self.model.stop(by)
        for _ in range(1 + twice):
            said = self.store.stop("AAAAAA", by=by, request_id=str(self.count))
            assert said.counted is counts

    @rule(step=st.integers(-1, 0))
    def begin_a_step(self, step: int) -> None:
        self.count += 1
        fence = self.model.fence + step
        if not self.model.held and self.model.state is State.RUNNING and step == 0:
            return  # as in `finish`
        begun = self.store.step("AAAAAA", f"bot-{fence}", fence, "apply", "", str(self.count))
        assert begun is self.model.step(fence)

    @rule(step=st.integers(-1, 0), state=st.sampled_from(ENDS))
    def finish(self, step: int, state: State) -> None:
        fence = self.model.fence + step
        if not self.model.held and self.model.state is State.RUNNING and step == 0:
            return  # its lease is over and nobody has taken it: it may still end what it began
        before = self.model.state
        ended = self.store.finish("AAAAAA", f"bot-{fence}", fence, Outcome(state, "so"))
        mine = step == 0 and before is state and self.model.runs > 0
        assert ended is (self.model.finish(fence, state) or mine)

    @rule(luck=st.integers(0, 3))
    def crash(self, luck: int) -> None:
        if luck == 0:
            self.server.kill()
            self.server.start()

    @invariant()
    def the_store_is_as_the_model(self) -> None:
        found = self.store.get("AAAAAA")
        assert found is not None
        assert found.state is self.model.state
        assert {vote.person: vote.verdict for vote in found.votes} == self.model.votes
        assert (found.stop_by, len(found.steps)) == (self.model.stopped_by, self.model.steps)
        assert found.final is (not EDGES[found.state])
        events = [e.name for e in self.store.events("AAAAAA")]
        told = ["approved" if name == "held back" else name for name in events]
        moves = [name for name in told if name in set(State)]
        assert all(
            State(after) in EDGES[State(before)] for before, after in itertools.pairwise(moves)
        )


def test_any_sequence_of_decisions_runs_and_crashes_is_as_the_model_says() -> None:
    with tempfile.TemporaryDirectory() as directory:
        server = Machine.server = Valkey(Path(directory), fsync="always")
        server.start()
        try:
            run_state_machine_as_test(
                Machine, settings=settings(max_examples=40, stateful_step_count=25, deadline=None)
            )
        finally:
            server.stop()
