"""Lines of a gateway's log as a person reads them. Pure; whatever cannot be read is kept."""

import datetime
from dataclasses import dataclass

from deploy.masking import masked
from deploy.observed.log_records import plain, records
from deploy.times import epoch

LEVELS = ("debug", "info", "warn", "error", "fatal")
"""From the least to the most severe, as `telemetry.logs.std.level` names them."""

_CRASH = "Unhandled exception."
"""How the .NET runtime begins what it writes before it ends the process; a gateway's log has it bare."""
_LONGEST = 2000
_LONGEST_EVENT = 100


@dataclass(frozen=True)
class Line:
    """A line of one pod. `at` is when the kubelet got it, epoch seconds; `text` is readable and
    without secrets; `level` and `event` are empty where the line has none."""

    at: float
    pod: str
    text: str
    level: str = ""
    event: str = ""


def read_lines(pod: str, stamped: str, before: Line | None = None) -> tuple[Line, ...]:
    """Read a line that begins with the kubelet's timestamp: one for each record on it.

    A line of no known form follows from the one `before` it, as a stack trace does; but the runtime's
    word of a crash is fatal, whatever was logged before.
    """
    stamp, _, raw = stamped.partition(" ")
    at = epoch(stamp)
    if at is None:
        at, raw = (before.at if before else 0.0), stamped
    found = records(raw)
    if found:
        return tuple(
            Line(at, pod, _shown(each.message), each.level, _shown(each.event)[:_LONGEST_EVENT])
            for each in found
        )
    text = plain(raw)
    level, event = (before.level, before.event) if before else ("", "")
    if text.startswith(_CRASH):
        level, event = "fatal", ""
    return (Line(at, pod, _shown(text), level, event),)


def clock(line: Line) -> str:
    """The time of day of a line, UTC, to the millisecond."""
    moment = datetime.datetime.fromtimestamp(line.at, datetime.UTC)
    return f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03d}"


def written(line: Line, *, pod: str = "") -> str:
    """The line as a person reads it, with what tells its pod from the others."""
    parts = (clock(line), pod, line.level.upper().ljust(5) if line.level else "", line.event)
    return " ".join(part for part in (*parts, line.text) if part)


def _shown(text: str) -> str:
    return masked(text[: 2 * _LONGEST].encode("utf-8", "replace").decode(), _LONGEST)
