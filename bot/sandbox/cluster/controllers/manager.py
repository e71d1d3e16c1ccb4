"""The loop that runs every controller: changes in the store become keys, keys are reconciled one
after the other."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Protocol

from bot.sandbox.cluster.errors import ApiError
from bot.sandbox.cluster.store import Change, Key, Store

logger = logging.getLogger(__name__)

_RETRY_SECONDS = 0.05
_RETRY_LIMIT_SECONDS = 30.0


def _nothing() -> None:
    """Nothing to stop before the start."""


class Controller(Protocol):
    """What the loop needs of a controller."""

    @property
    def name(self) -> str:
        """Its name in logs."""
        ...

    def keys(self, change: Change) -> Iterable[Key]:
        """The objects that must be looked at after this change."""
        ...

    def all_keys(self) -> Iterable[Key]:
        """The objects to look at when the loop starts."""
        ...

    def reconcile(self, key: Key) -> float | None:
        """Bring one object closer to what it should be; seconds until it must be looked at
        again."""
        ...


class Manager:
    """Runs controllers over a store. A failed reconcile is repeated with growing pauses."""

    def __init__(self, store: Store, controllers: Iterable[Controller]) -> None:
        self._store = store
        self._controllers = tuple(controllers)
        self._queue: dict[tuple[Controller, Key], None] = {}
        self._timers: dict[tuple[Controller, Key], asyncio.TimerHandle] = {}
        self._failures: dict[tuple[Controller, Key], int] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stop_listening: Callable[[], None] = _nothing

    async def start(self) -> None:
        """Begin with every object there is."""
        self._stop_listening = self._store.listen(self._heard)
        self.resync()
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End the loop and its timers."""
        self._stop_listening()
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def resync(self) -> None:
        """Look at every object again."""
        for controller in self._controllers:
            for key in controller.all_keys():
                self._add((controller, key))

    def _heard(self, change: Change) -> None:
        for controller in self._controllers:
            for key in controller.keys(change):
                self._add((controller, key))

    def _add(self, work: tuple[Controller, Key]) -> None:
        self._queue[work] = None
        self._wake.set()

    def _add_later(self, work: tuple[Controller, Key], seconds: float) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + seconds
        running = self._timers.get(work)
        if running is not None and not running.cancelled():
            if running.when() <= due:
                return
            running.cancel()
        self._timers[work] = loop.call_at(due, self._due, work)

    def _due(self, work: tuple[Controller, Key]) -> None:
        self._timers.pop(work, None)
        self._add(work)

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            while self._queue:
                work = next(iter(self._queue))
                del self._queue[work]
                self._reconcile(work)
                # Let requests in between two steps, as the controllers of a real cluster do.
                await asyncio.sleep(0)
            self._wake.clear()

    def _reconcile(self, work: tuple[Controller, Key]) -> None:
        controller, key = work
        try:
            again = controller.reconcile(key)
        except ApiError as error:
            failures = self._failures.get(work, 0) + 1
            self._failures[work] = failures
            logger.debug("%s %s: %s", controller.name, key, error)
            self._add_later(work, min(_RETRY_SECONDS * 2**failures, _RETRY_LIMIT_SECONDS))
            return
        self._failures.pop(work, None)
        if again is not None:
            self._add_later(work, again)
