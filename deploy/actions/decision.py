"""A decision on an action: what it depends on beside the record, and what came of it."""

from dataclasses import dataclass
from typing import Literal

from deploy.actions.action import Action
from deploy.policy import Policy

Choice = Literal["confirm", "approve", "deny", "cancel"]


@dataclass(frozen=True)
class Decision:
    """What a decision did: `done`, `counted` (a vote of several) or `replayed` when it counted.

    The other results say why it did not: `already`, `expired`, `stale` (another plan), `self`,
    `voted`, `not-approver`, `not-requester`, `no-approval` (its requester confirms it, or cancels),
    `window-closed`, `forbidden`, `grown` (more environments require an approval than were shown, or
    an approval that stood in the settings is gone), and `gone`, with no action. A stop may also find
    that the action is `not-running` yet, so that it can be cancelled, or is `stopping`; who waits
    although a rollout is stuck, that it is stuck on that no longer (`moved-on`), or that somebody
    waits for it already (`patient`); an end from outside, that a bot has it (`held`).
    """

    result: str
    action: Action | None

    @property
    def counted(self) -> bool:
        """Whether it had its effect, now or when it was first made."""
        return self.result in ("done", "counted", "replayed")


@dataclass(frozen=True)
class Needed:
    """What a requirement needs now: so many votes, those of `lost` persons no longer counted."""

    environment: str
    quorum: int
    lost: tuple[str, ...] = ()


@dataclass(frozen=True)
class DecisionFacts:
    """What a decision depends on that Redis cannot know, as it is at this moment.

    `serves` names the requirements for which this person's vote counts, `policy` is the stricter
    of the one shown and today's, `grown` says that more environments require an approval than were
    shown, or that an approval which stood in the settings is gone, `forbidden` that nobody may agree
    to it now, as in a freeze, and `windows_open` whether the approval windows it rests on are open
    still.
    """

    policy: Policy
    serves: tuple[str, ...] = ()
    requirements: tuple[Needed, ...] = ()
    grown: bool = False
    forbidden: bool = False
    windows_open: bool = True


@dataclass(frozen=True)
class Wish:
    """A decision that `by` could make, of which somebody wants to know what would come of it.
    `person` is who is behind that user id."""

    verdict: Choice
    action: Action
    by: str
    person: str
    facts: DecisionFacts
