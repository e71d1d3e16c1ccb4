"""The traffic log: every request and delivery in order, bounded, with tokens masked."""

import html
import json
import re
import time
from collections import deque
from typing import Any

JSON = dict[str, Any]
LIMIT = 5_000

_TOKEN = re.compile(r"\b(xox[a-z]|xapp)-[A-Za-z0-9-]+")
_RESPONSE_URL = re.compile(r"(/(?:commands|actions)/T[A-Z0-9]+/\d+/)[A-Za-z0-9]+")


def mask(text: str) -> str:
    """Replace tokens and the secret part of response URLs."""
    return _RESPONSE_URL.sub(r"\1…", _TOKEN.sub(r"\1-…", text))


class TrafficLog:
    """Keeps the newest `limit` entries."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._entries: deque[tuple[int, float, str, str]] = deque(maxlen=limit)
        self._count = 0

    def add(self, kind: str, **facts: Any) -> None:
        """Record one entry as it is now; later changes to the objects do not show."""
        self._count += 1
        text = json.dumps(facts, ensure_ascii=False, default=str)
        self._entries.append((self._count, time.time(), kind, text))

    def entries(self, kind: str | None = None, after: int = 0) -> list[JSON]:
        """Those of a kind after a number, oldest first; `at` is seconds since the epoch."""
        return [
            {"n": n, "at": at, "kind": entry_kind, **json.loads(mask(text))}
            for n, at, entry_kind, text in self._entries
            if kind in (None, entry_kind) and n > after
        ]

    def clear(self) -> None:
        """Forget everything; numbering goes on."""
        self._entries.clear()


def as_html(entries: list[JSON]) -> str:
    """A page a person can read, newest first."""
    rows = []
    for entry in reversed(entries):
        facts = {k: v for k, v in entry.items() if k not in ("n", "at", "kind")}
        at = (
            time.strftime("%H:%M:%S", time.gmtime(entry["at"]))
            + f".{int(entry['at'] % 1 * 1000):03d}"
        )
        headline = " · ".join(
            f"{k} {v}" for k, v in facts.items() if isinstance(v, str | int | float | bool)
        )
        body = html.escape(json.dumps(facts, indent=1, ensure_ascii=False))
        rows.append(
            f"<details><summary><b>{entry['n']}</b> <time>{at}</time> "
            f"<i>{html.escape(entry['kind'])}</i> {html.escape(headline[:300])}</summary>"
            f"<pre>{body}</pre></details>"
        )
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>Traffic log</title>"
        "<style>body{font:14px/1.5 system-ui,sans-serif;margin:1.5rem}summary{cursor:pointer}"
        "time,i{color:#555}pre{background:#f6f6f6;padding:.5rem;overflow:auto}</style>"
        f"<h1>Traffic log</h1><p>{len(rows)} entries, newest first, times in UTC.</p>"
        + "".join(rows)
    )
