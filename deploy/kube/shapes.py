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
        self._items: Any = msgspec.json.Decoder(fields)

    def page(self, pieces: Iterable[bytes]) -> Manifest:
        """A list whose text comes in pieces. Unavailable where it is not a list of such objects."""
        found: list[Manifest] = []
        text, around, begin = bytearray(), b"", b""
        in_doubt = False
        for piece in pieces:
            text += piece
            if not begin and (first := _FIRST.search(text)) is not None:
                around, begin = bytes(text[: first.start(1)]), bytes(first[1])
                del text[: first.start(1)]
            if begin and not in_doubt:
                in_doubt = not self._take_whole(text, begin, found)
        try:
            page: Manifest = self._pages.decode(around + text)
        except msgspec.MsgspecError as error:
            raise _unreadable(error) from None
        return {**page, "items": [*found, *map(self._finish, page["items"])]}

    def _take_whole(self, text: bytearray, begin: bytes, found: list[Manifest]) -> bool:
        """Take the objects out of a text that certainly end in it. False where what looks like the
        beginning of another is part of one: the rest must be read as a whole."""
        for number, one in enumerate(text.split(b"}," + begin)[:-1]):
            try:
                item = self._items.decode((begin if number else b"") + one + b"}")
            except msgspec.MsgspecError:
                return False
            found.append(self._finish(item))
            del text[: len(one) + len(b"},") + (len(begin) if number else 0)]
        return True

    def item(self, item: Manifest) -> Manifest:
        """One object that was read whole. Unavailable where it is not such an object."""
        try:
            kept: Any = msgspec.convert(item, self._fields)
            return self._finish(kept)
        except msgspec.MsgspecError as error:
            raise _unreadable(error) from None


def _unreadable(error: msgspec.MsgspecError) -> Unavailable:
    return Unavailable(f"The cluster's answer cannot be understood: {error}.")
