"""The records of one line of a gateway's log, in any of the forms there are. Pure.

Text is `[Info] 2024-01-19T07:39:54.666 [GatewayLogs], key: value, …`, in version 1 without a blank
after the level; JSON ends its timestamp in `Z""` up to 2.8 (issues 274, 328 and 338 of the gateway's
repository). Several records may stand on one line, one after the other or one torn by another
(issues 190, 278, 384 and 386), so each is looked for.

A record is told by its event type where the gateway writes that, never by a word somewhere in the
line: whoever calls an API chooses the text of its request's record.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from deploy.masking import uncolored

_LEVELS = {
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
_TEXT = re.compile(
    r"\[(?P<level>[A-Za-z]{1,20})\] ?(?P<time>\S{1,40}) \[(?P<event>[^\]\[]{0,100})\],? ?"
)
_TORN_TEXT = re.compile(r"\[(?P<level>[A-Za-z]{1,20})\] ?\d{4}-")
"""The begin of a text record that another one was written into before its event type."""
_REST_OF_TEXT = re.compile(r"[\d.:TZ-]{1,30} \[(?P<event>\w{1,100})\],? ?")
_JSON_HEAD = re.compile(r"\{ ?\"(level|timestamp|eventType)\" ?:")
_AFTER_A_REST = re.compile(rf"\}} ?,? ?(?={_JSON_HEAD.pattern})")
"""Between the rest of a JSON record, whose begin is on an earlier line, and the next one."""
_DOUBLED_QUOTE = re.compile(r'("timestamp": ?"[^"]*")"')
_KEY = re.compile(r'(?<!\\)"(?P<key>eventType|level)"\s{0,9}:\s{0,9}"(?P<value>\w{1,100})"')
"""In what is not JSON. A quote inside of a value is written with a backslash, so no value can look
like such a key."""
_FAILURES = 10
"""After so many begins of JSON in a line of text that were none, no other is tried: a caller's words
must not cost time."""
_SHOWN_APART = ("level", "timestamp", "eventType", "message", "source")


@dataclass(frozen=True)
class Record:
    """`level` is one of `telemetry.logs.std.level`'s names, empty where it is not known; `text` is
    the record as it was written, `message` what it says beside level and event."""

    level: str
    event: str
    text: str
    message: str


def records(line: str) -> tuple[Record, ...]:
    """Those that begin on a line, without the kubelet's timestamp; none on one that continues from
    an earlier line, as a stack trace does."""
    text = plain(line)
    if not text.startswith("{") and (rest := _AFTER_A_REST.search(text)) and text[0] != "[":
        text = text[rest.end() :]
    if text.startswith("{"):
        return tuple(_of_json(_DOUBLED_QUOTE.sub(r"\1", text)))
    if _TEXT.match(text):
        return tuple(_of_text(text))
    return tuple(_of_torn_text(text)) if _TORN_TEXT.match(text) else ()


def plain(line: str) -> str:
    """The line without colours and its end."""
    return uncolored(line).rstrip("\r\n")


def _of_json(text: str) -> Iterator[Record]:
    decoder = json.JSONDecoder()
    at = 0
    while at < len(text):
        try:
            data, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            rest = text[at:]
            yield from _of_text(rest) if at and _TEXT.match(rest) else _torn(rest)
            return
        if isinstance(data, dict):
            yield _whole(data, text[at:end])
        at = end
        while at < len(text) and text[at] in " ,":
            at += 1


def _whole(data: dict[str, Any], text: str) -> Record:
    event, said = data.get("eventType"), str(data.get("message") or "")
    more = [f"{key}: {_flat(value)}" for key, value in data.items() if key not in _SHOWN_APART]
    return Record(
        level_of(str(data.get("level", ""))),
        event if isinstance(event, str) else "",
        text,
        ", ".join([said, *more] if said else more),
    )


def _torn(text: str) -> Iterator[Record]:
    """What is left of records that were written into each other: one for each event type that
    still stands there, which continues until the next."""
    level = ""
    begun: list[tuple[int, str, str]] = []
    for key in _KEY.finditer(text):
        if key["key"] == "level":
            level = level_of(key["value"])
        else:
            begun.append((key.start(), level, key["value"]))
    if not begun and level:
        begun.append((0, level, ""))
    starts = [0, *(start for start, _, _ in begun[1:]), len(text)]
    for number, (_, level, event) in enumerate(begun):
        part = text[starts[number] : starts[number + 1]]
        yield Record(level, event, part, part)


def _of_text(text: str) -> Iterator[Record]:
    heads = list(_heads(text))
    for number, head in enumerate(heads):
        end = heads[number + 1].start() if number + 1 < len(heads) else len(text)
        yield Record(
            level_of(head["level"]),
            head["event"],
            text[head.start() : end],
            text[head.end() : end],
        )
        yield from _json_behind(text, head.end(), end)


def _json_behind(text: str, start: int, end: int) -> Iterator[Record]:
    """Whole JSON records in that part of a line of text; not inside of quotes, where a caller's
    words stand."""
    decoder = json.JSONDecoder()
    quotes, since, failed = 0, 0, 0
    for begun in _JSON_HEAD.finditer(text, start, end):
        if begun.start() < since:
            continue
        if failed == _FAILURES:
            return
        quotes += text.count('"', since, begun.start())
        since = begun.start()
        if quotes % 2:
            continue
        try:
            data, since = decoder.raw_decode(text, begun.start())
        except (ValueError, RecursionError):
            failed += 1
            continue
        if isinstance(data.get("eventType"), str) and level_of(str(data.get("level", ""))):
            yield _whole(data, text[begun.start() : since])


def _of_torn_text(text: str) -> Iterator[Record]:
    """Records of which one was written into the head of another: what is left of that one's head
    stands behind the other. Which level is whose is known for those in one piece alone."""
    whole = {head.start("event"): head for head in _TEXT.finditer(text)}
    events = list(_REST_OF_TEXT.finditer(text))
    for number, event in enumerate(events):
        end = events[number + 1].start() if number + 1 < len(events) else len(text)
        head = whole.get(event.start("event"))
        level = level_of(head["level"]) if head else level_of(text[1 : text.index("]")])
        yield Record(level, event["event"], text[event.start() : end], text[event.end() : end])


def _heads(text: str) -> Iterator[re.Match[str]]:
    """Where records begin; not inside of quotes, where a caller's words stand."""
    quotes, since = 0, 0
    for head in _TEXT.finditer(text):
        quotes += text.count('"', since, head.start())
        since = head.start()
        if head.start() == 0 or (quotes % 2 == 0 and head["time"][:4].isdigit()):
            yield head


def level_of(name: str) -> str:
    """A level by any of the names that the gateway's versions write; empty where it is none."""
    return _LEVELS.get(name.lower(), "")


def _flat(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
