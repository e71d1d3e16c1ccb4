"""The reasons that people give, within the bot's own sentences."""

_PAIRS = ('""', "''", "“”", "„“", "‘’", "«»")
_ENDS = ("!", "?", "…", ")", ";", ":", "。")


def given(reason: str) -> str:
    """A person's reason as a sentence: with one full stop, and without quotation marks around it. One that is
    nothing else stays as it was given."""
    whole = said = reason.strip()
    while len(said) > 1 and said[0] + said[-1] in _PAIRS and said[0] not in said[1:-1]:
        said = said[1:-1].strip()
    said = said.rstrip(". ")
    if not said:
        return whole
    return said if said.endswith(_ENDS) else f"{said}."
