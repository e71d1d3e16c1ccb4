"""The parts' state on disk, so that the next start goes on from it."""

import asyncio
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

_DELAY_SECONDS = 0.4


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
        """What was kept of a part."""
        path = self._directory / f"{name}.json"
        if not path.exists():
            return None
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return data

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
        while True:
            await self._more.wait()
            await asyncio.sleep(_DELAY_SECONDS)
            self._more.clear()
            changed, self._changed = self._changed, set()
            for name in changed:
                if name in self._parts:
                    self._write(name)

    def _write(self, name: str) -> None:
        path = self._directory / f"{name}.json"
        temporary = path.with_suffix(".new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(self._parts[name].snapshot(), file)
        temporary.replace(path)
