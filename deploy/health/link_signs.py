"""What a gateway's log says of its link to Azure. Pure.

Events are told by their type, never by a word somewhere in the line: whoever calls an API chooses
what stands in its request's log entry. Event types: issues 193, 269, 328 and pull request 371 of
the gateway's repository; the shapes of its lines: issues 274, 328, 338 and 383.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from deploy.masking import mask_secrets
from deploy.times import epoch

_COLOR = re.compile(r"\x1b\[[0-9;]*m")
_TEXT = re.compile(r"\[(?P<level>[A-Z][a-z]+)\] \S+ \[(?P<event>\w+)\]")
_JSON_EVENT = re.compile(r'(?<!\\)"eventType"\s*:\s*"(?P<event>\w+)"')
"""In what is almost JSON: before 2.9 a stray quote follows the timestamp. A quote inside a value is
written with a backslash, so no value can look like this key."""
_TROUBLE = frozenset({"ConfigurationApiV2NotAvailable", "ErrorResolvingHostname"})
_STARTUP = "GatewayStartup"
_NO_AUTH = "No valid authentication was configured"
_VERSION_1 = "ServiceConfigurationSource"
_POLLED = "NoNewEvents"
_REFUSED = re.compile(r"StatusCode: (Unauthorized|Forbidden)|status code[^:]*: (401|403)\b")
_ANSWERED = re.compile(r"StatusCode: (?P<name>\w+)|status code[^:]*: (?P<code>\d{3})\b")
_EXCEPTION = re.compile(r"exception\"?: ?\"?(?P<text>[^\"]+)")
_LENGTH = 200


@dataclass(frozen=True)
class LinkSigns:
    """What a log says of the link to Azure. Times are epoch seconds.

    `trouble_since` is the first warning after the last sign of success, `denied` whether Azure
    answered to the last that it does not let the gateway in, `refusals` how often it did so since,
    `answer` what else it answered, `line` the gateway's own words. `first_at` is how far back the
    log goes.
    """

    polled_at: float | None = None
    trouble_since: float | None = None
    trouble_at: float | None = None
    denied: bool = False
    refusals: int = 0
    answer: str = ""
    line: str = ""
    first_at: float | None = None


def read_log(lines: Iterable[str]) -> LinkSigns:
    """Go through log lines, oldest first, that each begin with the kubelet's timestamp."""
    polled = since = at = first = None
    denied, refusals, answer, shown = False, 0, "", ""
    for stamp, event, entry in _entries(lines):
        first = first if first is not None else stamp
        if event == _POLLED:
            polled, since, at = stamp, None, None
            denied, refusals, answer, shown = False, 0, "", ""
        elif _is_trouble(event, entry):
            at = stamp
            since = since or at
            denied = bool(_REFUSED.search(entry)) or _NO_AUTH in entry
            refusals += denied
            told = _ANSWERED.search(entry)
            answer = (told["name"] or told["code"]) if told else ""
            shown = _short(entry)
    return LinkSigns(polled, since, at, denied, refusals, answer, shown, first)


def _entries(lines: Iterable[str]) -> Iterator[tuple[float | None, str, str]]:
    """Time, event type and text of each entry; a stack trace goes on over several lines."""
    begun: tuple[float | None, str, list[str]] | None = None
    for raw in lines:
        stamp, _, rest = raw.partition(" ")
        line = _COLOR.sub("", rest)
        event = _event_of(line)
        if event is None and begun is not None:
            begun[2].append(line)
            continue
        if begun is not None:
            yield begun[0], begun[1], " ".join(begun[2])
        begun = (epoch(stamp), event or "", [line])
    if begun is not None:
        yield begun[0], begun[1], " ".join(begun[2])


def _event_of(line: str) -> str | None:
    """The event type of the entry that begins here; None where none begins."""
    if line.startswith("{"):
        try:
            event = json.loads(line).get("eventType")
        except (ValueError, RecursionError):
            found = _JSON_EVENT.search(line)
            return found["event"] if found else ""
        return event if isinstance(event, str) else ""
    found = _TEXT.match(line)
    return found["event"] if found else None


def _is_trouble(event: str, entry: str) -> bool:
    return (
        event in _TROUBLE
        or (event == _STARTUP and _NO_AUTH in entry)
        # Version 1 of the gateway, which polls another API.
        or (event == "Error" and _VERSION_1 in entry)
    )


def _short(entry: str) -> str:
    text = mask_secrets(entry).strip()
    exception = _EXCEPTION.search(text)
    text = (exception["text"].strip() if exception else text).rstrip(".")
    return text if len(text) <= _LENGTH else text[: _LENGTH - 1] + "…"
