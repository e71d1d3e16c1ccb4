"""The only place where an action comes into being: for commands, buttons and automation alike."""

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deploy.access import Environment, environment_of
from deploy.actions.action import Action, ChangeRequest, Denial, Outcome, State, action_id
from deploy.actions.store import ActionStore
from deploy.actions.windows import Windows
from deploy.changes.kinds import DEPLOY, Kind, Workings
from deploy.changes.policies import Policies
from deploy.commands import Command
from deploy.errors import Conflict, GatewayBotError, InvalidInput, Refused, Unavailable
from deploy.gateway import GatewayRef
from deploy.governance.explaining import findings
from deploy.plans.binding import as_shown
from deploy.plans.plan import Plan
from deploy.plans.requests import DeployRequest, takes_over
from deploy.policy import People, Policy
from deploy.rollouts.verdicts import superseded
from deploy.rules.finding import Finding
from deploy.rules.managed import MANAGED_ELSEWHERE
from deploy.specs.overlay import merged, unpinned
from deploy.specs.spec import spec_from_mapping, spec_to_mapping

log = logging.getLogger(__name__)

REASON_LIMIT = 500
_DAY = 86_400.0
_UNUSED = "`--break-glass` is not used: no change freeze is in effect here."


@dataclass(frozen=True)
class Ask:
    """What somebody asks for.

    `request_id` is that of the delivery, so that asking twice with it makes one action; `seen`
    says whether others than the requester see the action's message where it is asked for. `notes`
    are shown with the plan. `automatic` says that the bot asks automatically: then `standing` names
    the approval in the settings it rests on, and `asked` are those who decide where nobody else
    must. `seconds` is how long it waits to be confirmed, `asking_seconds` for approvers, where that
    is not as usual. `batch` is the ID of the batch that it is a member of, if it is.
    """

    kind: str
    request: ChangeRequest
    ref: GatewayRef
    requester: str
    request_id: str
    origin: Mapping[str, Any]
    why: str = ""
    break_glass: str = ""
    seen: bool = True
    notes: Sequence[str] = ()
    automatic: bool = False
    standing: str = ""
    asked: People | None = None
    seconds: int | None = None
    asking_seconds: int | None = None
    batch: str = ""


@dataclass(frozen=True)
class Proposal:
    """What came of it: an action that waits for its decision, or none and the plan that says why.

    Without an action the plan changes nothing, or a rule forbids it. `beside` is then what else is
    open on the gateway, which may change that.
    """

    plan: Plan
    action: Action | None = None
    beside: tuple[Action, ...] = ()


@dataclass(frozen=True)
class ProposalSettings:
    """`decision_seconds` is how long a plan waits for its decision where nothing else is said."""

    environments: Sequence[Environment] = ()
    decision_seconds: int = 900
    person: Callable[[str], str] = field(default=lambda user: user)


class Proposer:
    """Plans what is asked for, and keeps the plan as an action that waits for its decision.

    `may_ask` raises Refused where that user may not ask for changes in that channel.
    """

    def __init__(
        self,
        store: ActionStore,
        kinds: Mapping[str, Kind],
        workings: Mapping[str, Workings],
        policies: Policies,
        windows: Windows,
        may_ask: Callable[[GatewayRef, str, str], None],
        settings: ProposalSettings,
        wake: Callable[[str], None],
    ) -> None:
        self._store = store
        self._kinds = kinds
        self._workings = workings
        self._policies = policies
        self._windows = windows
        self._may_ask = may_ask
        self._settings = settings
        self._wake = wake

    def environment(self, ref: GatewayRef) -> Environment:
        """Where a change of `ref` would be."""
        return environment_of(ref, self._settings.environments)

    def propose(self, ask: Ask) -> Proposal:
        """Plan it, and have it decided; nothing is changed yet.

        Conflict where others own fields that it would change and that was not agreed to; Refused
        where nobody may change it now, or where nobody who decides would see it; and whatever
        looking at the cluster raises. InvalidInput where it takes a reason.
        """
        # What the settings approve beforehand needs no approvers, also in production.
        if not ask.automatic:
            channel = str(ask.origin.get("channel", ""))
            self.check(ask.ref, ask.requester, channel, why=ask.why, break_glass=ask.break_glass)
        kind = self._kinds[ask.kind]
        new_id = action_id(ask.request_id)
        plan = self._workings[ask.kind].plan(ask.request, new_id)
        if plan.spec.ref != ask.ref:
            raise Conflict(f"The request is for {ask.ref}, but its plan is for {plan.spec.ref}.")
        if plan.conflicts and not takes_over(ask.request):
            raise _owned_by_others(plan)
        if plan.empty or plan.denied:
            return Proposal(plan, beside=self._store.open_on(ask.ref))
        if kind.declares and not ask.why:
            self._check_forced(plan)
        notes = (
            *(Finding(ask.kind, "info", note, "", "") for note in ask.notes),
            *findings(self._policies.governing(kind, plan), ask.ref, self._approving()),
        )
        return Proposal(plan, self._create(ask, kind, plan, notes, new_id))

    def check(
        self, ref: GatewayRef, user: str, channel: str, *, why: str = "", break_glass: str = ""
    ) -> None:
        """The checks that need no plan. Refused as `propose`; InvalidInput."""
        for option, text in (("reason", why), ("break-glass", break_glass)):
            if len(text) > REASON_LIMIT:
                raise InvalidInput(
                    (f"A reason can have at most {REASON_LIMIT} characters."), field=option
                )
        self._may_ask(ref, user, channel)
        self._policies.check(ref, break_glass)

    def renewed(
        self,
        action: Action,
        request_id: str,
        *,
        rule: str = "",
        seen: bool = True,
    ) -> Proposal:
        """The same asked for once more, by whoever asked; with `rule`, as that rule advises.

        Once stored, a plan with the advice takes the place of the one without it. What overrode a
        freeze does so while that freeze lasts: an emergency of then is not a reason to override
        another one. What was asked for goes over what runs now: other actions may have ended since. `seen` is
        as in `Ask`. Conflict where the plan has no such advice.
        """
        kind = action.kind
        if rule:
            kind, request = self._advised(action, rule)
        else:
            request = self._kinds[kind].again(action.request, self._store.now())
        request = self._workings[kind].anew(request)
        proposal = self.propose(
            Ask(
                kind,
                request,
                action.ref,
                action.requester,
                request_id,
                action.origin,
                why=action.why,
                break_glass=self._policies.break_glass(action),
                seen=seen,
                automatic=action.automatic,
                batch=action.batch,
            )
        )
        if rule and proposal.action is not None:
            self._supersede(action, _replaced(f"{proposal.action.id}, with the fix"))
        return proposal

    def replan(self, action: Action, renew: Callable[[], None]) -> None:
        """Look whether a plan that waits still holds; else nobody is to decide it.

        `renew` has the same asked for once more. It is called first and must be durable, so that
        nothing is lost between the two.
        """
        if action.state is not State.PENDING:
            return
        try:
            plan = self._workings[action.kind].plan(action.request, action.id)
        except Unavailable:
            # Before it is carried out it is compared with the cluster in any case.
            return
        except GatewayBotError as error:
            outcome = Outcome(State.SUPERSEDED, error.happened, error.meaning, error.remedy)
            self._supersede(action, outcome)
            return
        # A way back that has changed is shown; other words for the same are not a change.
        shown = dataclasses.replace(action.plan, on_failure=plan.on_failure)
        if as_shown(plan, shown).digest == action.digest:
            return
        if not action.automatic:
            renew()
        self._supersede(action, superseded(plan))

    def _create(
        self, ask: Ask, kind: Kind, plan: Plan, notes: tuple[Finding, ...], new_id: str
    ) -> Action:
        policy = self._policies.of(
            kind,
            plan,
            user=ask.requester,
            break_glass=ask.break_glass,
            standing=ask.standing,
            asked=ask.asked,
        )
        if ask.break_glass and not policy.break_glass:
            notes = (*notes, Finding(ask.kind, "info", _UNUSED, "", ""))
        if not ask.seen:
            _check_seen(ask.ref, policy)
        recent = self._store.recent(ask.ref)
        action = self._store.create(
            new_id,
            kind=ask.kind,
            ref=ask.ref,
            requester=ask.requester,
            person=self._settings.person(ask.requester),
            policy=policy,
            digest=plan.digest,
            request=ask.request,
            plan=dataclasses.replace(plan, findings=(*notes, *_advice(kind, plan))),
            origin=ask.origin,
            ttl_seconds=self._seconds(ask, policy),
            request_id=ask.request_id,
            why=ask.why,
            automatic=ask.automatic,
            denied=_denied_lately(ask.kind, recent, self._store.now()),
            batch=ask.batch,
        )
        self._replace_earlier(action, recent)
        about = {"action": new_id, "gateway": str(ask.ref), "cluster": ask.ref.cluster}
        extra = {"event": "proposal", "outcome": action.state.value, "user": ask.requester, **about}
        log.info("%s is proposed", ask.kind, extra=extra)
        self._wake(new_id)
        return action

    def _replace_earlier(self, action: Action, recent: Sequence[Action]) -> None:
        """Of open plans of one person that are the same, or exclude each other, the newest stays.

        `recent` is what there was before this one was stored; with it, where it is delivered once more.
        """
        again = any(other.id == action.id for other in recent)
        if action.state is not State.PENDING:
            # Delivered once more: what became of it since stands.
            return
        for other in recent:
            if other.id == action.id or other.state is not State.PENDING:
                continue
            if not self._replaces(action, other):
                continue
            # What is of the same millisecond was there before, else it knows of this one itself.
            tied = other.created_at == action.created_at and not again
            if other.created_at < action.created_at or tied:
                self._supersede(other, _replaced(action.id))

    def _replaces(self, newer: Action, older: Action) -> bool:
        """Whether both are asked for by one person and come to the same, or a gateway takes only one of
        the kind. A token's Secret has the action's name, and a restart the time at which it was asked
        for."""
        if (newer.requester, newer.kind) != (older.requester, older.kind):
            return False
        kind = self._kinds[newer.kind]
        asked_alike = kind.again(newer.request, 0.0) == kind.again(older.request, 0.0)
        return kind.replaces or newer.digest == older.digest or asked_alike

    def _seconds(self, ask: Ask, policy: Policy) -> int:
        """How long it waits for its decision: the longest that an environment gives its approvers,
        but no longer than the approval windows it rests on."""
        usual = self._settings.decision_seconds
        if policy.by == "approvers":
            given = [
                environment.approval.seconds
                for environment in self._settings.environments
                if environment.name in {each.environment for each in policy.open}
                and environment.approval is not None
                and environment.approval.seconds is not None
            ]
            wait = max(given, default=0) or ask.asking_seconds or usual
        else:
            wait = ask.seconds or usual
        left = [window.left for key in policy.windows if (window := self._windows.at(key))]
        return min([wait, *(max(1, int(each)) for each in left)])

    def _approving(self) -> set[str]:
        return {each.name for each in self._settings.environments if each.approval is not None}

    def _advised(self, action: Action, rule: str) -> tuple[str, ChangeRequest]:
        from_rule = (f.fix_patch for f in action.plan.findings if f.rule == rule and f.fix_patch)
        patch = next(from_rule, None)
        if patch is None:
            raise Conflict("This plan does not offer that suggestion.")
        before = spec_to_mapping(action.plan.spec)
        spec = spec_from_mapping(unpinned(before, merged(before, patch), patch))
        asked, kind = action.request, action.kind
        if not isinstance(asked, DeployRequest):
            # A kind that is not asked for with a whole spec becomes a deployment of this one.
            kind = DEPLOY
            asked = DeployRequest(spec, take_over=takes_over(asked))
        return kind, asked.with_patch(patch, spec)

    def _check_forced(self, plan: Plan) -> None:
        production = self.environment(plan.spec.ref).production
        undone = _undone(plan)
        if undone is not None and production:
            raise InvalidInput(
                "A reason is required, because something else will undo the change.",
                field="reason",
                meaning=undone.fix,
                remedy="Run the command again with `--reason` and a few words.",
            )

    def _supersede(self, action: Action, outcome: Outcome) -> bool:
        waited = self._store.supersede(action.id, outcome)
        self._wake(action.id)
        return waited


def _replaced(by: str) -> Outcome:
    return Outcome(State.SUPERSEDED, f"Replaced by {by}.", "Nothing was changed.")


def _advice(kind: Kind, plan: Plan) -> Sequence[Finding]:
    """What the rules say, with no fix where the change has no place for one."""
    if kind.fixable:
        return plan.findings
    return [dataclasses.replace(finding, fix_patch=None) for finding in plan.findings]


def _denied_lately(kind: str, recent: Sequence[Action], now: float) -> Denial | None:
    """The person who denied the same kind of change of that gateway within a day, where nobody has approved
    one since."""
    decided = [
        (other.decided_at, other)
        for other in recent
        if other.kind == kind and other.decided_at and other.state is not State.CANCELLED
    ]
    at, last = max(decided, key=lambda each: each[0], default=(0.0, None))
    if last is None or last.state is not State.DENIED or now - at >= _DAY:
        return None
    return Denial(last.decided_by, last.reason, at, last.requester, last.id)


def _check_seen(ref: GatewayRef, policy: Policy) -> None:
    if policy.by == "approvers":
        raise Refused(
            f"Changes to {ref} require approval, and no approver would see the request here.",
            meaning="Nothing was changed.",
            remedy=(
                "Run the command in a channel that the approvers read and the bot is a member of."
            ),
        )
    if policy.break_glass:
        raise Refused(
            "Overriding a freeze must be reported to a channel, and nobody else would see it here.",
            meaning="Nothing was changed.",
            remedy="Run the command in a channel that the bot is a member of.",
        )


def _undone(plan: Plan) -> Finding | None:
    """That something else undoes it, where that is certain and nobody agreed to it beforehand."""
    found = (f for f in plan.findings if f.rule == MANAGED_ELSEWHERE and f.exempted is None)
    return next(found, None)


def _owned_by_others(plan: Plan) -> Conflict:
    owners: dict[str, list[str]] = {}
    for conflict in plan.conflicts:
        owners.setdefault(conflict.manager, []).append(f"{conflict.kind} {conflict.path}")
    named = "; ".join(f"{who} owns {_listed(what)}" for who, what in owners.items())
    undone = _undone(plan)
    if undone is not None:
        return Conflict(undone.what, meaning=f"{named}.", remedy=undone.fix)
    return Conflict(
        f"This would change fields of {plan.spec.ref} that others own.",
        meaning=f"{named}.",
        remedy=(
            "To change them anyway, run the command again with `--take-over`. If something else "
            f"deployed the gateway, adopt it first with {Command('adopt', plan.spec.ref)}, which "
            "keeps what runs."
        ),
    )


def _listed(names: Sequence[str], limit: int = 4) -> str:
    more = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {more} more" if more > 0 else "")
