"""A web server that notes what it is sent, and answers as it is told."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aiohttp import web


@dataclass(frozen=True)
class Sent:
    """A request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: str


class Recorder:
    """`answer` is asked for each request; a part as tests/support/loops.py runs them."""

    def __init__(self, answer: Callable[[Sent], web.Response]) -> None:
        self.sent: list[Sent] = []
        self.url = ""
        self._answer = answer
        self._runner: web.AppRunner | None = None

    @property
    def host(self) -> str:
        """With its port."""
        return self.url.removeprefix("http://")

    async def start(self) -> None:
        """Serve on a free port."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Stop serving."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.Response:
        sent = Sent(request.method, request.path_qs, dict(request.headers), await request.text())
        self.sent.append(sent)
        return self._answer(sent)
