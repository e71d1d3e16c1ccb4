"""Who may ask for a change, decide on it, and where: pure rules over the settings' environments."""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Protocol

from deploy.errors import Refused
from deploy.gateway import GatewayRef
from deploy.policy import People, Policy, Requirement
from deploy.rules import Exemption, Severity
from deploy.times import minute


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

    `requesters` are those who may ask for changes, anyone where there are none; `channels` are the
    ids of the channels where that may be done, any where there are none. `windows` says whether
    approvers may open approval windows here; `severities` are those of rules that are not as usual.
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

    def holds(self, ref: GatewayRef) -> bool:
        """Whether `ref` is in this environment."""
        return self.reaches(ref.cluster) and any(
            fnmatchcase(ref.namespace, p) for p in self.namespaces
        )

    def reaches(self, cluster: str) -> bool:
        """Whether it has a part of that cluster."""
        return any(fnmatchcase(cluster, p) for p in self.clusters)


UNLISTED = Environment("unlisted", production=True)
"""Where no environment holds: as careful as production, since nobody said that it is not."""


class Membership(Protocol):
    """Where it is known who is in which group, now."""

    def groups_of(self, user: str, groups: Sequence[str]) -> frozenset[str]:
        """Those of `groups` that `user` is in. Unavailable when that cannot be read."""


@dataclass(frozen=True)
class Identities:
    """Which user ids belong to one person, so that nobody decides on their own request twice."""

    people: Mapping[str, str] = field(default_factory=dict)
    """Person by user id."""

    def person(self, user: str) -> str:
        """The person behind a user id; somebody who is not mapped is their user id."""
        return self.people.get(user, user)


@dataclass(frozen=True)
class Verdict:
    """Whether something is allowed, and why, in words for the person."""

    allowed: bool
    why: str

    @property
    def sentence(self) -> str:
        """The reason where it stands by itself."""
        return f"{self.why[:1].upper()}{self.why[1:].removesuffix('.')}."


def environment_of(ref: GatewayRef, environments: Sequence[Environment]) -> Environment:
    """The first environment that holds `ref`."""
    return next((e for e in environments if e.holds(ref)), UNLISTED)


def among(people: People, user: str, groups: frozenset[str]) -> Verdict:
    """Whether `user`, who is in `groups`, is one of `people`."""
    if user in people.users:
        return Verdict(True, "named in the settings")
    shared = sorted(groups.intersection(people.groups))
    if shared:
        return Verdict(True, f"member of <!subteam^{shared[0]}>")
    return Verdict(False, "neither named in the settings nor in a group that is")


def may_request(
    environment: Environment, user: str, channel: str, groups: frozenset[str]
) -> Verdict:
    """Whether `user` may ask for a change there, from that channel."""
    if environment.requesters is not None:
        verdict = among(environment.requesters, user, groups)
        if not verdict.allowed:
            return Verdict(False, f"You may not ask for changes in {environment.name}.")
    if environment.channels and channel not in environment.channels:
        where = " or ".join(f"<#{c}>" for c in environment.channels)
        return Verdict(False, f"Changes in {environment.name} are asked for in {where}.")
    return Verdict(True, "anyone may ask" if environment.requesters is None else verdict.why)


def frozen(environment: Environment, now: datetime.datetime) -> Freeze | None:
    """The freeze that holds now, if there is one."""
    return next((f for f in environment.freezes if f.starts <= now < f.ends), None)


def check_freeze(environment: Environment, *, now: datetime.datetime, break_glass: str) -> None:
    """Refused in a freeze, unless a reason was given to go through it."""
    freeze = frozen(environment, now)
    if freeze is None or break_glass:
        return
    raise Refused(
        f"{environment.name} is frozen until {minute(freeze.ends)}: {freeze.reason}.",
        meaning="Nothing was changed.",
        remedy="Ask again after that. In an emergency ask with "
        '`--break-glass "reason"`: the channel is told.',
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
    """Who decides on a change of `ref` that concerns these environments.

    `freezing` are those whose freezes forbid it; `windows` are keys of open approval windows by
    environment. Refused where nobody may change it now.
    """
    for environment in freezing:
        check_freeze(environment, now=now, break_glass=break_glass)
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
    covered = window if environment.windows and approval.quorum == 1 else ""
    return Requirement(environment.name, approval.approvers, approval.quorum, covered)


def _nobody_approves(ref: GatewayRef, environment: Environment) -> Refused:
    place = f"{ref.cluster}/{ref.namespace}"
    if environment is UNLISTED:
        return Refused(
            f"{place} belongs to no environment, so it counts as production.",
            meaning="Nothing was changed.",
            remedy="List it under `environments` in the settings.",
        )
    return Refused(
        f"{place} is production ({environment.name}), and the settings name nobody who approves "
        "changes there.",
        meaning="Nothing was changed.",
        remedy="Add `approval` to that environment in the settings.",
    )
