"""The only place where an action is decided: by button, by text, by “confirm all”, or automatically.

What a person may do is asked at that moment; the order of the checks stands in the store's script.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from deploy.access import Right
from deploy.actions.action import Action, Outcome, State
from deploy.actions.decision import Choice, Decision, DecisionFacts, Wish
from deploy.actions.executor import Executor, Outgrown, Run
from deploy.actions.store import ActionStore
from deploy.changes.authority import Authority
from deploy.changes.policies import Policies
from deploy.changes.propose import REASON_LIMIT
from deploy.commands import Command
from deploy.errors import GatewayBotError, InvalidInput, Refused, Unavailable
from deploy.log_context import Stopwatch
from deploy.retry import RunLost
from deploy.rollouts.ways_out import stuck_on

log = logging.getLogger(__name__)

_RIGHTS: Mapping[Choice, Right] = {
    "confirm": Right.CONFIRM,
    "approve": Right.DECIDE,
    "deny": Right.DECIDE,
    "cancel": Right.CANCEL,
}

COUNTS = ("done", "grown")
"""What a decision comes to that its person may make: what is planned again because more must approve is
put to them by that very click."""


@dataclass(frozen=True)
class By:
    """The person who decides, the plan, and the delivery of the decision."""

    user: str
    digest: str
    request_id: str


class Decider:
    """Records decisions.

    `renew` has the same planned again, under an id that makes it so once.
    """

    def __init__(
        self,
        store: ActionStore,
        policies: Policies,
        renew: Callable[[Action, str], None],
        authority: Authority,
        wake: Callable[[str], None],
    ) -> None:
        self._store = store
        self._policies = policies
        self._renew = renew
        self._authority = authority
        self._wake = wake

    def agree(self, action_id: str, by: By) -> Decision:
        """Say yes to the plan of that digest: the requester confirms, an approver approves.

        NotAllowed for whoever may not; Refused in a freeze; Unavailable where it cannot be read who
        may decide.
        """
        watch = Stopwatch.started()
        action = self._store.get(action_id)
        if action is None:
            return Decision("gone", None)
        by_approvers = action.policy.by == "approvers"
        self._check("approve" if by_approvers else "confirm", action, by.user)
        facts = self._facts(action, by.user)
        if by_approvers:
            decision = self._store.approve(
                action_id,
                by=by.user,
                person=self._person_in(action, by.user),
                digest=by.digest,
                request_id=by.request_id,
                facts=facts,
            )
        else:
            decision = self._store.confirm(
                action_id, by=by.user, digest=by.digest, request_id=by.request_id, facts=facts
            )
        if decision.result == "forbidden":
            raise self._policies.forbidden(action) or Refused("This cannot be approved now.")
        self._replaced(decision, action)
        if decision.result == "window-closed":
            self._store.lapse(action_id)
        return self._noted("agree", by, decision, watch)

    def deny(self, action_id: str, by: By, reason: str) -> Decision:
        """An approver says no, for a reason. InvalidInput without one; NotAllowed for whoever may
        not; Unavailable as above."""
        watch = Stopwatch.started()
        why = checked_reason(reason)
        action = self._store.get(action_id)
        if action is None:
            return Decision("gone", None)
        self._check("deny", action, by.user)
        decision = self._store.deny(
            action_id,
            by=by.user,
            person=self._person_in(action, by.user),
            digest=by.digest,
            reason=why,
            request_id=by.request_id,
            facts=self._facts(action, by.user),
        )
        return self._noted("deny", by, decision, watch)

    def cancel(self, action_id: str, by: By) -> Decision:
        """The requester takes it back, while it has not started. NotAllowed for anybody else;
        Unavailable as above."""
        watch = Stopwatch.started()
        action = self._store.get(action_id)
        if action is not None:
            self._check("cancel", action, by.user)
        decision = self._store.cancel(
            action_id, by=by.user, digest=by.digest, request_id=by.request_id
        )
        return self._noted("cancel", by, decision, watch)

    def stop(self, action_id: str, by: By) -> Decision:
        """The requester or an approver stops what runs: it writes nothing more and ends at a safe
        point. NotAllowed for anybody else; Unavailable as above."""
        watch = Stopwatch.started()
        action = self._store.get(action_id)
        if action is None:
            return Decision("gone", None)
        self._authority.check_act(Right.STOP, by.user, action)
        decision = self._store.stop(action_id, by=by.user, request_id=by.request_id)
        return self._noted("stop", by, decision, watch)

    def keep_waiting(self, action_id: str, by: By, cause: str) -> Decision:
        """The requester or an approver waits although the rollout is stuck on that cause. NotAllowed
        for anybody else; Unavailable as above."""
        watch = Stopwatch.started()
        action = self._store.get(action_id)
        if action is None:
            return Decision("gone", None)
        self._authority.check_act(Right.STOP, by.user, action)
        if action.state is State.RUNNING and stuck_on(action) != cause:
            return Decision("moved-on", action)
        decision = self._store.keep_waiting(
            action_id, by=by.user, cause=cause, request_id=by.request_id
        )
        return self._noted("keep waiting", by, decision, watch)

    def _noted(self, what: str, by: By, decision: Decision, watch: Stopwatch) -> Decision:
        """Have the log say what came of it, and the bot look at what has changed."""
        known, action = {"user": by.user}, decision.action
        if action is not None:
            ref = action.ref
            known |= {"action": action.id, "gateway": str(ref), "cluster": ref.cluster}
            self._wake(action.id)
        log.info("%s", what, extra={**known, **watch.event("decision", decision.result)})
        return decision

    def would(self, verdict: Choice, action: Action, user: str, digest: str = "") -> str:
        """What would come of that decision now; `done` where it would count.

        NotAllowed for whoever may not; Unavailable where it cannot be read who may decide.
        """
        self._check(verdict, action, user)
        return self._store.would(
            verdict,
            action.id,
            by=user,
            person=self._person_in(action, user),
            digest=digest or action.digest,
            facts=self._facts(action, user),
        ).result

    def decidable(self, actions: Sequence[Action], user: str) -> tuple[Action, ...]:
        """Those of the actions that `user` may decide now: approve for others, or confirm their own.
        None whose rules cannot be read now. Unavailable where the store cannot be asked."""
        asked = [
            wish
            for action in actions
            if action.state is State.PENDING and not action.plan.denied
            if (wish := self._wish(action, user)) is not None
        ]
        results = self._store.would_each(asked)
        return tuple(
            wish.action for wish, result in zip(asked, results, strict=True) if result in COUNTS
        )

    def _wish(self, action: Action, user: str) -> Wish | None:
        choice: Choice = "approve" if action.policy.by == "approvers" else "confirm"
        try:
            self._check(choice, action, user)
            facts = self._facts(action, user)
        except GatewayBotError:
            return None
        return Wish(choice, action, user, self._person_in(action, user), facts)

    def forbidden(self, action: Action) -> Refused | None:
        """Why nobody may agree to it now, whoever they are; None where somebody may."""
        return self._policies.forbidden(action)

    def standing(self, action: Action) -> Decision:
        """The settings approve it beforehand; may be repeated."""
        decision = self._store.confirm(
            action.id,
            by=action.requester,
            digest=action.digest,
            request_id=f"standing:{action.id}",
            facts=self._facts(action, ""),
        )
        self._replaced(decision, action)
        return decision

    def _check(self, choice: Choice, action: Action, user: str) -> None:
        """NotAllowed for whoever may not, while there is something to decide; later the store says
        who decided."""
        if action.state is State.PENDING or (choice, action.state) == ("cancel", State.APPROVED):
            self._authority.check_act(_RIGHTS[choice], user, action)

    def _replaced(self, decision: Decision, action: Action) -> None:
        """Have what takes more approvals than it shows planned again, and put nobody before it."""
        if decision.result != "grown":
            return
        # What the bot asked for automatically is planned again by what asked.
        if not action.automatic:
            self._renew(action, f"grown:{action.id}")
        self._store.supersede(action.id, insufficient(self._policies, action))

    def _facts(self, action: Action, user: str) -> DecisionFacts:
        # What is decided already is answered without asking who is in which group.
        if action.state is not State.PENDING:
            return DecisionFacts(action.policy)
        return self._policies.facts(action, user)

    def _person_in(self, action: Action, user: str) -> str:
        """Who is behind `user`, by the name that the action has for them: the settings may have
        learned only since then that two identities are one person's."""
        person = self._authority.person(user)
        known = {self._authority.person(vote.by): vote.person for vote in action.votes}
        known[self._authority.person(action.requester)] = action.person
        return known.get(person, person)


class Authorized:
    """An executor that begins nothing that may no longer be: in a freeze, or where what was
    decided does not suffice any longer."""

    def __init__(self, inner: Executor, policies: Policies) -> None:
        self._inner = inner
        self._policies = policies

    def execute(self, action: Action, run: Run) -> Outcome:
        """As the inner one. What another bot has started is brought to its end; Refused in a freeze,
        but what nobody asked for is postponed: it has not failed, and comes again. RunLost while it
        cannot be read whether it may begin, so that another turn is taken at it."""
        if not action.begun:
            if self._policies.withdrawn(action):
                return insufficient(self._policies, action)
            try:
                refused = self._policies.forbidden(action)
                met = refused is not None or self._policies.met(action)
            except Unavailable as trouble:
                raise RunLost from trouble
            if refused is not None:
                if not action.automatic:
                    raise refused
                return _postponed(refused)
            if not met:
                return insufficient(self._policies, action)
        try:
            return self._inner.execute(action, run)
        except Outgrown:
            return insufficient(self._policies, action)


class Ending:
    """What the end of an action owes others: where its plan no longer held a fresh one, else a look
    at the gateway's open plans. Both may be asked for again."""

    def __init__(
        self,
        store: ActionStore,
        renew: Callable[[Action, str], None],
        replan: Callable[[Action, str], None],
    ) -> None:
        self._store = store
        self._renew = renew
        self._replan = replan

    def __call__(self, action: Action, outcome: Outcome) -> None:
        """Called before the end is recorded, so that nothing of it is lost.

        What the bot asked for automatically is planned again by what asked.
        """
        if outcome.state is State.SUPERSEDED:
            if not action.automatic:
                self._renew(action, action.id)
            return
        for other in self._store.recent(action.ref):
            if other.state is State.PENDING:
                self._replan(other, action.id)


def insufficient(policies: Policies, action: Action) -> Outcome:
    """What was decided does not suffice by now."""
    if policies.withdrawn(action):
        return Outcome(
            State.SUPERSEDED,
            "The settings no longer approve automatic rotation here.",
            "Nothing was changed. The token keeps its expiry, and warnings continue.",
            f"Rotate it by hand: {Command('rotate', action.ref)}.",
        )
    return Outcome(
        State.SUPERSEDED,
        "The approvals so far are no longer sufficient."
        if action.policy.requirements
        else "This now requires approval.",
        "Nothing was changed.",
        "The bot makes a new plan and asks the current approvers.",
    )


def checked_reason(text: str) -> str:
    """A person's reason. InvalidInput when there is none, or too much of it."""
    reason = " ".join(text.split())
    if not reason:
        raise InvalidInput(
            "A reason is required.", field="reason", remedy="Say why in a few words."
        )
    if len(reason) > REASON_LIMIT:
        raise InvalidInput(f"A reason can have at most {REASON_LIMIT} characters.", field="reason")
    return reason


def _postponed(refused: Refused) -> Outcome:
    return Outcome(
        State.SUPERSEDED,
        f"Postponed: {refused.happened}",
        "Nothing was changed. It is retried automatically after that; warnings continue.",
    )
