"""The policy of a change: kept with the change as it was when it was asked for. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal


@dataclass(frozen=True)
class People:
    """Some people, as settings name them: by user id, or by the id of a group they are in."""

    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.users or self.groups)


@dataclass(frozen=True)
class Requirement:
    """What one environment requires of a change that concerns it: that many of its approvers.

    `window` is the key of an open approval window that stands in for them, empty where none does;
    `channels` are the ids of the channels where its changes are asked for, any where there are none.
    """

    environment: str
    approvers: People
    quorum: int = 1
    window: str = ""
    channels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Policy:
    """What a decision takes: all of `requirements` are met, and one vote may serve several.

    Without one that is open the requester decides. `standing` is the name of an approval that
    stands in the settings, `break_glass` the reason given for overriding a freeze; each is empty
    where it plays no part.
    """

    requirements: tuple[Requirement, ...] = ()
    standing: str = ""
    break_glass: str = ""

    @property
    def open(self) -> tuple[Requirement, ...]:
        """What people must still approve: what no approval window covers."""
        return tuple(each for each in self.requirements if not each.window)

    @property
    def by(self) -> Literal["requester", "approvers"]:
        """Whose decision it is."""
        return "approvers" if self.open else "requester"

    @property
    def windows(self) -> tuple[str, ...]:
        """The approval windows it rests on."""
        return tuple(each.window for each in self.requirements if each.window)

    @property
    def environments(self) -> frozenset[str]:
        """Whose requirements these are."""
        return frozenset(each.environment for each in self.requirements)

    @property
    def approvers(self) -> People:
        """Everybody who has a vote."""
        users = dict.fromkeys(user for each in self.open for user in each.approvers.users)
        groups = dict.fromkeys(group for each in self.open for group in each.approvers.groups)
        return People(tuple(users), tuple(groups))

    def renamed(self, environment: str) -> "Policy":
        """The same, its requirements being those of that environment."""
        renamed = (replace(each, environment=environment) for each in self.requirements)
        return replace(self, requirements=tuple(renamed))


def grown(shown: Policy, today: Policy) -> frozenset[str]:
    """The environments that require approvals today and did not when the change was shown."""
    return today.environments - shown.environments


def stricter(shown: Policy, today: Policy) -> Policy:
    """The policy shown, with each quorum that was raised since.

    Whose approval counts is asked of both (`Requirement.approvers` of each): who is no longer an
    approver does not count, who became one has not been shown the request as theirs.
    """
    quorum = {each.environment: each.quorum for each in today.requirements}
    return replace(
        shown,
        requirements=tuple(
            replace(each, quorum=max(each.quorum, quorum.get(each.environment, 0)))
            for each in shown.requirements
        ),
    )


def policy_to_mapping(policy: Policy) -> dict[str, Any]:
    """The policy, JSON-able."""
    return {
        "requirements": [
            {
                "environment": each.environment,
                "quorum": each.quorum,
                "users": list(each.approvers.users),
                "groups": list(each.approvers.groups),
                "window": each.window,
                "channels": list(each.channels),
            }
            for each in policy.requirements
        ],
        "standing": policy.standing,
        "break_glass": policy.break_glass,
    }


def policy_from_mapping(data: Mapping[str, Any], environment: str = "") -> Policy:
    """The policy that `policy_to_mapping` wrote, or an older bot did.

    The older form has one requirement and does not name the environment: it is `environment`.
    """
    if "requirements" in data:
        found = tuple(
            Requirement(
                each["environment"],
                People(tuple(each["users"]), tuple(each["groups"])),
                each["quorum"],
                each["window"],
                tuple(each["channels"]),
            )
            for each in data["requirements"]
        )
    elif data["by"] == "approvers" or data["window"]:
        people = People(tuple(data["users"]), tuple(data["groups"]))
        found = (Requirement(environment, people, data["quorum"], data["window"]),)
    else:
        found = ()
    return Policy(found, standing=data["standing"], break_glass=data["break_glass"])
