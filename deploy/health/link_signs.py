"""What a gateway's log says of its link to Azure. Pure.

Event types: issues 193, 269, 328 and pull request 371 of the gateway's repository.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from deploy.masking import masked
from deploy.observed.log_records import plain, records
from deploy.times import epoch

_TROUBLE = frozenset({"ConfigurationApiV2NotAvailable", "ErrorResolvingHostname"})
_STARTUP = "GatewayStartup"
_NO_AUTH = "No valid authentication was configured"
_VERSION_1 = "ServiceConfigurationSource"
_POLLED = "NoNewEvents"
_REFUSED = re.compile(r"StatusCode: (Unauthorized|Forbidden)|status code[^:]{0,80}: (401|403)\b")
_ANSWERED = re.compile(r"StatusCode: (?P<name>\w+)|status code[^:]{0,80}: (?P<code>\d{3})\b")
_EXCEPTION = re.compile(r"exception\"?: ?\"?(?P<text>[^\"]+)")
_FRAME = re.compile(r"\s(?:at [\w.<>`+]{1,300}\(|--- End of )")
"""Where the stack of a .NET exception begins."""
_INNER = " ---> "
_SEE_INNER = re.compile(r"see (the )?inner exception", re.IGNORECASE)
_LENGTH = 200
_LONGEST = 4000
"""Of an entry's text, in which its exception is looked for."""


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
    """Time, event type and text of each record; a stack trace continues over several lines."""
    begun: tuple[float | None, str, list[str]] | None = None
    for raw in lines:
        stamp, _, line = raw.partition(" ")
        found = [(each.event, each.text) for each in records(line)]
        if not found and begun is not None:
            begun[2].append(plain(line))
            continue
        for event, text in found or [("", plain(line))]:
            if begun is not None:
                yield begun[0], begun[1], " ".join(begun[2])
            begun = (epoch(stamp), event, [text])
    if begun is not None:
        yield begun[0], begun[1], " ".join(begun[2])


def _is_trouble(event: str, entry: str) -> bool:
    return (
        event in _TROUBLE
        or (event == _STARTUP and _NO_AUTH in entry)
        # Version 1 of the gateway, which polls another API.
        or (event == "Error" and _VERSION_1 in entry)
    )


def _short(entry: str) -> str:
    text = masked(entry, _LONGEST).strip()
    exception = _EXCEPTION.search(text)
    text = (_telling(exception["text"]) if exception else text).rstrip(".")
    return text if len(text) <= _LENGTH else text[: _LENGTH - 1] + "…"


def _telling(exception: str) -> str:
    """The one line of an exception that says what happened: without its stack, and the inner one's where the
    outer one only points to it."""
    text = exception.replace("\\n", "\n").replace("\\r", "")
    chain = [_FRAME.split(part, maxsplit=1)[0].strip() for part in text.split(_INNER)]
    return next((part for part in chain if part and not _SEE_INNER.search(part)), chain[0])
