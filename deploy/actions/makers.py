"""Which action made a revision, as far as the audit trail tells. Pure.

A ReplicaSet takes over its Deployment's annotations for as long as it is the newest one. So an action
that makes no revision, such as a scale, leaves its ID and its requester on that of an earlier action.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from deploy.actions.action import EDGES, State
from deploy.actions.audit import AuditEntry
from deploy.observed.history import Revision

_CLOCKS_SECONDS = 5.0
"""The API server's clock and Redis' may differ by that much."""
_ENDS = frozenset(state.value for state in State if not EDGES[state])


@dataclasses.dataclass
class _Run:
    """When an action ran, and who asked for it."""

    requester: str = ""
    began: float | None = None
    ended: float | None = None

    def around(self, moment: float) -> bool:
        """Whether it ran then."""
        return (
            self.began is not None
            and self.began - _CLOCKS_SECONDS <= moment
            and (self.ended is None or moment <= self.ended + _CLOCKS_SECONDS)
        )


def credited(known: Sequence[Revision], entries: Iterable[AuditEntry]) -> tuple[Revision, ...]:
    """The same revisions, each with the action that ran when it was made.

    Where the trail does not tell which one that was, the action that is noted on it stays, unless it
    began only later.
    """
    runs = _runs(entries)
    return tuple(_credited(revision, runs) for revision in known)


def _credited(revision: Revision, runs: Mapping[str, _Run]) -> Revision:
    noted = runs.get(revision.action)
    # One that was brought back is as old as its first maker.
    if revision.again or noted is None or noted.around(revision.created_at):
        return revision
    for name, run in runs.items():
        if run.around(revision.created_at):
            return dataclasses.replace(revision, action=name, requester=run.requester)
    if noted.began is not None and noted.began > revision.created_at:
        return dataclasses.replace(revision, action="", requester="")
    return revision


def _runs(entries: Iterable[AuditEntry]) -> dict[str, _Run]:
    found: dict[str, _Run] = {}
    for entry in sorted(entries, key=lambda each: each.at):
        if not entry.action:
            continue
        run = found.setdefault(entry.action, _Run())
        if entry.event == State.PENDING.value:
            run.requester = entry.who
        elif entry.event == State.RUNNING.value and run.began is None:
            run.began = entry.at
        elif entry.event in _ENDS:
            run.ended = entry.at
    return found
