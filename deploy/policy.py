"""Who decides on a change: kept with the change as it was when it was asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
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

    `window` is the key of an open approval window that stands in for them, empty where none does.
    """

    environment: str
    approvers: People
    quorum: int = 1
    window: str = ""


@dataclass(frozen=True)
class Policy:
    """What a decision takes. `by` says whose it is: the requester's own, or the approvers'.

    `window` is the approval window under which the requester may confirm alone, `standing` the name
    of an approval that stands in the settings, `break_glass` the reason given for going through a
    freeze; each is empty where it plays no part.
    """

    by: Literal["requester", "approvers"] = "requester"
    quorum: int = 1
    approvers: People = People()
    window: str = ""
    standing: str = ""
    break_glass: str = ""


def policy_to_mapping(policy: Policy) -> dict[str, Any]:
    """The policy, JSON-able."""
    return {
        "by": policy.by,
        "quorum": policy.quorum,
        "users": list(policy.approvers.users),
        "groups": list(policy.approvers.groups),
        "window": policy.window,
        "standing": policy.standing,
        "break_glass": policy.break_glass,
    }


def policy_from_mapping(data: Mapping[str, Any]) -> Policy:
    """The policy that `policy_to_mapping` wrote."""
    return Policy(
        by=data["by"],
        quorum=data["quorum"],
        approvers=People(tuple(data["users"]), tuple(data["groups"])),
        window=data["window"],
        standing=data["standing"],
        break_glass=data["break_glass"],
    )
