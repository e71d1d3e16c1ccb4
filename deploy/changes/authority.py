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
    environment_of,
    frozen,
    may_request,
)
from deploy.actions.windows import Windows
from deploy.errors import Refused
from deploy.gateway import GatewayRef
from deploy.policy import People


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

    def check_request(self, ref: GatewayRef, user: str, channel: str) -> None:
        """Refused where `user` may not ask for changes of `ref` in that channel."""
        verdict = self._request(self.environment(ref), user, channel)
        if not verdict.allowed:
            raise Refused(verdict.why, meaning="Nothing was changed.")

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

    def _groups(self, people: People, user: str) -> frozenset[str]:
        if not people.groups or user in people.users:
            return frozenset()
        return self._membership.groups_of(user, people.groups)
