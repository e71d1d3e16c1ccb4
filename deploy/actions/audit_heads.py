"""How far the audit trail had come, as it is known outside Redis. Pure.

Whoever holds a gateway's Lease notes there the newest entry of the trail, and standard output has
all of them. So a Redis that was lost, emptied or restored is told from one in which nothing was ever
written, and the lines that several bots wrote make one trail again. Bots with separate Redis may look
after one cluster: each trail has its own annotation, so that none is compared with another's.
"""

import hashlib
import hmac
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deploy.actions.audit import Sealed, Trail

_HEAD_ANNOTATION = "gateway-bot.io/audit-head-"
_IDENTITY = b"gateway-bot: whose audit trail this is"


@dataclass(frozen=True)
class Head:
    """The newest entry of a trail: its number and its hash."""

    n: int
    hash: str

    @classmethod
    def parse(cls, text: str) -> "Head | None":
        """What `str` of one gave; None where it is none."""
        number, _, digest = text.partition(":")
        known = number.isascii() and number.isdecimal() and len(number) < 16 and digest
        return cls(int(number), digest) if known else None

    def __str__(self) -> str:
        return f"{self.n}:{self.hash}"


def annotation_of(secret: bytes) -> str:
    """The annotation in which the trail of the bots with this secret is noted: the same on each
    replica, after restarts and after a loss of Redis. It tells nothing of the secret."""
    return _HEAD_ANNOTATION + hmac.new(secret, _IDENTITY, hashlib.sha256).hexdigest()[:16]


def newer(known: str, head: str) -> str:
    """The further one of two heads as they are noted. A trail that was begun anew does not replace
    what was known of the earlier one."""
    before, now = Head.parse(known), Head.parse(head)
    if now is None or (before is not None and before.n > now.n):
        return known
    return head


def missing(trail: Trail, heads: Mapping[str, Head]) -> Iterator[str]:
    """What `heads`, by where each is known from, show to be missing from a trail, in words. What was
    trimmed is not missing: the trail's own head outlives that."""
    known = {n: each.hash for each in trail.entries if (n := _number(each))}
    known.setdefault(trail.n, trail.end)
    newest, first = max(known), min(known)
    where, furthest = max(heads.items(), key=lambda each: each[1].n, default=("", Head(0, "")))
    if furthest.n > newest:
        ends = f"ends with entry {newest}" if newest else "has no entries"
        yield (f"it {ends}, so entries written later are missing: {where} has entry {furthest.n}")
    for place, head in heads.items():
        if first <= head.n <= newest and known.get(head.n, head.hash) != head.hash:
            yield f"entry {head.n} is not the one that {place} has: the trail was begun anew, or rewritten"


def head_of(chain: Iterable[Sealed]) -> Head | None:
    """The entry of the highest number; None where there are none."""
    numbered = ((_number(each), each.hash) for each in chain)
    n, digest = max(numbered, default=(0, ""))
    return Head(n, digest) if n else None


@dataclass
class _Chain:
    entries: list[Sealed] = field(default_factory=list)
    last: int = 0


def merged(lines: Iterable[Sealed]) -> list[list[Sealed]]:
    """What several bots wrote as one trail, by number; an entry that was written twice is one.

    More than one where it was begun anew, because Redis had lost it, the earliest first.
    """
    chains: list[_Chain] = []
    ends: dict[str, _Chain] = {}
    unnumbered: list[Sealed] = []
    for _, _, each in sorted(_numbered(lines, unnumbered), key=lambda entry: entry[:2]):
        before = _before(each)
        chain = ends.pop(before, None) if before else None
        if chain is None and before and chains:
            # One before it is missing; which, is for whoever looks through the chain.
            number = _number(each)
            open_still = [c for c in chains if c.last < number]
            chain = max(open_still or chains, key=lambda c: c.last)
        if chain is None:
            chain = _Chain()
            chains.append(chain)
        chain.entries.append(each)
        chain.last = _number(each)
        ends[each.hash] = chain
    found = [chain.entries for chain in sorted(chains, key=_began)]
    if unnumbered:
        found = [*found[:-1], [*(found[-1] if found else []), *unnumbered]]
    return found


def between(lines: Iterable[Sealed], stored: Sequence[Sealed]) -> list[Sealed]:
    """Those of the `stored` entries that are missing between lines, and that the lines bind: by their
    hashes they lead up to a later line. What was written before the first line is not missing."""
    written = list(lines)
    known = {each.hash for each in written}
    wanted = {_before(each) for each in written} - known
    first = min((n for each in written if (n := _number(each))), default=0)
    found = []
    for each in reversed(stored):
        if each.hash in wanted and _number(each) > first:
            found.append(each)
            wanted.add(_before(each))
    return [each for each in found if each.hash not in known]


def parts(chain: Sequence[Sealed]) -> list[list[Sealed]]:
    """A chain, cut wherever entries are missing between two that tell their numbers."""
    found: list[list[Sealed]] = []
    for each in chain:
        last = found[-1][-1] if found else None
        if last is None or (_lacks(last, each)):
            found.append([])
        found[-1].append(each)
    return found


def gaps(chain: Sequence[Sealed]) -> Iterator[str]:
    """The entries that are missing between the parts of a chain, in words."""
    for earlier, later in itertools.pairwise(parts(chain)):
        first, last = _number(earlier[-1]) + 1, _number(later[0]) - 1
        if first == last:
            yield f"entry {first} is in none of the files"
        else:
            yield f"entries {first}–{last} are in none of the files"


def _lacks(earlier: Sealed, later: Sealed) -> bool:
    """Whether there were entries between the two."""
    follows = _before(later) == earlier.hash
    return not follows and 0 < _number(earlier) < _number(later) - 1


def _before(each: Sealed) -> str:
    """The hash of the entry before it; empty where there was none."""
    return str(_data(each).get("prev", ""))


def _numbered(
    lines: Iterable[Sealed], unnumbered: list[Sealed]
) -> Iterator[tuple[int, float, Sealed]]:
    seen = set()
    for each in lines:
        if (each.text, each.hash) in seen:
            continue
        seen.add((each.text, each.hash))
        if n := _number(each):
            yield n, _at(each), each
        else:
            unnumbered.append(each)


def _began(chain: _Chain) -> float:
    return _at(chain.entries[0])


def _number(each: Sealed) -> int:
    """The entry's number; 0 where it is not an entry."""
    n = _data(each).get("n")
    return n if isinstance(n, int) and n > 0 else 0


def _at(each: Sealed) -> float:
    at = _data(each).get("at")
    return float(at) if isinstance(at, int | float) else 0.0


def _data(each: Sealed) -> Mapping[str, Any]:
    try:
        data = json.loads(each.text)
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}
