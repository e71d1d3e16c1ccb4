"""Kubernetes' quantities as numbers, to compare them (Kubernetes API, "Quantity")."""

from fractions import Fraction

_SUFFIXES = {
    "m": Fraction(1, 1000),
    **{suffix: Fraction(1000 ** (i + 1)) for i, suffix in enumerate("kMGT")},
    **{f"{suffix}i": Fraction(1024 ** (i + 1)) for i, suffix in enumerate("KMGT")},
}


def quantity(text: str) -> Fraction:
    """The number that `text` stands for; it must be one that a spec takes."""
    number = text.rstrip("mkiKMGT")
    return Fraction(number) * _SUFFIXES.get(text[len(number) :], Fraction(1))
