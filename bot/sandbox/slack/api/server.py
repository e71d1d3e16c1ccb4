"""`/api/<method>`: reads arguments, checks token, scopes and rate, runs the method."""

import asyncio
import email.utils
import json
import time
from typing import Any
from urllib.parse import quote

from aiohttp import web

from bot.sandbox.faults import FaultBoard
from bot.sandbox.slack.api import chat, conversations, files, modals, others, people, streams
from bot.sandbox.slack.api.call import Args, Context, Method
from bot.sandbox.slack.limits import RateLimits
from bot.sandbox.slack.model import JSON, SlackError
from bot.sandbox.slack.traffic import TrafficLog

METHODS: dict[str, Method] = {
    method.name: method
    for family in (chat, streams, modals, conversations, people, files, others)
    for method in family.METHODS
}
BURST_OF, BURST_REFUSED = 10, 3


class Api:
    """The Web API of the workspace."""

    def __init__(self, context: Context, faults: FaultBoard, log: TrafficLog) -> None:
        self._context, self._faults, self._log = context, faults, log
        self._limits = RateLimits()
        self._calls = 0

    async def serve(self, request: web.Request) -> web.Response:
        """Answer one call."""
        started = time.monotonic()
        name = request.match_info["method"]
        if self._faults.get("network_down") and request.transport is not None:
            request.transport.abort()
            return web.Response()
        try:
            given = await _arguments(request)
        except SlackError as refusal:
            return self._answer(name, {}, refusal.body(), started)
        header = request.headers.get("Authorization", "")
        token = header.removeprefix("Bearer ") if header else str(given.pop("token", "") or "")
        if latency := self._faults.get("api_latency_ms"):
            await asyncio.sleep(latency / 1000)
        if (status := self._faults.get("api_error")) != "none":
            if status == "invalid_auth":
                return self._answer(name, given, {"ok": False, "error": status}, started)
            body = {"ok": False, "error": "service_unavailable"}
            return self._answer(name, given, body, started, status=int(status))
        method = METHODS.get(name)
        if method is None:
            return self._answer(name, given, {"ok": False, "error": "unknown_method"}, started)
        try:
            self._authorize(method, token)
            if (wait := self._too_fast(method, given)) is not None:
                body = {"ok": False, "error": "ratelimited"}
                return self._answer(name, given, body, started, status=429, retry_after=wait)
            body = {"ok": True, **method.run(self._context, Args(given))}
        except SlackError as refusal:
            body = refusal.body()
        return self._answer(name, given, body, started)

    async def private_file(self, request: web.Request) -> web.Response:
        """A file's `url_private`: for the bot's token with files:read; others are sent to sign in."""
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if (status := self._faults.get("api_error")) != "none":
            return web.Response(status=403 if status == "invalid_auth" else int(status))
        app = self._context.app
        if token != app.bot_token or "files:read" not in app.scopes:
            raise web.HTTPFound(f"/?redir={quote(request.path)}")
        file = self._context.state.files.get(request.match_info["file"].rpartition("-")[2])
        self._log.add("download", path=request.path, found=file is not None)
        if file is None or not file.complete:
            raise web.HTTPNotFound
        return web.Response(body=file.content, content_type=file.meta["mimetype"])

    def clear(self) -> None:
        """Forget how often methods were called."""
        self._limits.clear()

    def _authorize(self, method: Method, token: str) -> None:
        if method.token == "none":
            return
        app = self._context.app
        if not token:
            raise SlackError("not_authed")
        if token not in (app.bot_token, app.app_token):
            raise SlackError("invalid_auth")
        wanted = app.bot_token if method.token == "bot" else app.app_token
        if token != wanted:
            raise SlackError("not_allowed_token_type")
        if method.token == "bot":
            self._context.need_scope(*method.scopes)
        elif method.scopes and not set(method.scopes) & set(app.app_token_scopes):
            provided = ",".join(app.app_token_scopes)
            raise SlackError("missing_scope", needed=method.scopes[0], provided=provided)

    def _too_fast(self, method: Method, given: JSON) -> int | None:
        self._calls += 1
        if self._faults.get("burst_429") and self._calls % BURST_OF < BURST_REFUSED:
            return 1
        seconds = int(self._faults.get("ephemeral_retry_after"))
        if seconds and method.name == "chat.postEphemeral":
            return seconds
        if not self._faults.get("rate_limits"):
            return None
        return self._limits.take(method.name, method.tier, str(given.get("channel") or ""))

    def _answer(
        self,
        name: str,
        given: JSON,
        body: JSON,
        started: float,
        *,
        status: int = 200,
        retry_after: int | None = None,
    ) -> web.Response:
        headers = {
            "x-oauth-scopes": ",".join(self._context.app.scopes),
            "Date": email.utils.formatdate(self._context.state.clock(), usegmt=True),
        }
        method = METHODS.get(name)
        if method is not None and method.scopes:
            headers["x-accepted-oauth-scopes"] = ",".join(method.scopes)
        if retry_after is not None:
            headers["Retry-After"] = str(retry_after)
        self._log.add(
            "request",
            method=name,
            status=status,
            ok=body["ok"],
            error=body.get("error"),
            ms=round((time.monotonic() - started) * 1000, 1),
            args=given,
            response=body,
        )
        return web.json_response(body, status=status, headers=headers)


async def _arguments(request: web.Request) -> dict[str, Any]:
    """Query, form, multipart or JSON. Raises SlackError invalid_json, json_not_object, …"""
    given: dict[str, Any] = dict(request.query)
    if request.method != "POST":
        return given
    if request.content_type == "application/json":
        try:
            body = json.loads(await request.text() or "{}")
        except ValueError:
            raise SlackError("invalid_json") from None
        if not isinstance(body, dict):
            raise SlackError("json_not_object")
        return {**given, **body}
    try:
        form = await request.post()
    except ValueError:
        raise SlackError("invalid_form_data") from None
    return {**given, **{name: value for name, value in form.items() if isinstance(value, str)}}
