"""What became of actions: lost, done twice, done without an approval; counted for the output."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from deploy.actions.action import Action, Event, State
from deploy.actions.store import ActionStore

FAULTS = "faults"
"""The property under which a test notes its counts."""
_DONE = {State.SUCCEEDED, State.FAILED, State.STOPPED, State.UNKNOWN, State.SUPERSEDED}


@dataclass
class Tally:
    """The counts of one scenario. `wrong` says what is behind those that are not zero."""

    lost: int = 0
    twice: int = 0
    unapproved: int = 0
    runs: int = 0
    actions: int = 0
    wrong: list[str] = field(default_factory=list)

    def judge(
        self,
        store: ActionStore,
        action_id: str,
        *,
        effects: int | None = None,
        wanted: frozenset[State] = frozenset({State.SUCCEEDED}),
    ) -> None:
        """Count one action. `effects` is how often it took effect, where that can be told."""
        self.actions += 1
        action = store.get(action_id)
        if action is None:
            self._lost(f"{action_id} is gone")
            return
        log = store.events(action_id)
        self.runs += action.attempts
        if action.state not in wanted:
            self._lost(f"{action_id} is {action.state}: {action.outcome}")
        if action.state is State.SUCCEEDED and effects == 0:
            self._lost(f"{action_id} has no effect")
        ends = [event.name for event in log if event.name in set(_DONE)]
        if (effects or 0) > 1 or len(ends) > 1:
            self.twice += 1
            self.wrong.append(f"{action_id} took effect {effects} times, ended as {ends}")
        if (effects or ends) and not approved(action, log):
            self.unapproved += 1
            self.wrong.append(f"{action_id} was run without an approval: {log}")

    def _lost(self, what: str) -> None:
        self.lost += 1
        self.wrong.append(what)

    def told(self, name: str) -> str:
        """The line of the output."""
        return (
            f"{name}: lost {self.lost}, twice {self.twice}, unapproved {self.unapproved}, "
            f"runs {self.runs} of {self.actions} actions"
        )


def approved(action: Action, log: Iterable[Event]) -> bool:
    """Whether those who had to have approved exactly this plan before it began."""
    began: int | None = None
    decided: int | None = None
    for event in log:
        if event.name == "approved" and decided is None:
            decided = event.version
        if event.name == "running" and began is None:
            began = event.version
    if decided is None or (began is not None and began < decided):
        return False
    if action.policy.by == "requester":
        return action.decided_by == action.requester
    votes = [vote for vote in action.votes if vote.digest == action.digest]
    for needed in action.policy.open:
        people = {vote.person for vote in votes if vote.counts_for(needed.environment)}
        if len(people) < needed.quorum or action.person in people:
            return False
    return True
