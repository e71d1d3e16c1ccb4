"""The emulator's composition root: one web server with all its parts behind it."""

import json
import mimetypes
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from aiohttp import web

from bot.sandbox.faults import FaultBoard
from bot.sandbox.slack.api.call import Context
from bot.sandbox.slack.api.files import take_upload
from bot.sandbox.slack.api.server import Api
from bot.sandbox.slack.control import Control
from bot.sandbox.slack.delivery import EVENT_RETRY_SECONDS, SWITCHES, Courier, Transport, skew
from bot.sandbox.slack.httpmode import HttpMode
from bot.sandbox.slack.ids import Clock
from bot.sandbox.slack.interactions import Desk, message_event
from bot.sandbox.slack.model import JSON, AppConfig, Channel, SlackError, User, UserGroup
from bot.sandbox.slack.replies import reply
from bot.sandbox.slack.scheduler import Scheduler
from bot.sandbox.slack.socketmode import GHOST_SECONDS, SocketMode
from bot.sandbox.slack.state import State
from bot.sandbox.slack.stream import Broadcast
from bot.sandbox.slack.tokens import ResponseURLs, Triggers
from bot.sandbox.slack.traffic import TrafficLog
from bot.sandbox.slack.views import Views

PAGE = Path(__file__).parent / "page"
UPLOAD_BYTES = 100 * 1024 * 1024
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class SlackWorkspace:
    """A Slack workspace with one app installed, on a loopback port.

    `boards` are the fault boards of the sandbox's other parts, shown beside its own;
    `event_retry_seconds` are the pauses before Slack delivers an event again; `ghost_seconds` is how
    long it counts a Socket Mode connection whose end it never heard of; to `log` other parts may add
    what they were asked.
    """

    def __init__(
        self,
        *,
        team: JSON,
        users: Sequence[User],
        usergroups: Sequence[UserGroup],
        channels: Sequence[Channel],
        app: AppConfig,
        port: int = 0,
        boards: Sequence[FaultBoard] = (),
        changed: Callable[[], None] = lambda: None,
        clock: Clock = time.time,
        event_retry_seconds: Sequence[float] = EVENT_RETRY_SECONDS,
        ghost_seconds: float = GHOST_SECONDS,
        log: TrafficLog | None = None,
    ) -> None:
        self.app = app
        self.request_url = app.request_url
        self.options_url = app.options_url
        self.faults = FaultBoard("slack", SWITCHES)
        self.log = log or TrafficLog()
        self._port = port
        self._runner: web.AppRunner | None = None
        self._broadcast = Broadcast()

        def slacks() -> float:
            """Slack's own clock; how long something lives is not told by it."""
            return clock() + skew(self.faults)

        self._state = State(
            team=team,
            app=app,
            users=users,
            usergroups=usergroups,
            channels=channels,
            broadcast=self._broadcast,
            changed=changed,
            clock=slacks,
        )
        self._views = Views(self._state)
        triggers = Triggers(clock, self._state.ids)
        self._response_urls = ResponseURLs(clock, team["id"], lambda: self.url)
        self._socket = SocketMode(app, self.faults, self.log, lambda: self.url, ghost_seconds)
        self._http = HttpMode(app, self.faults, self.log, self._url_for, slacks)
        transport: Transport = self._socket if app.mode == "socket" else self._http
        self._courier = Courier(transport, self.faults, event_retry_seconds)
        self._scheduler = Scheduler(self._state)
        desk = Desk(
            self._state,
            self._views,
            triggers,
            self._response_urls,
            self._courier,
            secrets.token_hex(12),
        )
        self._api = Api(
            Context(
                self._state,
                self._views,
                triggers,
                lambda: self.url,
                self._socket.open_url,
                self._scheduler.wake,
                # An app gets its own messages in direct conversations as everybody else's.
                lambda channel, message, before: desk.event(
                    message_event(channel, message, before)
                ),
            ),
            self.faults,
            self.log,
        )
        every_board = (self.faults, *boards)
        self._control = Control(
            desk,
            every_board,
            self.log,
            self._broadcast,
            lambda: transport.connections,
            self.reset,
            lambda: self.url,
        )
        for board in every_board:
            board.on_change(lambda: self._broadcast.publish({"type": "faults"}))
        self._socket.on_connections = lambda: self._broadcast.publish({"type": "state"})

    @property
    def url(self) -> str:
        """Where the page and the APIs are, without a slash at the end."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def api_url(self) -> str:
        """The base URL a Slack client is pointed at."""
        return f"{self.url}/api/"

    @property
    def connections(self) -> int:
        """Open Socket Mode connections of the app."""
        return self._socket.connections

    async def start(self) -> None:
        """Listen. With port 0 a free one is chosen and kept for the workspace's life."""
        site = web.Application(client_max_size=UPLOAD_BYTES, middlewares=[_own_pages_only])
        site.add_routes(
            [
                web.route("*", "/api/{method:.*}", self._api.serve),
                web.get("/link/", self._socket.serve),
                web.post("/{kind:commands|actions}/{team}/{n}/{secret}", self._respond),
                web.post("/upload/v1/{file}/{secret}", self._upload),
                web.get("/files-pri/{file}/{name:.+}", self._api.private_file),
                web.get("/", self._index),
                web.get(r"/archives/{channel}/p{digits:\d{7,}}", self._permalink),
                web.get("/static/{path:.+}", self._static),
                *self._control.routes(),
            ]
        )
        self._runner = web.AppRunner(site, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        listener = web.TCPSite(self._runner, "127.0.0.1", self._port, backlog=1024)
        await listener.start()
        self._port = self._runner.addresses[0][1]
        self._scheduler.start()

    async def stop(self) -> None:
        """Stop listening and end everything that runs in the background."""
        await self._scheduler.close()
        await self._courier.close()
        self._broadcast.close()
        await self._socket.close()
        await self._http.close()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def reset(self) -> None:
        """Back to how the workspace was first set up; faults are switched off too."""
        self._state.clear()
        self._views.clear()
        self._api.clear()
        self.log.clear()
        self.faults.reset()
        self._state.announce({"type": "reset"})

    def snapshot(self) -> JSON:
        """All that outlives a restart."""
        return self._state.snapshot()

    def restore(self, data: JSON) -> None:
        """Take over what `snapshot` returned; open modals are gone."""
        self._state.restore(data)
        self._views.clear()
        self._scheduler.wake()
        self._broadcast.publish({"type": "reset"})

    def _url_for(self, options: bool) -> str | None:
        return self.options_url if options else self.request_url

    async def _respond(self, request: web.Request) -> web.Response:
        try:
            given = json.loads(await request.text())
        except ValueError:
            given = None
        error = None
        try:
            record = self._response_urls.use(request.match_info["secret"])
            if not isinstance(given, dict):
                raise SlackError("invalid_payload")
            reply(self._state, record, given)
        except SlackError as refusal:
            error = refusal.error
        self.log.add("response_url", path=request.path, error=error, payload=given)
        if error is None:
            return web.Response(text="ok")
        gone = error in ("invalid_url", "used_url", "expired_url", "message_not_found")
        return web.Response(text=error, status=404 if gone else 400)

    async def _upload(self, request: web.Request) -> web.Response:
        uploaded = b""
        if request.content_type == "multipart/form-data":
            for field in (await request.post()).values():
                if isinstance(field, web.FileField):
                    uploaded = field.file.read()
        else:
            uploaded = await request.read()
        file_id = request.match_info["file"]
        taken = take_upload(self._state, file_id, request.match_info["secret"], uploaded)
        self.log.add("upload", file=file_id, bytes=len(uploaded), taken=taken)
        if not taken:
            return web.Response(status=400, text="upload does not match its announcement")
        return web.Response(text=f"OK - {len(uploaded)}")

    async def _index(self, request: web.Request) -> web.StreamResponse:
        return _page_file("index.html")

    async def _permalink(self, request: web.Request) -> web.StreamResponse:
        """The page, at the message that the address names."""
        digits = request.match_info["digits"]
        asked = {"channel": request.match_info["channel"]}
        if thread := request.query.get("thread_ts"):
            asked["thread"] = thread
        else:
            asked["message"] = f"{digits[:-6]}.{digits[-6:]}"
        raise web.HTTPFound(f"/?{urlencode(asked)}")

    async def _static(self, request: web.Request) -> web.StreamResponse:
        return _page_file(request.match_info["path"])


def _page_file(name: str) -> web.StreamResponse:
    path = (PAGE / name).resolve()
    if not path.is_relative_to(PAGE.resolve()) or not path.is_file():
        raise web.HTTPNotFound(text="not found")
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return web.FileResponse(path, headers={"Content-Type": kind, "Cache-Control": "no-cache"})


@web.middleware
async def _own_pages_only(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Refuse what another site's page sends through a visitor's browser."""
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).hostname not in _LOOPBACK:
        return web.json_response({"ok": False, "error": "foreign_origin"}, status=403)
    return await handler(request)
