"""How figures grow with what they depend on: by size, and whether more than in proportion."""

import itertools
import math
from collections.abc import Mapping, Sequence

LINEAR = 1.15
"""An exponent above it is more than linear: what is measured twice differs by some percent."""


def slopes(points: Sequence[tuple[float, float]]) -> list[float]:
    """The exponent between one size and the next: 1 is in proportion, 0 does not grow, 2 is the square."""
    return [
        math.log(after / before) / math.log(larger / size) if before > 0 and after > 0 else 0.0
        for (size, before), (larger, after) in itertools.pairwise(points)
    ]


def verdict(points: Sequence[tuple[float, float]]) -> str:
    """Linear or better, or from which size on it is not."""
    bends = [
        f"bends at {size:,.0f} (exponent {slope:.2f})"
        for (size, _), slope in zip(points[1:], slopes(points), strict=True)
        if slope > LINEAR
    ]
    return ", ".join(bends) or "linear or better"


def rows(what: str, sizes: Sequence[int], found: Mapping[str, Sequence[tuple[float, str]]]) -> str:
    """Figures by name and size, each a value and its text, with the exponents between the sizes."""
    header = [what, *(f"{size:,}" for size in sizes), "exponents", "growth"]
    lines = [header]
    for name, values in found.items():
        points = [(float(size), value) for size, (value, _) in zip(sizes, values, strict=True)]
        exponents = ", ".join(f"{slope:.2f}" for slope in slopes(points))
        lines.append([name, *(text for _, text in values), exponents, verdict(points)])
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join("   ".join(map(str.ljust, line, widths)).rstrip() for line in lines)
