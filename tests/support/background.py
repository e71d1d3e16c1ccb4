"""A part of the sandbox on an event loop in a thread of its own, for clients that block."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
P = TypeVar("P", bound="Part")


class Part(Protocol):
    """What can be started and stopped."""

    async def start(self) -> Any: ...

    async def stop(self) -> None: ...


class Background:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine there."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def close(self) -> None:
        """End the loop."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()


@contextlib.contextmanager
def running(part: P) -> Iterator[P]:
    """Start a part, and stop it at the end of the block."""
    background = Background()
    try:
        background.wait(part.start())
        try:
            yield part
        finally:
            background.wait(part.stop())
    finally:
        background.close()
