"""What an action is: its states, the edges between them, and the record that Redis holds. Pure."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, Protocol

from deploy.gateway import GatewayRef
from deploy.plans.plan import Plan
from deploy.policy import Policy

WAITING_FOR = "waiting_for"
"""Under this name the progress of an approved action has the id of the one that it waits for."""


class State(StrEnum):
    """Where an action stands in its life."""

    PENDING = "pending"
    APPROVED = "approved"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"
    UNKNOWN = "unknown"
    DENIED = "denied"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"


EDGES: Mapping[State, frozenset[State]] = {
    State.PENDING: frozenset(
        {State.APPROVED, State.DENIED, State.CANCELLED, State.EXPIRED, State.SUPERSEDED}
    ),
    State.APPROVED: frozenset({State.RUNNING, State.CANCELLED, State.EXPIRED}),
    State.RUNNING: frozenset(
        {
            State.APPROVED,
            State.SUCCEEDED,
            State.FAILED,
            State.STOPPED,
            State.UNKNOWN,
            State.SUPERSEDED,
        }
    ),
    State.SUCCEEDED: frozenset(),
    State.FAILED: frozenset(),
    State.STOPPED: frozenset(),
    State.UNKNOWN: frozenset(),
    State.DENIED: frozenset(),
    State.CANCELLED: frozenset(),
    State.EXPIRED: frozenset(),
    State.SUPERSEDED: frozenset(),
}
"""The only transitions there are; a state without a way out is final.

The Lua scripts and the documentation are made from this table."""


WAIT, PLAN, LOOK = "wait", "plan", "look"
"""Steps by which nothing is begun: a run waits for its turn at the gateway, or only looks."""

_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Digits and letters that are not taken for one another when read aloud."""


def action_id(request_id: str) -> str:
    """The id of the action that a request makes: the same one however often it is delivered."""
    number = int.from_bytes(hashlib.sha256(request_id.encode()).digest(), "big")
    letters = ""
    for _ in range(6):
        number, rest = divmod(number, len(_ALPHABET))
        letters += _ALPHABET[rest]
    return letters


@dataclass(frozen=True)
class Step:
    """One thing a runner did, so that a person sees how far it got. `at`: Redis' time, epoch s."""

    name: str
    at: float
    detail: str = ""


@dataclass(frozen=True)
class Vote:
    """What one person said to a plan. `person` is who is behind the user id `by`.

    `serves` names the environments whose requirement the vote counts for; None in a record from
    before votes named them, which had one requirement only.
    """

    by: str
    person: str
    verdict: Literal["approve", "deny"]
    at: float
    digest: str
    reason: str = ""
    serves: frozenset[str] | None = None

    def counts_for(self, environment: str) -> bool:
        """Whether it approves for that environment."""
        return self.verdict == "approve" and (self.serves is None or environment in self.serves)


@dataclass(frozen=True)
class Event:
    """One entry of an action's own log: what happened, by whom. `at`: Redis' time, epoch s."""

    version: int
    name: str
    who: str
    detail: str
    at: float


@dataclass(frozen=True)
class Outcome:
    """How an action ended, in words: what happened, what it means, what to do."""

    state: State
    happened: str
    meaning: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class Denial:
    """That a change like this one was denied lately: by whom, why, and when (epoch seconds).

    `requester` asked for it, with the action of that id; both are empty in older records.
    """

    by: str
    reason: str
    at: float
    requester: str = ""
    action: str = ""


@dataclass(frozen=True)
class Patience:
    """That somebody waits although a rollout is stuck: on which cause, who, and since when (epoch
    seconds)."""

    cause: str
    by: str
    at: float


class ChangeRequest(Protocol):
    """What a change is asked for with. Each kind of change has a type of its own, frozen."""

    def to_mapping(self) -> dict[str, Any]:
        """The request, JSON-able."""


@dataclass(frozen=True)
class Action:
    """One change, from the slash command to the last message. Times are Redis' own, epoch seconds.

    `request` is what was asked for, `why` the reason given for it, and `plan` what was shown;
    `automatic` says that the bot asked, not a person, and `denied` that the same kind of change was
    denied within the day before. `batch` is the ID of the batch that it is a member of, if it is.
    `origin` belongs to whoever shows the action to people and means
    nothing here. `person` is who is behind the requester's
    user id. Once it is decided, `start_by` is when it must have started.
    `stop_by` is the user id of the person who stopped it while it ran; from then on it can only end stopped.
    `patience` is with what its rollout was stuck on when somebody last decided to keep waiting.
    """

    id: str
    kind: str
    ref: GatewayRef
    state: State
    version: int
    requester: str
    person: str
    policy: Policy
    digest: str
    request: ChangeRequest
    plan: Plan
    origin: Mapping[str, Any]
    created_at: float
    expires_at: float
    updated_at: float
    decided_by: str = ""
    decided_at: float | None = None
    start_by: float | None = None
    stop_by: str = ""
    stop_at: float | None = None
    reason: str = ""
    votes: tuple[Vote, ...] = ()
    fence: int = 0
    lease_owner: str = ""
    lease_until: float = 0.0
    attempts: int = 0
    steps: tuple[Step, ...] = ()
    progress: Mapping[str, Any] | None = None
    outcome: Outcome | None = None
    why: str = ""
    automatic: bool = False
    denied: Denial | None = None
    batch: str = ""
    patience: Patience | None = None

    @property
    def approvals(self) -> int:
        """How many have approved so far."""
        return sum(vote.verdict == "approve" for vote in self.votes)

    @property
    def met(self) -> int:
        """How many of the approvals that its policy still requires it has: one vote may serve
        several environments, and more than an environment requires are not needed."""
        return sum(
            min(each.quorum, sum(vote.counts_for(each.environment) for vote in self.votes))
            for each in self.policy.open
        )

    @property
    def begun(self) -> bool:
        """Whether a run has gone further than to wait and to look."""
        return any(step.name not in (WAIT, PLAN, LOOK) for step in self.steps)

    @property
    def under_way(self) -> bool:
        """Whether it is approved or running."""
        return self.state in (State.APPROVED, State.RUNNING)

    @property
    def final(self) -> bool:
        """Whether nothing can happen to it any longer."""
        return not EDGES[self.state]
