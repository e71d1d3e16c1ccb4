"""Parts of sentences. Pure."""

from collections.abc import Sequence


def joined(words: Sequence[str], last: str) -> str:
    """The words with commas between them and another word before the last: “a, b or c”. Empty of none."""
    *others, final = words or ("",)
    return f"{', '.join(others)} {last} {final}" if others else final
