"""The policy of a change, when it is shown and at every decision after that."""

import dataclasses
import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from deploy.access import (
    Environment,
    Freeze,
    check_freeze,
    environment_of,
    frozen,
    policy_for,
    requirement_of,
)
from deploy.actions.action import Action
from deploy.actions.decision import DecisionFacts, Needed
from deploy.actions.executor import Outgrown
from deploy.actions.windows import Window, Windows
from deploy.changes.authority import Authority
from deploy.changes.kinds import Kind
from deploy.errors import Refused
from deploy.gateway import GatewayRef
from deploy.governance.requirements import TokenAuthority
from deploy.plans.plan import Plan
from deploy.policy import People, Policy, Requirement, grown, stricter


class Governing(Protocol):
    """Which environments decide a plan because of the gateway token it touches."""

    def __call__(self, plan: Plan, *, regenerates: bool = False) -> TokenAuthority: ...


class Policies:
    """Policies of changes, by the settings and by who is in which group at this moment."""

    def __init__(
        self,
        environments: Sequence[Environment],
        kinds: Mapping[str, Kind],
        authority: Authority,
        windows: Windows,
        governing: Governing,
        *,
        clock: Callable[[], datetime.datetime],
    ) -> None:
        self._environments = environments
        self._kinds = kinds
        self._authority = authority
        self._windows = windows
        self._governing = governing
        self._clock = clock

    def of(
        self,
        kind: Kind,
        plan: Plan,
        *,
        user: str,
        break_glass: str = "",
        standing: str = "",
        asked: People | None = None,
    ) -> Policy:
        """The policy of a plan that `user` asks for.

        `standing` names an approval in the settings that stands in for the target's approvers;
        `asked` are those who decide where the target requires nobody else's approval. Refused where
        nobody may change it now; Unavailable where that cannot be read.
        """
        ref = plan.spec.ref
        concerned = self._concerned(self.governing(kind, plan), ref)
        target = concerned[0]
        # A window is opened on one gateway, so it speaks for that gateway's environment only.
        window = self._window(target, ref, user) if kind.windows else None
        policy = policy_for(
            concerned[1:] if standing else concerned,
            ref,
            freezing=self._freezing(kind, concerned),
            now=self._clock(),
            break_glass=break_glass,
            windows={target.name: window.key} if window else {},
        )
        if asked is not None and target.name not in policy.environments:
            more = (Requirement(target.name, asked), *policy.requirements)
            policy = dataclasses.replace(policy, requirements=more)
        return dataclasses.replace(policy, standing=standing)

    def governing(self, kind: Kind, plan: Plan) -> TokenAuthority:
        """Which environments decide a plan now, and why. Unavailable where it cannot be read."""
        return self._governing(plan, regenerates=kind.every_environment)

    def check(self, ref: GatewayRef, break_glass: str) -> None:
        """Refused where nobody may change `ref` now, whatever the change: in a freeze without a
        reason to override it, or where nobody is named who approves."""
        environment = environment_of(ref, self._environments)
        check_freeze(environment, now=self._clock(), break_glass=break_glass, ref=ref)
        requirement_of(environment, ref)

    def freezes(self, ref: GatewayRef | None = None) -> tuple[tuple[Environment, Freeze], ...]:
        """The freezes in effect now: of the environment of `ref`, or of all."""
        asked = self._environments if ref is None else [environment_of(ref, self._environments)]
        now = self._clock()
        return tuple((each, found) for each in asked if (found := frozen(each, now)))

    def forbidden(self, action: Action) -> Refused | None:
        """Why nobody may agree to it now, whoever they are: a freeze that it was not asked to
        override, or an environment in which nobody is named any longer who approves."""
        return self._forbidden(action, self._concerned_by(action))

    def break_glass(self, action: Action) -> str:
        """The reason with which the same, asked for again, overrides the freeze of now: the
        action's, where it was given in that freeze. Unavailable where it cannot be read."""
        reason, now = action.policy.break_glass, self._clock()
        if not reason:
            return ""
        freezing = self._freezing(self._kinds[action.kind], self._concerned_by(action))
        later = any(frozen(each, now, after=_asked_at(action)) for each in freezing)
        return reason if not later and any(frozen(each, now) for each in freezing) else ""

    def withdrawn(self, action: Action) -> bool:
        """Whether it rests on an approval in the settings that they no longer give: tokens of its
        environment are not rotated automatically now."""
        return bool(action.policy.standing) and not self._authority.environment(action.ref).standing

    def facts(self, action: Action, user: str) -> DecisionFacts:
        """What a decision of `user` on it depends on now. Unavailable where it cannot be read."""
        concerned = self._concerned_by(action)
        forbidden = self._forbidden(action, concerned)
        try:
            today = self._today(action, concerned)
        except Refused:
            # Nobody may agree to it; a denial is by the policy shown.
            today = action.policy
        shown = _named(action, today)
        needed = {each.environment: each for each in today.requirements}
        policy = stricter(shown, today)
        return DecisionFacts(
            policy=policy,
            serves=tuple(
                each.environment
                for each in policy.open
                if self._counts(each, needed.get(each.environment), user)
            ),
            requirements=tuple(
                Needed(
                    each.environment,
                    each.quorum,
                    self._lost(action, each, needed.get(each.environment)),
                )
                for each in policy.open
            ),
            grown=self.withdrawn(action) or bool(grown(shown, today)),
            forbidden=forbidden is not None,
            windows_open=self.windows_open(policy),
        )

    def met(self, action: Action) -> bool:
        """Whether what was decided holds by the stricter of the policy shown and today's.

        Unavailable where it cannot be read.
        """
        facts = self.facts(action, "")
        if facts.grown or not self._stands(facts.policy):
            return False
        return all(
            sum(
                vote.counts_for(needed.environment) and vote.person not in needed.lost
                for vote in action.votes
            )
            >= needed.quorum
            for needed in facts.requirements
        )

    def authorize(self, action: Action) -> frozenset[str]:
        """The environments that have decided the action's token. Outgrown where that no longer
        suffices; Unavailable where it cannot be read. To be called while the gateway's token is
        held, right before Azure is asked."""
        governing = self.governing(self._kinds[action.kind], action.plan)
        if not self.met(action):
            raise Outgrown
        return governing.behind.union(governing.environments)

    def _stands(self, policy: Policy) -> bool:
        """Whether the windows it rests on stood in for an approval, also once they have ended."""
        found = [self._windows.at(key) for key in policy.windows]
        return all(window is not None and self._authority.stands(window) for window in found)

    def windows_open(self, policy: Policy) -> bool:
        """Whether every approval window it rests on still counts."""
        found = [self._windows.at(key) for key in policy.windows]
        return all(window is not None and self._authority.counts(window) for window in found)

    def _concerned_by(self, action: Action) -> list[Environment]:
        governing = self.governing(self._kinds[action.kind], action.plan)
        return self._concerned(governing, action.ref)

    def _concerned(self, governing: TokenAuthority, ref: GatewayRef) -> list[Environment]:
        target = environment_of(ref, self._environments)
        names = set(governing.environments) - {target.name}
        return [target, *(each for each in self._environments if each.name in names)]

    def _today(self, action: Action, concerned: Sequence[Environment]) -> Policy:
        """Who would decide it if it were asked for now, freezes and windows left out."""
        target, standing = concerned[0], action.policy.standing
        # What the settings approve beforehand stands in for the target's own approvers.
        asked = concerned[1:] if standing else concerned
        found = [requirement_of(each, action.ref) for each in asked]
        if action.automatic and not standing and target.approval is None and target.requesters:
            # Nobody else's approval is required, so the bot asked those who may ask.
            found.append(Requirement(target.name, target.requesters))
        return Policy(tuple(each for each in found if each is not None))

    def _lost(
        self, action: Action, shown: Requirement, today: Requirement | None
    ) -> tuple[str, ...]:
        """The persons whose vote does not count for a requirement now: those who are not approvers,
        the requester, and anybody who has an earlier vote. The settings may have learned only since
        then that two identities are one person's."""
        seen: set[str] = set()
        lost = []
        for vote in sorted(action.votes, key=lambda each: each.at):
            if not vote.counts_for(shown.environment):
                continue
            person = self._authority.person(vote.by)
            own = self._authority.is_own(action, vote.by)
            if own or person in seen or not self._counts(shown, today, vote.by):
                lost.append(vote.person)
            else:
                seen.add(person)
        return tuple(lost)

    def _forbidden(self, action: Action, concerned: Sequence[Environment]) -> Refused | None:
        try:
            for environment in self._freezing(self._kinds[action.kind], concerned):
                check_freeze(
                    environment,
                    now=self._clock(),
                    break_glass=action.policy.break_glass,
                    asked=_asked_at(action),
                    ref=action.ref,
                )
            self._today(action, concerned)
        except Refused as refused:
            return refused
        return None

    def _freezing(self, kind: Kind, concerned: Sequence[Environment]) -> Sequence[Environment]:
        return concerned if kind.every_environment else concerned[:1]

    def _window(self, environment: Environment, ref: GatewayRef, user: str) -> Window | None:
        if not environment.allows_windows:
            return None
        window = self._windows.find(ref, user)
        return window if window is not None and self._authority.counts(window) else None

    def _counts(self, shown: Requirement, today: Requirement | None, user: str) -> bool:
        """Whether an approval of `user` counts: an approver both when it was shown and today."""
        return self._is_one(shown.approvers, user) and (
            today is None or self._is_one(today.approvers, user)
        )

    def _is_one(self, people: People, user: str) -> bool:
        return bool(user) and self._authority.is_one_of(people, user).allowed


def _asked_at(action: Action) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(action.created_at, datetime.UTC)


def _named(action: Action, today: Policy) -> Policy:
    """The policy shown; in a record older than named requirements it is the target's own."""
    shown = action.policy
    if shown.environments != {""} or not today.requirements:
        return shown
    return shown.renamed(today.requirements[0].environment)
