"""Draws the floors of a package from the import contracts, so that the picture cannot lie."""

import ast
import tomllib
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[2]
_WIDTH, _ROOM_HEIGHT, _GAP, _MARGIN = 880, 26, 10, 14
_FONT = "font-family='system-ui, sans-serif' font-size='13'"


def floors(package: str = "deploy") -> list[list[str]]:
    """The rooms of each floor as the contract has them, the top floor first."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    found = next(c for c in contracts["contracts"] if c.get("containers") == [package])
    return [[room.strip() for room in layer.split("|")] for layer in found["layers"]]


def job(room: str, package: str = "deploy") -> str:
    """The first line of the room's docstring."""
    place = ROOT / package / room
    source = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    return (ast.get_docstring(ast.parse(source.read_text())) or "").splitlines()[0]


def picture(package: str = "deploy") -> str:
    """The floors as an SVG: a box a floor, a line a room."""
    parts: list[str] = []
    top = _MARGIN
    rows = floors(package)
    names = max(118, 8 * max(len(room) for rooms in rows for room in rooms) + 10)
    for number, rooms in enumerate(rows):
        height = _ROOM_HEIGHT * len(rooms) + 8
        parts.append(
            f"<rect x='{_MARGIN + 34}' y='{top}' width='{_WIDTH - 2 * _MARGIN - 34}' "
            f"height='{height}' rx='6' fill='#f6f8fa' stroke='#57606a'/>"
            f"<text x='{_MARGIN + 8}' y='{top + height // 2 + 5}' {_FONT} "
            f"fill='#57606a'>{len(rows) - number}</text>"
        )
        for line, room in enumerate(rooms):
            y = top + 22 + line * _ROOM_HEIGHT
            parts.append(
                f"<text x='{_MARGIN + 48}' y='{y}' {_FONT} font-weight='bold'>{escape(room)}</text>"
                f"<text x='{_MARGIN + 48 + names}' y='{y}' {_FONT}>"
                f"{escape(job(room, package))}</text>"
            )
        top += height + _GAP
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {_WIDTH} {top + _MARGIN - _GAP}' "
        f"role='img' aria-label='The floors of {package}'>\n"
        f"<rect width='100%' height='100%' fill='white'/>\n" + "\n".join(parts) + "\n</svg>\n"
    )
