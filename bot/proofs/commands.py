"""Commands of this program that a remedy names, as they are typed. Pure."""

import shlex
from collections.abc import Sequence
from pathlib import Path

USUAL = Path("gateway-bot.yaml")
"""What every command reads where --config is left out."""


def command(name: str, config: Path | None, *more: str, into: Sequence[str] = ()) -> str:
    """The command, with its settings file where that is another than usual, piped into another one."""
    words = ["gateway-bot", name]
    if config is not None and config != USUAL:
        words += ["--config", str(config)]
    pipe = f" | {shlex.join(into)}" if into else ""
    return f"`{shlex.join([*words, *more])}{pipe}`"
