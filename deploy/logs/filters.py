"""Which lines of a log somebody wants to see. A person's pattern runs in linear time."""

from dataclasses import dataclass
from typing import Any

from deploy.errors import InvalidInput
from deploy.logs.lines import LEVELS, Line

_LONGEST = 200


@dataclass(frozen=True)
class Filter:
    """All that is given must hold. `pattern` is compiled by `compile_pattern`."""

    contains: str = ""
    pattern: Any = None
    level: str = ""
    event: str = ""

    def takes(self, line: Line) -> bool:
        """Whether the line is wanted; case plays no part in words."""
        if self.level and (
            line.level not in LEVELS or LEVELS.index(line.level) < LEVELS.index(self.level)
        ):
            return False
        if self.event and line.event.lower() != self.event.lower():
            return False
        if self.contains and self.contains.lower() not in f"{line.event} {line.text}".lower():
            return False
        return self.pattern is None or bool(self.pattern.search(f"{line.event} {line.text}"))


def compile_pattern(text: str) -> Any:
    """A person's regular expression. InvalidInput when it is none, or asks for what takes longer
    than one look at each character: back-references and look-arounds."""
    # Imported where it is used: most runs of most commands do not need it.
    import re2

    if len(text) > _LONGEST:
        raise InvalidInput(f"A pattern can have at most {_LONGEST} characters.", field="regex")
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    try:
        return re2.compile(text, options)
    except re2.error as error:
        raise InvalidInput(
            f"“{text[:60]}” is not a pattern: {_words(error)}.",
            field="regex",
            remedy="Use RE2 syntax, or search for plain words with `--grep`.",
        ) from None


def checked_level(text: str) -> str:
    """A level of LEVELS. InvalidInput names them."""
    level = {"warning": "warn"}.get(text.lower(), text.lower())
    if level not in LEVELS:
        raise InvalidInput(
            f"“{text[:40]}” is not a level.",
            field="level",
            remedy=f"Use one of {', '.join(LEVELS)}.",
        )
    return level


def _words(error: Exception) -> str:
    said = error.args[0] if error.args else ""
    return (said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said))[:120]
