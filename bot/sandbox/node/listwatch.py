"""The list-and-watch loop: keeps a view of one collection current, through outages and expiry."""

import contextlib
import logging
import time
from collections.abc import Callable

from bot.sandbox.node.api import Api, ApiError, ApiUnreachableError, Backoff, Json

_log = logging.getLogger(__name__)
_WATCH_SECONDS = 290
_LONG_ENOUGH_SECONDS = 5.0


class ListWatch:
    """Lists `path`, then watches it; after a 410 or a lost stream it carries on by itself."""

    def __init__(
        self,
        api: Api,
        path: str,
        *,
        replace: Callable[[list[Json]], None],
        changed: Callable[[Json], None],
        deleted: Callable[[Json], None],
    ) -> None:
        self._api = api
        self._path = path
        self._replace = replace
        self._changed = changed
        self._deleted = deleted
        self._version: str | None = None

    async def run(self) -> None:
        """Run until cancelled."""
        backoff = Backoff(0.2, 5.0)
        while True:
            try:
                if self._version is None:
                    await self._list()
                begun = time.monotonic()
                await self._watch(backoff)
                if time.monotonic() - begun > _LONG_ENOUGH_SECONDS:
                    backoff.reset()
                # A server that ends every watch at once must not make this loop spin.
                await backoff.sleep()
            except ApiError as problem:
                # 410 says that the version is too old to watch from: nothing is wrong.
                self._version = None
                if problem.status != 410:
                    _log.info("%s: %s", self._path, problem)
                await backoff.sleep()
            except ApiUnreachableError as problem:
                _log.info("%s: %s", self._path, problem)
                await backoff.sleep()

    async def _list(self) -> None:
        answer = await self._api.get(self._path)
        self._replace(answer.get("items") or [])
        self._version = str((answer.get("metadata") or {}).get("resourceVersion") or "0")

    async def _watch(self, backoff: Backoff) -> None:
        version = self._version or "0"
        async with contextlib.aclosing(
            self._api.watch(self._path, version, _WATCH_SECONDS)
        ) as events:
            async for event in events:
                backoff.reset()
                item = event.get("object") or {}
                self._version = str(item["metadata"]["resourceVersion"])
                if event["type"] == "DELETED":
                    self._deleted(item)
                elif event["type"] != "BOOKMARK":
                    self._changed(item)
