"""Preformatted lines that fit a phone: how wide a text is there, and how a longer one is broken."""

import unicodedata

WIDTH = 40
"""Columns of preformatted text in a line: a phone shows from 40 to 44 of them."""
_DEEPER = "  "
_DEEPEST = 12
_AFTER = " ./,;:=&?_-)]}→"
"""A line is broken after one of these where one is near."""
_FORMATS = ("Mn", "Me", "Cf")


def columns(text: str) -> int:
    """How many columns a text takes: East Asian wide characters and emoji take two."""
    return sum(_columns(character) for character in text)


def wrapped(line: str, width: int = WIDTH) -> list[str]:
    """The line in as many of at most `width` columns as it takes, the others a bit deeper than the
    first. Nothing of it is lost."""
    text = line.lstrip(" ")
    indent = " " * min(len(line) - len(text), _DEEPEST)
    found: list[str] = []
    at = 0
    while at < len(text) or not found:
        end = _end(text, at, width - len(indent))
        found.append((indent + text[at:end]).rstrip(" "))
        at = end
        while at < len(text) and text[at] == " ":
            at += 1
        if len(found) == 1:
            indent += _DEEPER
    return found


def shortened(text: str, width: int, *, prose: bool = False) -> str:
    """The text in at most `width` columns, its middle replaced by an ellipsis: names that are
    generated differ at their end. Of `prose` no word is cut where a space is near."""
    if columns(text) <= width:
        return text
    begin, end = "", ""
    for head, tail in zip(text, reversed(text), strict=True):
        if columns(f"{begin}{head}…{end}") > width:
            break
        begin += head
        if columns(f"{begin}…{tail}{end}") > width:
            break
        end = tail + end
    if not prose:
        return f"{begin}…{end}"
    near = begin.rfind(" ", len(begin) // 2)
    far = end.find(" ", 0, len(end) // 2)
    return f"{begin[:near] if near > 0 else begin}…{end[far + 1 :]}"


def _columns(character: str) -> int:
    if character.isascii():
        return 1
    if unicodedata.category(character) in _FORMATS:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _end(line: str, at: int, width: int) -> int:
    """Where a line ends that begins at `at`: after a space, else after a sign, in the second half of
    what fits; else there."""
    end = at
    used = 0
    while end < len(line):
        used += _columns(line[end])
        if used > width:
            break
        end += 1
    else:
        return end
    least = at + (end - at) // 2
    if line[end] == " ":
        return end
    for signs in (" ", _AFTER):
        found = max(line.rfind(sign, least, end) for sign in signs) + 1
        if found > least:
            return found
    return max(end, at + 1)
