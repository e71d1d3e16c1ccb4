"""Kubernetes' quantities as numbers, to compare them (Kubernetes API, "Quantity")."""

from fractions import Fraction

_SUFFIXES = {
    **{suffix: Fraction(1, 1000 ** (i + 1)) for i, suffix in enumerate("mun")},
    **{suffix: Fraction(1000 ** (i + 1)) for i, suffix in enumerate("kMGTPE")},
    **{f"{suffix}i": Fraction(1024 ** (i + 1)) for i, suffix in enumerate("KMGTPE")},
}


def quantity(text: str) -> Fraction:
    """The number that `text` stands for; it must be one that a spec takes."""
    number = text.rstrip("nmukiKMGTPE")
    return Fraction(number) * _SUFFIXES.get(text[len(number) :], Fraction(1))
