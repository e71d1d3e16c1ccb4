"""Every gateway of every cluster as rows of one table: what needs attention first. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from deploy.access import Environment, environment_of
from deploy.gateway import GatewayRef
from deploy.health.attention import BROKEN, SOON, WRONG
from deploy.health.heartbeat import Level
from deploy.health.levels import Seen
from deploy.health.status import GatewaySummary
from deploy.images.support import Support, support

DOWN = BROKEN + 1
"""Nobody is served now: there is nothing worse."""
_URGENCY: Mapping[Level, int] = {
    "connected": 0,
    "no trouble seen": 0,
    "unknown": SOON,
    "stale token": WRONG,
    "cut off": WRONG,
    "denied": WRONG,
}


@dataclass(frozen=True)
class Row:
    """One gateway of the table. `support` is what is promised for its image."""

    summary: GatewaySummary
    seen: Seen
    support: Support
    environment: str
    production: bool = False

    @cached_property
    def state(self) -> str:
        """What is said of it in a word."""
        return self.summary.state(self.seen.heartbeat.level)

    @cached_property
    def urgency(self) -> int:
        """How soon somebody should look at it; 0 where nothing is known against it."""
        if self.summary.down:
            return DOWN
        findings = max((f.urgency for f in self.summary.findings), default=0)
        return max(findings, _URGENCY[self.seen.heartbeat.level])


@dataclass(frozen=True)
class Selection:
    """Which rows somebody wants to see; what is empty holds nothing back.

    `text` is looked for in names, places, images, levels and in what needs attention.
    """

    text: str = ""
    environment: str = ""
    cluster: str = ""
    attention: bool = False

    def takes(self, row: Row) -> bool:
        """Whether the row is one of these."""
        return (
            (not self.environment or row.environment == self.environment)
            and (not self.cluster or row.summary.ref.cluster == self.cluster)
            and (not self.attention or row.urgency > 0)
            and (not self.text or self.text.lower() in _words(row))
        )


def rows_of(
    summaries: Iterable[GatewaySummary],
    seen: Mapping[GatewayRef, Seen],
    tags: Sequence[str],
    environments: Sequence[Environment],
) -> tuple[Row, ...]:
    """A row for each: the most urgent first, of those production, then by place and name."""
    known: dict[str, Support] = {}
    rows = []
    for summary in summaries:
        if summary.tag not in known:
            known[summary.tag] = support(summary.tag, tags)
        where = environment_of(summary.ref, environments)
        of_it = seen[summary.ref]
        weighed = summary.weighed(of_it.heartbeat.refusal)
        rows.append(Row(weighed, of_it, known[summary.tag], where.name, where.production))
    return tuple(sorted(rows, key=lambda row: (-row.urgency, not row.production, row.summary.ref)))


def _words(row: Row) -> str:
    summary = row.summary
    return " ".join(
        (
            str(summary.ref),
            summary.gateway,
            summary.tag,
            row.state,
            row.seen.heartbeat.level,
            *summary.attention,
        )
    ).lower()
