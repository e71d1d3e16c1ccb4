"""One line of a gateway's log, in any of the forms there are. Pure; whatever cannot be read is kept.

Text (`[Info] 2024-01-19T07:39:54.666 [GatewayLogs], key: value, …, source: X`), with colours or
without, JSON, and the JSON of up to 2.8 in which the timestamp ends in `Z""` (issues 274, 328, 338
and 383 of the gateway's repository).
"""

import datetime
import json
import re
from dataclasses import dataclass
from typing import Any

from deploy.masking import mask_secrets
from deploy.times import epoch

LEVELS = ("debug", "info", "warn", "error", "fatal")
"""From the least to the most severe, as `telemetry.logs.std.level` names them."""

_LEVEL_NAMES = {
    "verbose": "debug",
    "trace": "debug",
    "debug": "debug",
    "info": "info",
    "information": "info",
    "informational": "info",
    "warn": "warn",
    "warning": "warn",
    "error": "error",
    "critical": "fatal",
    "fatal": "fatal",
}
_COLOR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_TEXT = re.compile(r"\[(?P<level>[A-Za-z]+)\] (?P<time>\S+) \[(?P<event>[^\]]*)\],? ?(?P<rest>.*)")
_CRASH = "Unhandled exception."
"""How the .NET runtime begins what it writes before it ends the process; a gateway's log has it bare."""
_DOUBLED_QUOTE = re.compile(r'("timestamp": ?"[^"]*")"')
_KNOWN = ("level", "timestamp", "eventType", "message", "source")
_LONGEST = 2000
_LONGEST_EVENT = 100


@dataclass(frozen=True)
class Line:
    """A line of one pod. `at` is when the kubelet got it, epoch seconds; `text` is readable and
    without secrets; `level` and `event` are empty where the line does not tell them."""

    at: float
    pod: str
    text: str
    level: str = ""
    event: str = ""


def read_line(pod: str, stamped: str, before: Line | None = None) -> Line:
    """Read a line that begins with the kubelet's timestamp.

    A line of no known form follows from the one `before` it, as a stack trace does; but the runtime's
    word of a crash is fatal, whatever was logged before.
    """
    stamp, _, raw = stamped.partition(" ")
    at = epoch(stamp)
    if at is None:
        at, raw = (before.at if before else 0.0), stamped
    plain = _COLOR.sub("", raw).rstrip("\r\n")
    found = _json(plain) or _text(plain)
    if found is None:
        level, event = (before.level, before.event) if before else ("", "")
        if plain.startswith(_CRASH):
            level, event = "fatal", ""
        return Line(at, pod, _shown(plain), level, event)
    level, event, message = found
    return Line(at, pod, _shown(message), level, _shown(event)[:_LONGEST_EVENT])


def clock(line: Line) -> str:
    """The time of day of a line, UTC, to the millisecond."""
    moment = datetime.datetime.fromtimestamp(line.at, datetime.UTC)
    return f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03d}"


def written(line: Line, *, pod: str = "") -> str:
    """The line as a person reads it, with what tells its pod from the others."""
    parts = (clock(line), pod, line.level.upper().ljust(5) if line.level else "", line.event)
    return " ".join(part for part in (*parts, line.text) if part)


def _json(text: str) -> tuple[str, str, str] | None:
    if not text.startswith("{"):
        return None
    try:
        data: Any = json.loads(_DOUBLED_QUOTE.sub(r"\1", text, count=1))
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict):
        return None
    message = str(data.get("message") or "")
    more = [f"{key}: {_flat(value)}" for key, value in data.items() if key not in _KNOWN]
    level = _LEVEL_NAMES.get(str(data.get("level", "")).lower(), "")
    return level, str(data.get("eventType") or ""), ", ".join([message, *more] if message else more)


def _text(text: str) -> tuple[str, str, str] | None:
    found = _TEXT.fullmatch(text)
    if found is None:
        return None
    return _LEVEL_NAMES.get(found["level"].lower(), ""), found["event"], found["rest"]


def _flat(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _shown(text: str) -> str:
    # Cut first, a little longer: what a secret is must be seen whole to be hidden.
    whole = text[: 2 * _LONGEST].encode("utf-8", "replace").decode()
    masked = mask_secrets(whole)
    return masked if len(masked) <= _LONGEST else masked[: _LONGEST - 1] + "…"
