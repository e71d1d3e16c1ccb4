"""What benchmarks found, and the one table of it: each goal with the figure, its peer's, and whether it was reached."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

GOALS: Mapping[str, str] = {
    "ack": "acks",
    "plan and apply": "plan",
    "last pod ready to message": "plan",
    "first log line": "logs",
    "sustained follow": "logs",
    "status of 200, cold": "status",
    "status of 200, warm": "status",
    "status of 2,000, warm": "many",
    "status of 2,000, cold": "many",
    "expiry tick": "expiry",
    "decision": "decisions",
    "idle Redis commands": "calls",
    "Slack calls": "calls",
    "--help": "start",
    "start to ready": "start",
    "idle memory": "start",
    "memory, 500 gateways": "start",
}
"""The figures that the design sets, and which benchmark measures each."""


@dataclass(frozen=True)
class Result:
    """One line of the table. `reach` says what is to be reached; `ratio` is ours in the peer's, None
    where there is no peer."""

    goal: str
    case: str
    ours: str
    reach: str
    reached: bool
    peer: str = "–"
    ratio: float | None = None

    def cells(self) -> tuple[str, ...]:
        """As the table shows it."""
        ratio = "–" if self.ratio is None else f"{self.ratio:.3g}×"
        name = f"{self.goal}: {self.case}" if self.case else self.goal
        return name, self.ours, self.peer, ratio, self.reach, "yes" if self.reached else "NO"


_HEADER = ("what", "ours", "peer", "ratio", "reach", "reached")


def table(results: Sequence[Result]) -> str:
    """All of it in columns, in the order of the goals, then those goals that this run did not measure."""
    order = list(GOALS)
    found = sorted(results, key=lambda each: order.index(each.goal))
    rows = [_HEADER, *(each.cells() for each in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    lines = ["   ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    measured = {each.goal for each in results}
    left = [goal for goal in order if goal not in measured]
    if left:
        lines += ["", "not measured in this run:"]
        lines += [f'  {goal} (BENCH="{GOALS[goal]}")' for goal in left]
    return "\n".join(lines)


def milliseconds(seconds: float) -> str:
    """A time as the table shows it."""
    taken = seconds * 1000
    return f"{taken:.0f} ms" if taken >= 100 else f"{taken:.3g} ms"
