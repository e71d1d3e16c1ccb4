"""Posts scheduled messages when their time has come."""

import asyncio

from bot.sandbox.slack import messages
from bot.sandbox.slack.model import JSON
from bot.sandbox.slack.state import State

_LONGEST_SLEEP_SECONDS = 60.0


class Scheduler:
    """One background task; it sleeps until the next message is due."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; what fell due while nothing ran is posted now."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """End the task."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def wake(self) -> None:
        """Something was scheduled."""
        self._wake.set()

    async def _run(self) -> None:
        while True:
            now = self._state.clock()
            entries = sorted(self._state.scheduled.values(), key=lambda e: float(e["post_at"]))
            for entry in entries:
                if entry["post_at"] <= now:
                    self._post(entry)
            pending = [float(e["post_at"]) for e in self._state.scheduled.values()]
            pause = min([*(at - now for at in pending), _LONGEST_SLEEP_SECONDS])
            self._wake.clear()
            try:
                async with asyncio.timeout(max(0.0, pause)):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _post(self, entry: JSON) -> None:
        del self._state.scheduled[entry["id"]]
        message = entry["message"]
        # Slack does not deliver a scheduled message that carries metadata.
        if "metadata" not in message and entry["channel"] in self._state.channels:
            message["ts"] = self._state.ids.ts()
            messages.post(self._state, entry["channel"], message)
