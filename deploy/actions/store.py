"""Where actions change: each transition one script, giving records instead of replies.

Every method raises Unavailable when Redis cannot be used.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from deploy.actions.action import WAITING_FOR, Action, ChangeRequest, Denial, Outcome, State
from deploy.actions.codec import Body, Codec
from deploy.actions.connection import Durability, redis_errors
from deploy.actions.decision import Choice, Decision, DecisionFacts, Wish
from deploy.actions.pauses import PROGRESS, Pause
from deploy.actions.reader import ActionReader
from deploy.actions.records import Due, canonical, plausible
from deploy.errors import Conflict
from deploy.gateway import GatewayRef
from deploy.plans.plan import Plan
from deploy.policy import Policy, policy_to_mapping

log = logging.getLogger(__name__)

START_SECONDS = 3600
"""What was decided begins within this time or not at all: the world moves on."""
LONGEST_WAIT_SECONDS = 86_400
"""An action that waits for its turn begins within this time after its decision."""
_DUE_VISIBILITY_MS = 1000
DUE_AT_ONCE = 50
"""At most so many due actions are given at a time."""
_CHANGED = ("done", "counted", "replayed", "expired")
"""After these a decision has changed the action, or may have: its answer was lost."""
_PENDING_SECONDS = 60.0
_HANDED_ON_SECONDS = 0.25
_STEP_SECONDS = 0.5
_PROGRESS_SECONDS = 2.0
"""How far behind its message may be: everything new since the last look is shown together."""
_RECENT_MS = 9 * 86_400_000
"""Longer than any decision may take (bot.settings: seven days)."""
_MEANT_MS = 86_400_000
"""For as long as a request may be delivered again."""


class ActionStore(ActionReader):
    """Actions in one Redis, shared by every bot."""

    def __init__(
        self, client: Any, codec: Codec, *, prefix: str = "gateway-bot", keep_days: int = 30
    ) -> None:
        super().__init__(client, codec, prefix=prefix)
        self._codec = codec
        self._keep_ms = keep_days * 86_400_000
        self._durability = Durability(client, prefix)

    @redis_errors
    def create(
        self,
        action_id: str,
        *,
        kind: str,
        ref: GatewayRef,
        requester: str,
        person: str = "",
        policy: Policy | None = None,
        digest: str,
        request: ChangeRequest,
        plan: Plan,
        origin: Mapping[str, Any],
        ttl_seconds: int,
        request_id: str,
        why: str = "",
        automatic: bool = False,
        denied: Denial | None = None,
        batch: str = "",
    ) -> Action:
        """A pending action. Done again for the same request it is the same action.

        `person` is who is behind the requester's user id; without a `policy` the requester decides.
        Conflict when another request's action has this id.
        """
        policy = policy or Policy()
        body = Body(kind, ref, policy, request, plan, origin, why, automatic, denied, batch)
        self._remember(ref, action_id)
        self._records.index(action_id)
        result, action = self._records.run(
            "CREATE",
            action_id,
            request_id,
            self._codec.encode(body),
            ttl_seconds * 1000,
            self._keep_ms,
            requester,
            digest,
            person or requester,
            policy.by,
            START_SECONDS * 1000,
            policy.break_glass,
        )
        # Somebody who looked between the two found no action, and dropped the id.
        self._records.index(action_id)
        if result != "done" or action is None:
            raise Conflict(
                "The ID of this request belongs to another request.",
                remedy=("Run the command again."),
            )
        self._tell_beside(action)
        return action

    def confirm(
        self, action_id: str, *, by: str, digest: str, request_id: str, facts: DecisionFacts
    ) -> Decision:
        """The requester confirms the plan of this digest, where it is theirs to decide."""
        return self._decide("confirm", action_id, by, by, digest, request_id, facts)

    def cancel(self, action_id: str, *, by: str, digest: str, request_id: str) -> Decision:
        """The requester takes it back, while it has not started."""
        return self._decide(
            "cancel", action_id, by, by, digest, request_id, DecisionFacts(Policy())
        )

    def approve(
        self,
        action_id: str,
        *,
        by: str,
        person: str,
        digest: str,
        request_id: str,
        facts: DecisionFacts,
    ) -> Decision:
        """An approver approves the plan of this digest; once every requirement is met it may begin."""
        return self._decide("approve", action_id, by, person, digest, request_id, facts)

    def deny(
        self,
        action_id: str,
        *,
        by: str,
        person: str,
        digest: str,
        reason: str,
        request_id: str,
        facts: DecisionFacts,
    ) -> Decision:
        """An approver denies it, which is final whatever others said."""
        return self._decide("deny", action_id, by, person, digest, request_id, facts, reason)

    def would(
        self,
        verdict: Choice,
        action_id: str,
        *,
        by: str,
        person: str,
        digest: str,
        facts: DecisionFacts,
    ) -> Decision:
        """What would come of a decision now. Nothing is changed."""
        return self._decide(verdict, action_id, by, person, digest, "", facts, dry=True)

    @redis_errors
    def would_each(self, asked: Sequence[Wish]) -> list[str]:
        """What would come of each of these decisions now, in one round trip. Nothing is changed."""
        return self._records.results(
            "DECIDE",
            [
                (
                    each.action.id,
                    [
                        "",
                        each.verdict,
                        each.by,
                        each.person,
                        each.action.digest,
                        "",
                        _given(each.facts),
                        1,
                    ],
                )
                for each in asked
            ],
        )

    @redis_errors
    def _decide(
        self,
        verdict: Choice,
        action_id: str,
        by: str,
        person: str,
        digest: str,
        request_id: str,
        facts: DecisionFacts,
        reason: str = "",
        *,
        dry: bool = False,
    ) -> Decision:
        if not plausible(action_id):
            return Decision("gone", None)
        args = (request_id, verdict, by, person, digest, reason, _given(facts), int(dry))
        result, action = self._records.run("DECIDE", action_id, *args)
        # What ended long ago is not shown anew to whoever comes too late.
        if action is not None and not dry and (result in _CHANGED or not action.final):
            self._records.index(action_id)
        if action is not None and not dry and action.final:
            self._tell_beside(action)
        return Decision(result, action)

    def _tell_beside(self, action: Action) -> None:
        """The messages of plans of the same gateway say what else is open there."""
        for name in self._open_names(action.ref, State.PENDING):
            if name != action.id:
                self._records.owed.now(name)

    @redis_errors
    def supersede(self, action_id: str, outcome: Outcome) -> bool:
        """Nobody is to decide it any longer, for its plan does not hold; whether it waited."""
        result, action = self._records.run(
            "SUPERSEDE", action_id, canonical(_words(outcome)), outcome.happened
        )
        self._records.index(action_id)
        if result == "done" and action is not None:
            self._tell_beside(action)
        return result == "done"

    @redis_errors
    def stop(self, action_id: str, *, by: str, request_id: str) -> Decision:
        """Stop a running action: its run writes nothing more and ends at the next safe point.

        Whether `by` may do that is for the caller to know.
        """
        if not plausible(action_id):
            return Decision("gone", None)
        result, action = self._records.run("STOP", action_id, request_id, by)
        if action is not None:
            self._records.index(action_id)
        return Decision(result, action)

    @redis_errors
    def meant(self, request_id: str, action_id: str = "") -> str:
        """The id of the action that a request means, once one was found for it: the first `action_id`
        that this was called with; empty where there was none.

        Where another bot takes the request up, its words may fit another action by then.
        """
        key = f"{self._prefix}:{{meant:{request_id}}}"
        if action_id:
            self._client.set(key, action_id, nx=True, px=_MEANT_MS)
        return str(self._client.get(key) or action_id)

    @redis_errors
    def keep_waiting(self, action_id: str, *, by: str, cause: str, request_id: str) -> Decision:
        """Record that somebody waits although the rollout of a running action is stuck on that.

        Whether `by` may do that is for the caller to know.
        """
        result, action = self._records.run("KEEP_WAITING", action_id, request_id, by, cause)
        self._records.index(action_id, due=False)
        return Decision(result, action)

    @redis_errors
    def look_after(self, action_id: str) -> tuple[Action | None, bool]:
        """The record as it is now, and whether a run has it. An expiry is made visible."""
        result, action = self._records.run("LOOK", action_id)
        if result == "expired":
            self._records.index(action_id, due=False)
            if action is not None:
                self._tell_beside(action)
        return action, result == "held"

    @redis_errors
    def lapse(self, action_id: str) -> None:
        """The approval window that it rests on is closed: nobody can confirm it any longer."""
        result, action = self._records.run("LAPSE", action_id)
        if result == "done":
            self._records.index(action_id, due=False)
            if action is not None:
                self._tell_beside(action)

    @redis_errors
    def remind(self, action_id: str, before_seconds: float) -> bool:
        """Have its approvers reminded, once, from that long before it expires on."""
        done = self._records.run("REMIND", action_id, int(before_seconds * 1000))[0] == "done"
        if done:
            self._records.index(action_id, due=False)
        return done

    @redis_errors
    def claim(self, action_id: str, owner: str, fence: int, lease_seconds: float) -> Action | None:
        """Take an approved action, or one whose runner is gone. None when it is not to be had:
        somebody has it, it is too late for it, a run with a higher fence has been there, or a
        replica of Redis does not know of it yet."""
        # First: a claim that is given back would count as an interrupted run.
        if not self._durability.confirmed():
            log.warning("action %s does not begin: its approval is not replicated yet", action_id)
            return None
        result, action = self._records.run(
            "CLAIM", action_id, owner, fence, int(lease_seconds * 1000)
        )
        if result not in ("done", "expired"):
            return None
        # That it begins is shown with its first steps.
        self._records.index(action_id, due=False, within=_STEP_SECONDS if result == "done" else 0.0)
        if result == "expired":
            return None
        if action is not None:
            self._tell_beside(action)
        return action

    @redis_errors
    def heartbeat(self, action_id: str, owner: str, fence: int, lease_seconds: float) -> bool:
        """Keep the lease; False when it is lost."""
        result, _ = self._records.run(
            "HEARTBEAT", action_id, owner, fence, int(lease_seconds * 1000)
        )
        return result == "done"

    @redis_errors
    def step(
        self, action_id: str, owner: str, fence: int, name: str, detail: str, request_id: str
    ) -> bool:
        """Record a step; False when the lease is lost or the action was stopped."""
        result, _ = self._records.run("STEP", action_id, owner, fence, request_id, name, detail)
        self._records.index(action_id, due=False, within=_STEP_SECONDS)
        return result in ("done", "replayed")

    @redis_errors
    def progress(self, action_id: str, owner: str, fence: int, state: Mapping[str, Any]) -> bool:
        """Record the newest progress; False when the lease is lost."""
        result, _ = self._records.run("PROGRESS", action_id, owner, fence, canonical(state))
        self._records.index(action_id, due=False, within=_PROGRESS_SECONDS)
        return result == "done"

    @redis_errors
    def waiting(self, action_id: str, other: str) -> None:
        """Record that an approved action waits for another one, on its gateway or for its turn.

        The hour in which it must begin does not pass while it does, but a day does.
        """
        self._wait(action_id, {WAITING_FOR: other})

    @redis_errors
    def queued(self, action_id: str) -> None:
        """As `waiting`, while a bot carries out as many actions on its cluster as it may at a time."""
        self._wait(action_id, {"queued": True})

    @redis_errors
    def paused(self, action_id: str, pause: Pause | None) -> None:
        """As `waiting`, while nothing starts where it belongs; None once something does again."""
        self._wait(action_id, {PROGRESS: pause.to_mapping()} if pause else {})

    @redis_errors
    def hold_back(self, action_id: str, owner: str, fence: int, pause: Pause) -> None:
        """A run that has claimed it, and begun nothing, gives it back until that pause ends: it is
        approved again, and `paused`. One that was stopped is only released."""
        why = canonical({PROGRESS: pause.to_mapping()})
        longest = LONGEST_WAIT_SECONDS * 1000
        _, action = self._records.run("HOLD_BACK", action_id, owner, fence, why, longest)
        self._records.index(action_id)
        if action is not None:
            self._tell_beside(action)

    def _wait(self, action_id: str, why: Mapping[str, Any]) -> None:
        self._records.run("WAITING", action_id, canonical(why), LONGEST_WAIT_SECONDS * 1000)
        self._records.index(action_id, due=False, within=_PROGRESS_SECONDS)

    @redis_errors
    def finish(self, action_id: str, owner: str, fence: int, outcome: Outcome) -> bool:
        """End a run; False when the lease is lost, or when it was stopped and ends otherwise."""
        told = canonical(_words(outcome))
        result, ended = self._records.run(
            "FINISH", action_id, owner, fence, outcome.state.value, told
        )
        self._records.index(action_id)
        if ended is not None:
            self._tell_beside(ended)
        return result in ("done", "replayed")

    @redis_errors
    def force_end(
        self, action_id: str, outcome: Outcome, *, by: str, request_id: str, even_held: bool
    ) -> Decision:
        """End a running action from outside of its run, which writes nothing more from then on; with
        `even_held` also while a bot has it. `by` is who does, as the audit trail names them.

        What the cluster holds is for the outcome to say: nobody has looked.
        """
        if not plausible(action_id):
            return Decision("gone", None)
        words, state = canonical(_words(outcome)), outcome.state.value
        result, action = self._records.run(
            "FORCE_END", action_id, request_id, by, state, words, int(even_held)
        )
        if action is not None:
            self._records.index(action_id)
            self._tell_beside(action)
        return Decision(result, action)

    @redis_errors
    def release(self, action_id: str, owner: str, fence: int) -> None:
        """Let another bot take the run over at once."""
        self._records.run("RELEASE", action_id, owner, fence)
        self._records.index(action_id)

    @redis_errors
    def due(self) -> list[Due]:
        """Actions that need looking after now; nobody else is given them for a second."""
        return self._records.take_due(self._records.due_key, DUE_AT_ONCE, _DUE_VISIBILITY_MS)

    @redis_errors
    def drop_due(self, due: Due) -> None:
        """Nothing more can happen to an action that was due."""
        # Whoever ended it may have died before it marked its message.
        self._records.owed.now(due.id)
        self._records.drop(self._records.due_key, due)

    @redis_errors
    def put_off(self, due: Due, moments: Iterable[float]) -> None:
        """Nothing is due before the next of these moments (epoch seconds, Redis' time) to
        an action that was due and is pending."""
        self._records.put_off(self._records.due_key, due, _PENDING_SECONDS, moments)

    @redis_errors
    def look_again(self, action_ids: Iterable[str]) -> None:
        """What these actions depend on has changed: look whether they may begin, and at what their
        messages show."""
        for action_id in action_ids:
            self._records.index(action_id)

    @redis_errors
    def hand_on(self, due: Due) -> None:
        """An action that was due is so again in a moment, for whoever looks next."""
        self._records.put_off(self._records.due_key, due, _HANDED_ON_SECONDS)

    def _remember(self, ref: GatewayRef, action_id: str) -> None:
        """Keep it among the gateway's recent ones."""
        key = self._recent_key(ref)
        seconds, _ = self._client.time()
        with self._client.pipeline(transaction=False) as pipe:
            pipe.zadd(key, {action_id: seconds * 1000}, nx=True)
            pipe.zremrangebyscore(key, "-inf", seconds * 1000 - _RECENT_MS)
            pipe.pexpire(key, _RECENT_MS)
            pipe.execute()


def _given(facts: DecisionFacts) -> str:
    """The facts as the script takes them."""
    return canonical(
        {
            "policy": canonical(policy_to_mapping(facts.policy)),
            "serves": list(facts.serves),
            "requirements": [
                {"environment": n.environment, "quorum": n.quorum, "lost": list(n.lost)}
                for n in facts.requirements
            ],
            "grown": facts.grown,
            "forbidden": facts.forbidden,
            "windows_open": facts.windows_open,
        }
    )


def _words(outcome: Outcome) -> dict[str, str]:
    return {
        "happened": outcome.happened,
        "meaning": outcome.meaning,
        "remedy": outcome.remedy,
    }
