"""Who may do what, and where: pure rules over the settings' environments."""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Protocol

from deploy.errors import Refused
from deploy.gateway import GatewayRef
from deploy.policy import People, Policy, Requirement
from deploy.rules import Exemption, Severity
from deploy.times import minute

_NOBODY = People()


@dataclass(frozen=True)
class Freeze:
    """A time in which nothing is to change, from `starts` until just before `ends` (aware)."""

    reason: str
    starts: datetime.datetime
    ends: datetime.datetime


@dataclass(frozen=True)
class Approval:
    """What a change of an environment takes: how many of whom, within how many seconds."""

    approvers: People
    quorum: int = 1
    seconds: int | None = None


@dataclass(frozen=True)
class Environment:
    """Clusters and namespaces under the same rules; `*` and `?` are wildcards.

    `requesters` are those who may ask for changes, any member where there are none; `channels` are
    the ids of the channels where that may be done, any where there are none. `windows` says whether
    the settings allow approval windows; `severities` are those of rules that are not as usual.
    `standing` names the approval in the settings by which tokens are rotated automatically, empty
    where they are not, or only once somebody agrees.
    """

    name: str
    clusters: tuple[str, ...] = ("*",)
    namespaces: tuple[str, ...] = ("*",)
    production: bool = False
    exemptions: tuple[Exemption, ...] = ()
    severities: Mapping[str, Severity] = field(default_factory=dict)
    requesters: People | None = None
    channels: tuple[str, ...] = ()
    approval: Approval | None = None
    freezes: tuple[Freeze, ...] = ()
    windows: bool = True
    standing: str = ""

    def holds(self, ref: GatewayRef) -> bool:
        """Whether `ref` is in this environment."""
        return self.reaches(ref.cluster) and any(
            fnmatchcase(ref.namespace, p) for p in self.namespaces
        )

    def reaches(self, cluster: str) -> bool:
        """Whether it has a part of that cluster."""
        return any(fnmatchcase(cluster, p) for p in self.clusters)

    @property
    def allows_windows(self) -> bool:
        """Whether approvers may open approval windows here: only where one approval is enough, for
        nobody opens a window in the name of two."""
        return self.windows and self.approval is not None and self.approval.quorum == 1

    @property
    def approvers(self) -> People:
        """Those who approve changes here; nobody where nothing needs an approval."""
        return self.approval.approvers if self.approval is not None else _NOBODY

    def names(self, user: str) -> bool:
        """Whether it names `user` by user id, be it as requester or as approver."""
        return user in (self.requesters or _NOBODY).users or user in self.approvers.users


UNLISTED = Environment("unlisted", production=True)
"""Where no environment holds: as careful as production, since nobody said that it is not."""


class Membership(Protocol):
    """Where it is known who is in which group, now."""

    def groups_of(self, user: str, groups: Sequence[str]) -> frozenset[str]:
        """Those of `groups` that `user` is in. Unavailable when that cannot be read."""


@dataclass(frozen=True)
class Identities:
    """Which user ids belong to one person, so that nobody decides their own request twice."""

    people: Mapping[str, str] = field(default_factory=dict)
    """Person by user id."""

    def person(self, user: str) -> str:
        """The person behind a user id; somebody who is not mapped is their user id."""
        return self.people.get(user, user)


class Standing(StrEnum):
    """What somebody is in the workspace that the bot belongs to."""

    MEMBER = "member"
    GUEST = "guest"
    DEACTIVATED = "deactivated"
    FOREIGN = "foreign"


class Right(StrEnum):
    """What somebody may want to do. Those up to RESUME are judged by the environment, the others by
    the action that they concern."""

    SEE = "see"
    """What runs and waits, who did what, when tokens expire: everybody who is somebody here."""
    INSPECT = "inspect"
    """Logs, differences, findings and manifests of a gateway."""
    ASK = "ask"
    OPEN_WINDOW = "open a window"
    CLOSE_WINDOW = "close a window"
    SNOOZE = "snooze"
    RESUME = "resume"
    """Automatic rotation after it stopped."""
    DECIDE = "decide"
    CONFIRM = "confirm"
    CANCEL = "cancel"
    STOP = "stop"


class Ground(StrEnum):
    """Why something is allowed, or is not."""

    MEMBER = "member"
    ANYONE = "anyone"
    NAMED = "named"
    IN_GROUP = "in group"
    OWN = "own"
    GUEST = "guest"
    DEACTIVATED = "deactivated"
    FOREIGN = "foreign"
    NOT_NAMED = "not named"
    OTHER_CHANNEL = "other channel"
    NO_APPROVERS = "no approvers"
    NO_WINDOWS = "no windows"
    NOT_OWN = "not own"
    OWN_REQUEST = "own request"
    REQUESTER_DECIDES = "requester decides"


@dataclass(frozen=True)
class Verdict:
    """Whether something is allowed, and why.

    `people` are those on whom it rests: where it is allowed, the group that somebody is in; else
    those who may. `channels` are the ids of the channels where it would be allowed.
    """

    allowed: bool
    reason: Ground
    people: People = _NOBODY
    channels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Asker:
    """Somebody who wants to do something, as far as it is known now.

    `groups` are those of theirs that matter; `channel` is where they ask, None where it plays no
    part.
    """

    user: str
    standing: Standing = Standing.MEMBER
    groups: frozenset[str] = frozenset()
    channel: str | None = None


def environment_of(ref: GatewayRef, environments: Sequence[Environment]) -> Environment:
    """The first environment that holds `ref`."""
    return next((e for e in environments if e.holds(ref)), UNLISTED)


def everybody(some: People, others: People) -> People:
    """Both."""
    return People(
        tuple(dict.fromkeys((*some.users, *others.users))),
        tuple(dict.fromkeys((*some.groups, *others.groups))),
    )


def among(people: People, asker: Asker) -> Verdict:
    """Whether the asker is one of `people`. A guest or somebody deactivated is only by user id;
    somebody of another workspace never."""
    named = asker.user in people.users
    if asker.standing is Standing.FOREIGN or (asker.standing is not Standing.MEMBER and not named):
        return _nobody(asker)
    if named:
        return Verdict(True, Ground.NAMED)
    shared = [group for group in people.groups if group in asker.groups]
    if shared:
        return Verdict(True, Ground.IN_GROUP, People(groups=(shared[0],)))
    return Verdict(False, Ground.NOT_NAMED, people)


def may_see(environments: Sequence[Environment], asker: Asker) -> Verdict:
    """Whether the asker is somebody here: a member, or named by user id in some environment."""
    if asker.standing is Standing.MEMBER:
        return Verdict(True, Ground.MEMBER)
    named = any(environment.names(asker.user) for environment in environments)
    if asker.standing is Standing.FOREIGN or not named:
        return _nobody(asker)
    return Verdict(True, Ground.NAMED)


def may(right: Right, environment: Environment, asker: Asker) -> Verdict:
    """Whether the asker has a right that is judged by the environment. `asker.groups` are of those
    that `people_of` names."""
    match right:
        case Right.SEE:
            return may_see((environment,), asker)
        case Right.ASK:
            return _may_ask(environment, asker)
        case Right.INSPECT | Right.SNOOZE:
            return _has_a_say(environment, asker)
        case Right.RESUME if environment.approval is None:
            return _has_a_say(environment, asker)
        case Right.OPEN_WINDOW | Right.CLOSE_WINDOW if environment.approval is None:
            return Verdict(False, Ground.NO_APPROVERS)
        case Right.OPEN_WINDOW if not environment.allows_windows:
            return Verdict(False, Ground.NO_WINDOWS)
        case Right.OPEN_WINDOW | Right.CLOSE_WINDOW | Right.RESUME:
            return among(environment.approvers, asker)
    raise ValueError(f"{right} is judged by the action")


def people_of(right: Right, environment: Environment) -> People:
    """The people whose groups the answer of `may` depends on."""
    requesters = environment.requesters or _NOBODY
    match right:
        case Right.SEE:
            return _NOBODY
        case Right.ASK:
            return requesters
        case Right.INSPECT | Right.SNOOZE:
            return everybody(requesters, environment.approvers) if requesters else _NOBODY
        case Right.RESUME if environment.approval is None:
            return requesters
    return environment.approvers


def may_decide(policy: Policy, asker: Asker, *, own: bool) -> Verdict:
    """Whether the asker is one of those who approve or deny; `own` says whether it is what they
    asked for themselves."""
    if policy.by != "approvers":
        return Verdict(False, Ground.REQUESTER_DECIDES)
    if own:
        return Verdict(False, Ground.OWN_REQUEST)
    return among(policy.approvers, asker)


def may_confirm(environment: Environment, asker: Asker, requester: str) -> Verdict:
    """Whether the asker may confirm a request: only their own, and while they may request changes
    there. `asker.groups` are of those that `people_of` names for ASK."""
    return _own(may(Right.ASK, environment, asker), asker, requester)


def may_take_back(environments: Sequence[Environment], asker: Asker, requester: str) -> Verdict:
    """Whether the asker may cancel a request, which changes nothing: only their own, also once they
    may no longer request changes there."""
    return _own(may_see(environments, asker), asker, requester)


def may_stop(environment: Environment, policy: Policy, asker: Asker, requester: str) -> Verdict:
    """Whether the asker may stop what runs: who asked for it, or who approves such changes."""
    if asker.user == requester:
        return may_take_back((environment,), asker, requester)
    verdict = among(everybody(policy.approvers, environment.approvers), asker)
    if verdict.reason is Ground.NOT_NAMED:
        return replace(verdict, people=everybody(People(users=(requester,)), verdict.people))
    return verdict


def _own(verdict: Verdict, asker: Asker, requester: str) -> Verdict:
    """The verdict on what only the requester may do."""
    if asker.user != requester:
        return Verdict(False, Ground.NOT_OWN, People(users=(requester,)))
    return Verdict(True, Ground.OWN) if verdict.allowed else verdict


def _may_ask(environment: Environment, asker: Asker) -> Verdict:
    requesters = environment.requesters
    verdict = _anyone(asker) if requesters is None else among(requesters, asker)
    here = not environment.channels or asker.channel in (None, *environment.channels)
    if verdict.allowed and not here:
        return Verdict(False, Ground.OTHER_CHANNEL, channels=environment.channels)
    return verdict


def _has_a_say(environment: Environment, asker: Asker) -> Verdict:
    """Whether the asker requests changes there, from whatever channel, or approves them."""
    if environment.requesters is None:
        verdict = _anyone(asker)
        return verdict if verdict.allowed else among(environment.approvers, asker)
    return among(everybody(environment.requesters, environment.approvers), asker)


def _anyone(asker: Asker) -> Verdict:
    if asker.standing is Standing.MEMBER:
        return Verdict(True, Ground.ANYONE)
    return _nobody(asker)


def _nobody(asker: Asker) -> Verdict:
    return Verdict(False, Ground(asker.standing.value))


def frozen(
    environment: Environment, now: datetime.datetime, *, after: datetime.datetime | None = None
) -> Freeze | None:
    """The freeze that holds now, if there is one; with `after`, only one that began after that."""
    holding = (f for f in environment.freezes if f.starts <= now < f.ends)
    return next((f for f in holding if after is None or f.starts > after), None)


def freezes_of(
    environments: Sequence[Environment],
    now: datetime.datetime,
    ahead: datetime.timedelta = datetime.timedelta(),
) -> tuple[tuple[Environment, Freeze], ...]:
    """Each freeze that holds now or begins within `ahead`, the one that begins first in front."""
    found = [
        (each, freeze)
        for each in environments
        for freeze in each.freezes
        if freeze.starts <= now + ahead and now < freeze.ends
    ]
    return tuple(sorted(found, key=lambda pair: (pair[1].starts, pair[0].name)))


class Frozen(Refused):
    """A change freeze of `environment` forbids it; of the gateway `ref`, where that is known."""

    def __init__(
        self, environment: Environment, freeze: Freeze, ref: GatewayRef | None, remedy: str
    ) -> None:
        super().__init__(
            f"{environment.name} is frozen until {minute(freeze.ends)}: {freeze.reason.rstrip('. ')}.",
            meaning="Nothing was changed.",
            remedy=remedy,
        )
        self.environment = environment
        self.freeze = freeze
        self.ref = ref


def check_freeze(
    environment: Environment,
    *,
    now: datetime.datetime,
    break_glass: str,
    asked: datetime.datetime | None = None,
    ref: GatewayRef | None = None,
) -> None:
    """Frozen in a freeze, unless a reason was given to override it. The reason of what was asked
    for at `asked` overrides no freeze that began after that; now, where there is no `asked`."""
    after = (asked or now) if break_glass else None
    freeze = frozen(environment, now, after=after)
    if freeze is None:
        return
    raise Frozen(
        environment,
        freeze,
        ref,
        'Run the command again after that. In an emergency, add `--break-glass "reason"` to the command: '
        "it overrides the freeze, and the channel is notified.",
    )


def policy_for(
    environments: Sequence[Environment],
    ref: GatewayRef,
    *,
    freezing: Sequence[Environment],
    now: datetime.datetime,
    break_glass: str = "",
    windows: Mapping[str, str] = MappingProxyType({}),
) -> Policy:
    """The policy of a change of `ref` that concerns these environments.

    `freezing` are those whose freezes forbid it; `windows` are keys of open approval windows by
    environment. Refused where nobody may change it now.
    """
    for environment in freezing:
        check_freeze(environment, now=now, break_glass=break_glass, ref=ref)
    overriding = any(frozen(environment, now) is not None for environment in freezing)
    requirements = (requirement_of(e, ref, windows.get(e.name, "")) for e in environments)
    return Policy(
        tuple(each for each in requirements if each is not None),
        break_glass=break_glass if overriding else "",
    )


def requirement_of(
    environment: Environment, ref: GatewayRef, window: str = ""
) -> Requirement | None:
    """What the environment requires, None where whoever asks decides. Refused where it is
    production and nobody is named who approves."""
    approval = environment.approval
    if approval is None:
        if environment.production:
            raise _nobody_approves(ref, environment)
        return None
    covered = window if environment.allows_windows else ""
    return Requirement(
        environment.name, approval.approvers, approval.quorum, covered, environment.channels
    )


def _nobody_approves(ref: GatewayRef, environment: Environment) -> Refused:
    place = f"{ref.cluster}/{ref.namespace}"
    if environment is UNLISTED:
        return Refused(
            f"{place} belongs to no environment, so it counts as production.",
            meaning="Nothing was changed.",
            remedy="List it under `environments` in the settings.",
        )
    return Refused(
        f"{place} is production ({environment.name}), and the settings name no approvers for it.",
        meaning="Nothing was changed.",
        remedy="Add `approval` to that environment in the settings.",
    )
