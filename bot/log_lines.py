"""The log: each event one record, as JSON or as text, with what it is about and without secrets.

Whatever any library logs, warns of or raises on a thread of its own comes through here.
"""

import base64
import datetime
import json
import logging
import re
import sys
import threading
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Literal
from urllib.parse import quote

from deploy.log_context import FIELDS, here
from deploy.masking import HIDDEN, mask_secrets

Format = Literal["json", "text"]

log = logging.getLogger(__name__)

_CHATTY = {"azure.identity": logging.WARNING, "urllib3.connectionpool": logging.ERROR}
"""From which level on these libraries are heard. The first reports each token that it has in memory already, and
Azure is asked something every 10 s; the second warns of each connection that its pool has no room to keep."""

_EXTRAS = ("event", *FIELDS, "outcome", "duration")
"""What a line says beside its message, in this order."""
_SHORTEST = 6
"""A secret of fewer characters is not looked for: it would be found in ordinary words."""
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]")
_BARE = re.compile(r"[^\s\"=]+")


class Mask:
    """Hides secrets in a text: those of a known shape, and the `known` values in whatever way a
    library may write them."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._written: set[str] = set()
        self._known: re.Pattern[str] | None = None
        self.hide(known)

    def hide(self, known: Iterable[str]) -> None:
        """Hide these too from now on."""
        self._written |= {way for value in known for way in _ways(value) if len(way) >= _SHORTEST}
        # The longest first: one may begin with another one.
        every = sorted(self._written, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, every))) if every else None

    def __call__(self, text: str) -> str:
        """The text without them."""
        known = self._known
        if known is not None:
            text = known.sub(HIDDEN, text)
        return mask_secrets(text)


class _Lines(logging.Formatter):
    """What both forms share. The mask is over all that a record becomes, exceptions included, so
    there is no way around it."""

    def __init__(self, mask: Mask) -> None:
        super().__init__()
        self._mask = mask

    def fields(self, record: logging.LogRecord) -> Mapping[str, object]:
        """The record's parts by name, masked, what is not known left out."""
        moment = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        known = {**here(), **record.__dict__}
        return {
            "time": f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            **{
                name: self._masked(known[name])
                for name in _EXTRAS
                if known.get(name) not in (None, "")
            },
            "message": self._mask(_said(record)),
        }

    def trouble(self, record: logging.LogRecord) -> str:
        """Its traceback and stack, masked; empty where it has none."""
        parts = [record.exc_text or ""]
        if record.exc_info:
            parts = [self.formatException(record.exc_info)]
        if record.stack_info:
            parts.append(self.formatStack(record.stack_info))
        return self._mask("\n".join(part for part in parts if part))

    def _masked(self, value: object) -> object:
        return value if isinstance(value, int | float) else self._mask(str(value))


class JsonLines(_Lines):
    """A JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        fields = dict(self.fields(record))
        if trouble := self.trouble(record):
            fields["error"] = trouble
        # Escaped to ASCII, no character of it can end the line.
        return json.dumps(fields)


class TextLines(_Lines):
    """For people. What has several lines has the others indented, so that a record begins where a line
    does not begin with a space."""

    def format(self, record: logging.LogRecord) -> str:
        """The record, its first line with all that is known of it."""
        fields = dict(self.fields(record))
        time, level, name = (str(fields.pop(key)) for key in ("time", "level", "logger"))
        message = str(fields.pop("message"))
        pairs = "".join(f" {key}={_pair(value)}" for key, value in fields.items())
        first, *others = [*message.splitlines(), *self.trouble(record).splitlines()] or [""]
        told = [f"{time} {level.upper()} {name}{pairs}: {first}", *(f"    {x}" for x in others)]
        return "\n".join(_CONTROL.sub(_escaped, line) for line in told)


def log_as(form: Format, level: str, mask: Mask) -> None:
    """Have everything logged to standard error in that form, in place of what was set before."""
    handler = logging.StreamHandler()
    handler.setFormatter((JsonLines if form == "json" else TextLines)(mask))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    if level != "debug":
        for name, least in _CHATTY.items():
            logging.getLogger(name).setLevel(least)
    logging.captureWarnings(True)
    threading.excepthook = _on_thread
    sys.excepthook = _at_the_end


def _on_thread(hook: threading.ExceptHookArgs) -> None:
    if hook.exc_type is not SystemExit and hook.exc_value is not None:
        name = hook.thread.name if hook.thread else "a thread"
        log.error("%s ended by an error", name, exc_info=hook.exc_value)


def _at_the_end(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    log.critical("the bot ended by an error", exc_info=(kind, error, trace))


def _said(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        # A library's mistake in one line must not lose the line.
        return f"{record.msg} {record.args}"


def _ways(value: str) -> tuple[str, ...]:
    """How a secret may be written: as it is, in a URL, in JSON, in Python, and in base64."""
    encoded = base64.b64encode(value.encode()).decode()
    return (
        value,
        quote(value, safe=""),
        quote(value),
        json.dumps(value)[1:-1],
        repr(value)[1:-1],
        encoded,
    )


def _pair(value: object) -> str:
    text = str(value)
    return text if _BARE.fullmatch(text) else json.dumps(text)


def _escaped(found: re.Match[str]) -> str:
    return f"\\x{ord(found[0]):02x}"
