"""What the log holds, as `--log-format json` writes it."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bot.log_lines import JsonLines, Mask


class _Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[dict[str, Any]] = []
        self.setFormatter(JsonLines(Mask()))

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(self.format(record)))


@contextmanager
def logged(name: str) -> Iterator[list[dict[str, Any]]]:
    """The records of that logger and those below it, from level info on."""
    kept, logger = _Kept(), logging.getLogger(name)
    before = logger.level
    logger.addHandler(kept)
    logger.setLevel(logging.INFO)
    try:
        yield kept.lines
    finally:
        logger.setLevel(before)
        logger.removeHandler(kept)
