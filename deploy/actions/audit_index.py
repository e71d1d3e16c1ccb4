"""Where the entries of each gateway are in the audit trail, so that nobody reads all for a few.

The index follows the trail: whatever has come to it since is filed, in its order, whichever bot wrote
it and of whichever version. What is not filed yet is looked through by whoever reads.
"""

import json
from collections.abc import Iterator
from typing import Any

from deploy.actions.connection import Script, redis_errors

_BATCH = 500

_FILE = """
local filed, before, to, keep = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
-- Another bot has filed these, or this one whose answer was lost.
if (redis.call('GET', filed) or '') ~= before then return 0 end
redis.call('SET', filed, to)
local oldest = redis.call('TIME')[1] * 1000 - keep
for i = 2, #KEYS do
  for id in string.gmatch(ARGV[i + 2], '%S+') do redis.call('RPUSH', KEYS[i], id) end
  -- What the trail lets go of is let go of here, too.
  local first = redis.call('LINDEX', KEYS[i], 0)
  while first and tonumber(string.match(first, '^%d+')) < oldest do
    redis.call('LPOP', KEYS[i])
    first = redis.call('LINDEX', KEYS[i], 0)
  end
  redis.call('PEXPIRE', KEYS[i], keep)
end
return 1
"""


def names_of(text: str) -> tuple[str, ...]:
    """By which names an entry of that text is found: all that its gateway may be called by, as
    `west/prod/edge-1`, `prod/edge-1` and `edge-1`. None for the step of a run, and for what is about
    no gateway or is not an entry."""
    try:
        entry = json.loads(text)
        ref, event = entry["ref"], entry["event"]
    except (ValueError, KeyError, TypeError):
        return ()
    if not isinstance(ref, str) or not isinstance(event, str) or not ref or is_step(event):
        return ()
    parts = ref.split("/")
    return tuple("/".join(parts[start:]) for start in range(len(parts)))


def ref_of(text: str) -> str:
    """The gateway that an entry of that text is about, steps of runs included; empty where it is about
    none, or is not an entry."""
    try:
        ref = json.loads(text)["ref"]
    except (ValueError, KeyError, TypeError):
        return ""
    return ref if isinstance(ref, str) else ""


def is_step(event: str) -> bool:
    """Whether that is what a run did on its way."""
    return event.startswith("step ")


class AuditIndex:
    """The index of the stream `log`; all its keys begin with `base`, which holds their hash tag."""

    def __init__(self, client: Any, base: str, log: str, keep_ms: int) -> None:
        self._client = client
        self._log = log
        self._keep_ms = keep_ms
        self._base = f"{base}:of"
        self._filed = f"{base}:filed"
        self._file = Script(client, _FILE)

    @redis_errors
    def advance(self) -> int:
        """File some of what has come since; how many entries that were, 0 once all are filed."""
        before = self.filed()
        page = self._client.xrange(self._log, f"({before}" if before else "-", "+", count=_BATCH)
        if not page:
            return 0
        found: dict[str, list[str]] = {}
        for entry_id, stored in page:
            for name in names_of(stored.get("entry", "")):
                found.setdefault(name, []).append(entry_id)
        self._file(
            keys=[self._filed, *(self._key(name) for name in found)],
            args=[before, page[-1][0], self._keep_ms, *map(" ".join, found.values())],
        )
        return len(page)

    @redis_errors
    def filed(self) -> str:
        """The id of the last entry that is filed; empty where none is."""
        return str(self._client.get(self._filed) or "")

    def newest(self, name: str, upto: str, page: int) -> Iterator[list[str]]:
        """The ids of the entries of that name, newest first, a page at a time; none after `upto`."""
        last, skipped = _order(upto), 0
        newer = True
        while True:
            ids = self._client.lrange(self._key(name), -skipped - page, -skipped - 1)
            skipped += len(ids)
            # Others may be filed meanwhile, which moves all places.
            left = [i for i in reversed(ids) if (_order(i) <= last if newer else _order(i) < last)]
            if left:
                last, newer = _order(left[-1]), False
                yield left
            if len(ids) < page:
                return

    def _key(self, name: str) -> str:
        return f"{self._base}:{name}"


def _order(entry_id: str) -> tuple[int, int]:
    milliseconds, _, number = entry_id.partition("-")
    return int(milliseconds), int(number or 0)
