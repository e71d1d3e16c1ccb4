"""Asks who is in which group now, and applies the rules of deploy.access to the answer."""

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from deploy.access import (
    Environment,
    Freeze,
    Identities,
    Membership,
    Verdict,
    among,
    check_freeze,
    environment_of,
    frozen,
    may_approve,
    may_request,
    policy_for,
)
from deploy.actions.executor import Executor, Run
from deploy.actions.record import AUTOMATIC, Action, Outcome, State
from deploy.actions.windows import Window, Windows
from deploy.errors import Refused
from deploy.gateway import GatewayRef
from deploy.policy import People, Policy


def _utc_now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


@dataclass(frozen=True)
class Rights:
    """What one person may do in one environment, and why."""

    environment: Environment
    request: Verdict
    approve: Verdict
    freeze: Freeze | None


class Gatekeeper:
    """Who may ask for and decide on a change, at this moment."""

    def __init__(
        self,
        environments: Sequence[Environment],
        identities: Identities,
        membership: Membership,
        windows: Windows,
        *,
        clock: Callable[[], datetime.datetime] = _utc_now,
    ) -> None:
        self._environments = environments
        self._identities = identities
        self._membership = membership
        self._windows = windows
        self._clock = clock

    def environment(self, ref: GatewayRef) -> Environment:
        """Where `ref` is."""
        return environment_of(ref, self._environments)

    def person(self, user: str) -> str:
        """Who is behind a user id."""
        return self._identities.person(user)

    def policy(
        self,
        ref: GatewayRef,
        *,
        user: str,
        channel: str,
        break_glass: str = "",
        windows: bool = True,
    ) -> Policy:
        """Who decides on a change that `user` asks for in `channel`, with `windows` also by an
        approval window that is open for them.

        Refused where they may not ask for it, or nobody may change `ref` now; Unavailable where
        it cannot be read who they are.
        """
        environment = self.environment(ref)
        verdict = self._request(environment, user, channel)
        if not verdict.allowed:
            raise Refused(verdict.why, meaning="Nothing was changed.")
        window = self._window(environment, ref, user) if windows else None
        return policy_for(
            environment,
            ref,
            now=self._clock(),
            break_glass=break_glass,
            window=window.key if window else "",
        )

    def may_decide(self, action: Action, user: str) -> Verdict:
        """Whether `user` is one of the action's approvers now. Unavailable where that cannot be
        read: then nobody decides."""
        return may_approve(action.policy, user, self._groups(action.policy.approvers, user))

    def check_freeze(self, action: Action) -> None:
        """Refused where a freeze holds by now that the action was not asked to go through."""
        check_freeze(
            self.environment(action.ref),
            now=self._clock(),
            break_glass=action.policy.break_glass,
        )

    def same_freeze(self, action: Action) -> bool:
        """Whether a freeze holds now that had begun when the action was asked for."""
        freeze = frozen(self.environment(action.ref), self._clock())
        return freeze is not None and freeze.starts.timestamp() <= action.created_at

    def may_close(self, ref: GatewayRef, user: str) -> Verdict:
        """Whether `user` approves changes of `ref`, and so opens and closes windows there."""
        approval = self.environment(ref).approval
        if approval is None:
            return Verdict(False, "Nobody approves changes there, so there are no windows.")
        return among(approval.approvers, user, self._groups(approval.approvers, user))

    def may_ask(self, ref: GatewayRef, user: str) -> Verdict:
        """Whether `user` has a say in `ref`: asks for its changes, from whatever channel, or
        approves them."""
        return self._may_ask(self.environment(ref), user)

    def may_resume(self, environment: Environment, user: str) -> Verdict:
        """Whether `user` decides that what happens on its own goes on there after a failure."""
        if environment.approval is not None:
            return self._approve(environment, user)
        return self._may_ask(environment, user)

    def window_open(self, policy: Policy) -> bool:
        """Whether the window that the policy names, if any, is open still."""
        return not policy.window or self._windows.is_open(policy.window)

    def rights(self, user: str, channel: str) -> tuple[Rights, ...]:
        """What `user` may do, environment by environment."""
        return tuple(
            Rights(
                environment,
                self._request(environment, user, channel),
                self._approve(environment, user),
                frozen(environment, self._clock()),
            )
            for environment in self._environments
        )

    def _request(self, environment: Environment, user: str, channel: str) -> Verdict:
        groups = self._groups(environment.requesters or People(), user)
        return may_request(environment, user, channel, groups)

    def _may_ask(self, environment: Environment, user: str) -> Verdict:
        if environment.requesters is None:
            return Verdict(True, "anyone may ask")
        people = environment.requesters
        verdict = among(people, user, self._groups(people, user))
        return verdict if verdict.allowed else self._approve(environment, user)

    def _approve(self, environment: Environment, user: str) -> Verdict:
        if environment.approval is None:
            return Verdict(False, "nothing here needs an approval")
        people = environment.approval.approvers
        return among(people, user, self._groups(people, user))

    def _window(self, environment: Environment, ref: GatewayRef, user: str) -> Window | None:
        if environment.approval is None or not environment.windows:
            return None
        return self._windows.find(ref, user)

    def _groups(self, people: People, user: str) -> frozenset[str]:
        if not people.groups or user in people.users:
            return frozenset()
        return self._membership.groups_of(user, people.groups)


class NoFreeze:
    """An executor that begins nothing in a freeze, also what was approved before it."""

    def __init__(self, inner: Executor, gatekeeper: Gatekeeper) -> None:
        self._inner = inner
        self._gatekeeper = gatekeeper

    def execute(self, action: Action, run: Run) -> Outcome:
        """As the inner one. What another bot has begun is brought to its end. Refused else, but
        what nobody asked for is postponed: it has not failed, and comes again on its own."""
        if not action.begun:
            try:
                self._gatekeeper.check_freeze(action)
            except Refused as refused:
                if not action.request.get(AUTOMATIC):
                    raise
                return _postponed(refused)
        return self._inner.execute(action, run)


def _postponed(refused: Refused) -> Outcome:
    return Outcome(
        State.SUPERSEDED,
        f"Postponed: {refused.happened}",
        "Nothing was changed. Its turn comes again by itself after that; warnings go on.",
    )
