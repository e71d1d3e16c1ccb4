"""The self-hosted gateway's log lines: text with colours, JSON, and the broken JSON of versions before 2.9.

Shapes: issues #274, #328 and #383 of Azure/api-management-self-hosted-gateway. The colour codes are
a guess; the event names HostStarted, ConfigurationLoaded and HostStopping are the sandbox's own.
"""

import datetime
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bot.sandbox.node.gateway_settings import GatewaySettings

VERBOSE, INFO, WARNING, ERROR = range(4)
_NAMES = ("Verbose", "Info", "Warning", "Error")
_COLORS = ("\x1b[37m", "\x1b[32m", "\x1b[33m", "\x1b[31m")
_RESET = "\x1b[0m"
_JSON_MENDED = (2, 9)
_TEXT_ISO_8601 = (2, 11)
_FIRST_PIECE, _SECOND_PIECE = 33, 60


@dataclass(frozen=True)
class Entry:
    """One event to log."""

    level: int
    event: str
    message: str = ""
    source: str = ""
    exception: str = ""


def format_entry(
    entry: Entry,
    when: datetime.datetime,
    *,
    as_json: bool,
    color: bool,
    version: tuple[int, ...],
    extra: Mapping[str, str] | None = None,
) -> str:
    """The line as the image of `version` writes it."""
    fields = {**(extra or {})}
    for name in ("message", "exception", "source"):
        value = getattr(entry, name)
        if value:
            fields[name] = value
    level = _NAMES[entry.level]
    if as_json:
        # Seven digits, as .NET counts ticks of 100 ns.
        moment = f"{when:%Y-%m-%dT%H:%M:%S}.{when.microsecond:06d}0Z"
        head = json.dumps({"level": level, "timestamp": moment}, separators=(",", ":"))[:-1]
        tail = json.dumps({"eventType": entry.event, **fields}, separators=(",", ":"))[1:]
        stray = "" if version >= _JSON_MENDED else '"'
        return f"{head}{stray},{tail}"
    moment = f"{when:%Y-%m-%dT%H:%M:%S}.{when.microsecond // 1000:03d}"
    if version >= _TEXT_ISO_8601:
        moment += "Z"
    label = f"{_COLORS[entry.level]}[{level}]{_RESET}" if color else f"[{level}]"
    rest = "".join(f", {name}: {value}" for name, value in fields.items())
    return f"{label} {moment} [{entry.event}]{rest}"


class GatewayLog:
    """Writes a gateway's events to its container log, those that its level lets through."""

    def __init__(
        self,
        settings: GatewaySettings,
        version: tuple[int, ...],
        write: Callable[[str], None],
        muted: Callable[[], bool],
        joined: Callable[[], str] = lambda: "none",
    ) -> None:
        """`joined` says whether two records share a line: none, glued or interleaved."""
        self._settings = settings
        self._version = version
        self._write = write
        self._muted = muted
        self._joined = joined
        self._held = ""

    def __call__(self, entry: Entry, extra: Mapping[str, str] | None = None) -> None:
        """Log one event."""
        settings = self._settings
        silent = settings.log_format == "none" or entry.level < settings.log_level
        if silent or self._muted():
            return
        record = format_entry(
            entry,
            datetime.datetime.now(datetime.UTC),
            as_json=settings.log_format == "json",
            color=settings.log_color,
            version=self._version,
            extra=extra,
        )
        how = self._joined()
        if how != "none" and not self._held:
            self._held = record
            return
        held, self._held = self._held, ""
        if how == "none" and held:
            self._write(held)
            held = ""
        self._write(_interleaved(held, record) if how == "interleaved" else held + record)


def _interleaved(one: str, other: str) -> str:
    """Two records of which each was written in two pieces, in turn (issue #278)."""
    first, second = min(_FIRST_PIECE, len(one)), min(_SECOND_PIECE, len(other))
    return one[:first] + other[:second] + one[first:] + other[second:]
