"""The parts' state on disk, so that the next start goes on from it."""

import asyncio
import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from bot.sandbox.files import write_private

_log = logging.getLogger(__name__)
_DELAY_SECONDS = 0.4
_REST = 10
"""How many times longer than the last writing took the next one waits."""


class SnapshotError(Exception):
    """A kept state cannot be used; the message says which file and what to do."""


class Part(Protocol):
    """What can be kept."""

    def snapshot(self) -> dict[str, Any]: ...

    def restore(self, data: dict[str, Any]) -> None: ...


class Snapshots:
    """Writes each part's state soon after it changed, whole or not at all."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._parts: Mapping[str, Part] = {}
        self._changed: set[str] = set()
        self._more = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def note(self, name: str) -> None:
        """The part called `name` changed."""
        self._changed.add(name)
        self._more.set()

    def load(self, name: str) -> dict[str, Any] | None:
        """What was kept of a part. SnapshotError."""
        path = self._directory / f"{name}.json"
        if not path.exists():
            return None
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise _unusable(path) from error
        if not isinstance(data, dict):
            raise _unusable(path)
        return data

    def restore(self, name: str, part: Part) -> bool:
        """Give a part what was kept of it; whether there was anything. SnapshotError."""
        data = self.load(name)
        if data is None:
            return False
        try:
            part.restore(data)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _unusable(self._directory / f"{name}.json") from error
        return True

    def start(self, parts: Mapping[str, Part]) -> None:
        """Keep these from now on."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._parts = parts
        self._task = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Write everything once more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for name in self._parts:
            self._write(name)

    async def _keep(self) -> None:
        took = 0.0
        while True:
            await self._more.wait()
            # Writing holds everything else up, so a large state is written less often.
            await asyncio.sleep(max(_DELAY_SECONDS, took * _REST))
            self._more.clear()
            changed, self._changed = self._changed, set()
            began = time.monotonic()
            for name in changed & self._parts.keys():
                self._write(name)
            took = time.monotonic() - began

    def _write(self, name: str) -> None:
        path = self._directory / f"{name}.json"
        try:
            write_private(path, json.dumps(self._parts[name].snapshot()))
        except OSError as error:
            # A full disk is no reason to stop: the next change tries again.
            _log.error("%s cannot be written: %s", path, error.strerror)


def _unusable(path: Path) -> SnapshotError:
    return SnapshotError(f"{path} cannot be used; delete it, or use another --data directory")
