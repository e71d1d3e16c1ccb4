"""Server-sent events: what the page listens to."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from aiohttp import web

JSON = dict[str, Any]
PING_SECONDS = 15.0
BACKLOG = 2_000


class Broadcast:
    """Fans events out to the listeners that may see them."""

    def __init__(self) -> None:
        self._listeners: set[_Listener] = set()
        self._count = 0

    def publish(self, event: JSON, sees: Callable[[str], bool] | None = None) -> None:
        """Send to every listener; with `sees`, to those whose user it accepts (and to the
        listeners that named no user)."""
        self._count += 1
        line = f"id: {self._count}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n".encode()
        for listener in tuple(self._listeners):
            if listener.user is None or sees is None or sees(listener.user):
                listener.offer(line)

    def close(self) -> None:
        """End every stream."""
        for listener in tuple(self._listeners):
            listener.end()

    async def serve(self, request: web.Request, user: str | None) -> web.StreamResponse:
        """Answer one `GET /_control/events`."""
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
        )
        await response.prepare(request)
        listener = _Listener(user)
        self._listeners.add(listener)
        try:
            await response.write(b": connected\n\n")
            while (line := await listener.next()) is not None:
                await response.write(line)
        except ConnectionResetError:
            pass
        finally:
            self._listeners.discard(listener)
        return response


class _Listener:
    def __init__(self, user: str | None) -> None:
        self.user = user
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()

    def offer(self, line: bytes) -> None:
        if self._queue.qsize() >= BACKLOG:
            # A listener that reads nothing must not eat memory; the page refetches on reconnect.
            self.end()
        else:
            self._queue.put_nowait(line)

    def end(self) -> None:
        self._queue.put_nowait(None)

    async def next(self) -> bytes | None:
        try:
            return await asyncio.wait_for(self._queue.get(), PING_SECONDS)
        except TimeoutError:
            return b": ping\n\n"
