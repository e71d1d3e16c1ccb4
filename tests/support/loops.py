"""An event loop on a thread of its own, for servers that tests talk to over sockets."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Protocol


class Part(Protocol):
    """A server of the sandbox."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


Run = Callable[[Coroutine[Any, Any, None]], None]


@contextmanager
def running(part: Part) -> Iterator[Run]:
    """The part serves while the block runs; what is given runs a coroutine on the part's loop."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def run(work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, loop).result(60)

    run(part.start())
    try:
        yield run
    finally:
        run(part.stop())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(60)
