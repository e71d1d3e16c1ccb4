"""The one place that answers whether somebody may do something here, at this moment.

It asks who is a guest and who is in which group, and applies the rules of deploy.access to the
answer. Every refusal, and what `whoami` says, is its answer.
"""

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from deploy.access import (
    UNLISTED,
    Asker,
    Environment,
    Freeze,
    Identities,
    Membership,
    Right,
    Standing,
    Verdict,
    among,
    environment_of,
    everybody,
    freezes_of,
    frozen,
    may,
    may_confirm,
    may_decide,
    may_see,
    may_stop,
    may_take_back,
    people_of,
)
from deploy.actions.action import Action
from deploy.actions.pauses import Pause, holding
from deploy.actions.windows import Window, Windows
from deploy.changes.refusal import refusal
from deploy.gateway import GatewayRef
from deploy.governance.requirements import TokenAuthority
from deploy.policy import People


@dataclass(frozen=True)
class Powers:
    """What one person may do in one environment, and why."""

    environment: Environment
    ask: Verdict
    approve: Verdict
    inspect: Verdict
    freeze: Freeze | None


class Authority:
    """Who may do what. Unavailable wherever it cannot be read who somebody is: then nobody may.

    `standing` says what somebody is in the workspace; `clock` is the time by which freezes hold, and
    `pauses` are those that hold now. `sharing` is who else shares what an action changes: the other
    places of a gateway whose key it makes anew; None where nobody does.
    """

    def __init__(
        self,
        environments: Sequence[Environment],
        identities: Identities,
        membership: Membership,
        standing: Callable[[str], Standing],
        windows: Windows,
        *,
        clock: Callable[[], datetime.datetime],
        pauses: Callable[[], Sequence[Pause]] = tuple,
        sharing: Callable[[Action], TokenAuthority | None] = lambda action: None,
    ) -> None:
        self._environments = environments
        self._identities = identities
        self._membership = membership
        self._standing = standing
        self._windows = windows
        self._clock = clock
        self._pauses = pauses
        self._sharing = sharing

    def environment(self, ref: GatewayRef) -> Environment:
        """Where `ref` is."""
        return environment_of(ref, self._environments)

    def person(self, user: str) -> str:
        """Who is behind a user id."""
        return self._identities.person(user)

    def standing(self, user: str) -> Standing:
        """What `user` is in the workspace."""
        return self._standing(user)

    def may(
        self,
        right: Right,
        user: str,
        environment: Environment = UNLISTED,
        *,
        channel: str | None = None,
    ) -> Verdict:
        """Whether `user` has a right in an environment; SEE is the same in all of them. `channel`
        is where they ask, None where it plays no part."""
        if right is Right.SEE:
            return may_see(self._environments, self._asker(user, People()))
        asker = self._asker(user, people_of(right, environment), channel)
        return may(right, environment, asker)

    def check(
        self,
        right: Right,
        user: str,
        environment: Environment = UNLISTED,
        *,
        channel: str | None = None,
    ) -> None:
        """NotAllowed where `may` says no."""
        verdict = self.may(right, user, environment, channel=channel)
        if not verdict.allowed:
            raise refusal(right, verdict, user, environment)

    def check_request(self, ref: GatewayRef, user: str, channel: str) -> None:
        """NotAllowed where `user` may not ask for changes of `ref` in that channel."""
        self.check(Right.ASK, user, self.environment(ref), channel=channel)

    def is_own(self, action: Action, user: str) -> bool:
        """Whether `user` is the person who asked for it, by the settings of then or of now."""
        return self.person(user) in (action.person, self.person(action.requester))

    def may_act(self, right: Right, user: str, action: Action) -> Verdict:
        """Whether `user` may decide, confirm, cancel or stop an action; not whether its state
        lets them, nor for which environments an approval of theirs counts."""
        environment = self.environment(action.ref)
        if right is Right.DECIDE:
            asker = self._asker(user, action.policy.approvers)
            return may_decide(action.policy, asker, own=self.is_own(action, user))
        if right is Right.CONFIRM:
            asker = self._asker(user, people_of(Right.ASK, environment))
            return may_confirm(environment, asker, action.requester)
        if right is Right.STOP:
            deciding = everybody(action.policy.approvers, environment.approvers)
            asker = self._asker(user, deciding)
            return may_stop(environment, action.policy, asker, action.requester)
        return may_take_back(self._environments, self._asker(user, People()), action.requester)

    def check_act(self, right: Right, user: str, action: Action) -> None:
        """NotAllowed where `may_act` says no."""
        verdict = self.may_act(right, user, action)
        if not verdict.allowed:
            raise refusal(right, verdict, user, self.environment(action.ref))

    def is_one_of(self, people: People, user: str) -> Verdict:
        """Whether `user` is one of `people` now."""
        return among(people, self._asker(user, people))

    def counts(self, window: Window) -> bool:
        """Whether an approval window stands in for an approval now."""
        return window.open and self.stands(window)

    def stands(self, window: Window) -> bool:
        """Whether it does so while it is open: its environment allows windows, and whoever opened
        it still approves changes there and is somebody else than the person it is open for."""
        environment = self.environment(window.ref)
        return (
            environment.allows_windows
            and self.person(window.by) != self.person(window.requester)
            and self.is_one_of(environment.approvers, window.by).allowed
        )

    def windows_for(self, user: str) -> tuple[Window, ...]:
        """The approval windows within which `user` confirms alone now."""
        return tuple(each for each in self._windows.open_for(user) if self.counts(each))

    def freezes(
        self, ahead: datetime.timedelta = datetime.timedelta()
    ) -> tuple[tuple[Environment, Freeze], ...]:
        """Each freeze that holds now or begins within `ahead`."""
        return freezes_of(self._environments, self._clock(), ahead)

    def pauses(self) -> Sequence[Pause]:
        """Each pause that holds now. Unavailable where it cannot be read."""
        return self._pauses()

    def paused(self, action: Action) -> Pause | None:
        """The pause that keeps the action from starting now: where its gateway is, or in any place that
        shares what it changes. Unavailable where it cannot be read."""
        pauses = self._pauses()
        found = holding(action, pauses, self._environments)
        if found is not None or action.automatic or not pauses:
            return found
        places = self._shared(action)
        return next((p for p in pauses if any(p.covers(*place) for place in places)), None)

    def _shared(self, action: Action) -> set[tuple[str, str]]:
        """Clusters, each with an environment, beside those of its own gateway."""
        sharing = self._sharing(action)
        if sharing is None:
            return set()
        places = {(ref.cluster, self.environment(ref).name) for ref in sharing.places}
        return places | {(action.ref.cluster, name) for name in sharing.environments}

    def powers(self, user: str, channel: str) -> tuple[Powers, ...]:
        """What `user` may do, environment by environment."""
        now = self._clock()
        return tuple(
            Powers(
                each,
                self.may(Right.ASK, user, each, channel=channel),
                self.is_one_of(each.approvers, user),
                self.may(Right.INSPECT, user, each),
                frozen(each, now),
            )
            for each in self._environments
        )

    def _asker(self, user: str, people: People, channel: str | None = None) -> Asker:
        standing = self._standing(user)
        groups: frozenset[str] = frozenset()
        # Only members count by group, and who is named by user id needs none.
        if people.groups and standing is Standing.MEMBER and user not in people.users:
            groups = self._membership.groups_of(user, people.groups)
        return Asker(user, standing, groups, channel)
