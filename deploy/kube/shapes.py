"""Reading only what is needed of the API server's answers.

Half of a pod is bookkeeping that no status shows. Fields that a shape does not name are passed over
while the answer is parsed, so a list of a thousand pods takes 6 ms instead of 30, and a cluster with
many thousands of foreign pods costs little. A list is parsed object by object while it arrives, so
that no more than one object's text is held, however many there are.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypedDict, TypeVar

import msgspec

from deploy.errors import Unavailable
from deploy.kube.objects import Manifest

Item = TypeVar("Item")

_FIRST = re.compile(rb'"items"\s*:\s*\[\s*(\{\s*"[^"\\]*"\s*:(?:\s*\{\s*"[^"\\]*"\s*:)?)')
"""Where a list's objects begin. Each object of a list begins with the same keys."""


class _Border:
    """What is between two objects of a list, in a text that grows; none of it is looked at twice."""

    def __init__(self, begin: bytes) -> None:
        self._begin = begin
        self._form = re.compile(rb"\}\s*,\s*" + re.escape(begin))
        self._border = b""
        self._seen = 0
        self._at = 0

    def last(self, text: bytearray) -> int:
        """Where the last object ends that another one follows; 0 where none is known to."""
        if not self._border:
            one = self._form.search(text, max(0, text.rfind(b"}", 0, self._seen)))
            # Whoever writes spaces writes the same everywhere.
            self._border = bytes(one[0]) if one else b""
        since = max(0, self._seen - len(self._border))
        self._at = text.rfind(self._border, since) if self._border else -1
        self._seen = len(text)
        return self._at + 1

    def cut(self, text: bytearray) -> None:
        """Take away what is before the object that follows."""
        del text[: self._at + len(self._border) - len(self._begin)]
        self._seen = len(text)


class _Page(TypedDict, Generic[Item]):
    metadata: dict[str, Any]
    items: list[Item]


class Shape:
    """How one kind's objects are read: `fields`, a TypedDict, names what is kept, and `finish` cuts
    it down further.

    Name, namespace, uid and resource version must be among it.
    """

    def __init__(
        self, fields: type[Mapping[str, Any]], finish: Callable[[Manifest], Manifest] = dict
    ) -> None:
        self._fields = fields
        self._finish = finish
        # A type made at run time, which no checker can follow.
        page: Any = _Page[fields]  # type: ignore[valid-type]
        self._pages = msgspec.json.Decoder(page)
        items: Any = list[fields]  # type: ignore[valid-type]
        self._items: Any = msgspec.json.Decoder(items)

    def page(self, pieces: Iterable[bytes]) -> Manifest:
        """A list whose text comes in pieces. Unavailable where it is not a list of such objects."""
        found: list[Manifest] = []
        text, around = bytearray(), b""
        border: _Border | None = None
        in_doubt = False
        for piece in pieces:
            text += piece
            if border is None and (first := _FIRST.search(text)) is not None:
                around, border = bytes(text[: first.start(1)]), _Border(bytes(first[1]))
                del text[: first.start(1)]
            if border is None or in_doubt:
                continue
            whole = border.last(text)
            if whole:
                try:
                    items = self._items.decode(b"[" + text[:whole] + b"]")
                except msgspec.MsgspecError:
                    # What looks like the beginning of another object is part of one: the rest must
                    # be read as a whole.
                    in_doubt = True
                    continue
                found += map(self._finish, items)
                border.cut(text)
        try:
            page: Manifest = self._pages.decode(around + text)
        except msgspec.MsgspecError as error:
            raise _unreadable(error) from None
        return {**page, "items": [*found, *map(self._finish, page["items"])]}

    def item(self, item: Manifest) -> Manifest:
        """One object that was read whole. Unavailable where it is not such an object."""
        try:
            kept: Any = msgspec.convert(item, self._fields)
            return self._finish(kept)
        except msgspec.MsgspecError as error:
            raise _unreadable(error) from None


def _unreadable(error: msgspec.MsgspecError) -> Unavailable:
    return Unavailable(f"The cluster's answer cannot be understood: {error}.")
