"""`/_control/…`: acting as a person, and looking at the workspace from outside.

Users and channels are named by id or by name.
"""

import base64
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from bot.sandbox.faults import FaultBoard
from bot.sandbox.slack import forms, interactions, messages, submissions
from bot.sandbox.slack.api.files import upload_for_form
from bot.sandbox.slack.interactions import Desk, Surface
from bot.sandbox.slack.model import JSON, PERSON_KINDS, Channel, SlackError, User
from bot.sandbox.slack.stream import Broadcast
from bot.sandbox.slack.traffic import TrafficLog, as_html
from bot.sandbox.slack.unread import unread


class RefusedError(Exception):
    """A control call that cannot be done; `body` is its answer."""

    def __init__(self, error: str, **detail: Any) -> None:
        super().__init__(error)
        self.body: JSON = {"ok": False, "error": error, **detail}


@dataclass(frozen=True)
class Control:
    """The control API."""

    desk: Desk
    boards: Sequence[FaultBoard]
    log: TrafficLog
    broadcast: Broadcast
    connections: Callable[[], int]
    reset_workspace: Callable[[], None]
    base_url: Callable[[], str]

    def routes(self) -> list[web.RouteDef]:
        """Every route."""
        posts: dict[str, Callable[[JSON], Awaitable[JSON]]] = {
            "command": self._command,
            "interact": self._interact,
            "view": self._view,
            "options": self._options,
            "message": self._message,
            "delete-message": self._delete_message,
            "open-home": self._open_home,
            "mark-read": self._mark_read,
            "members": self._members,
            "person": self._person,
            "usergroup": self._usergroup,
            "upload": self._upload,
            "reset": self._reset,
            "faults": self._set_fault,
        }
        return [
            web.get("/_control/state", self._state),
            web.get("/_control/messages/{channel}", self._messages),
            web.get("/_control/views/{user}", self._views),
            web.get("/_control/events", self._events),
            web.get("/_control/unread", self._unread),
            web.get("/_control/log", self._log),
            web.get("/_control/faults", self._faults),
            web.get("/_control/files/{file}", self._file),
            *(web.post(f"/_control/{name}", _json(act)) for name, act in posts.items()),
        ]

    async def _state(self, request: web.Request) -> web.Response:
        state = self.desk.state
        app = state.app
        return web.json_response(
            {
                "team": state.team,
                "app": {
                    "id": app.app_id,
                    "name": app.name,
                    "bot_id": app.bot_id,
                    "bot_user_id": app.bot_user_id,
                },
                "users": [self._shown(user) for user in state.users.values()],
                "usergroups": [
                    {"id": g.id, "handle": g.handle, "name": g.name, "users": list(g.users)}
                    for g in state.usergroups.values()
                ],
                "channels": [
                    {
                        "id": c.id,
                        "name": c.name,
                        "is_private": c.is_private,
                        "is_im": c.is_im,
                        "topic": c.topic,
                        "members": state.present(c),
                    }
                    for c in state.channels.values()
                ],
                "commands": [
                    dict(zip(("command", "description", "usage_hint"), command, strict=True))
                    for command in app.commands
                ],
                "transport": {"mode": app.mode, "connections": self.connections()},
                "links": {"log": "/_control/log"},
            }
        )

    def _shown(self, user: User) -> JSON:
        state = self.desk.state
        return {
            "id": user.id,
            "name": user.name,
            "real_name": user.real_name,
            "title": user.title,
            "is_bot": user.is_bot,
            "is_restricted": user.is_guest,
            "is_ultra_restricted": user.is_ultra_restricted,
            "deleted": user.deleted,
            "team": state.team_of(user.id),
            "color": user.color,
            "groups": [group.handle for group in state.groups_of(user.id)],
        }

    async def _messages(self, request: web.Request) -> web.Response:
        """A channel as one person sees it, or with no `user` as all of them together do."""
        state = self.desk.state
        channel = state.channel(request.match_info["channel"])
        if channel is None:
            return web.json_response({"ok": False, "error": "channel_not_found"}, status=404)
        asked = request.query.get("user")
        user = state.user(asked)
        if user is not None and not state.sees(channel.id)(user.id):
            return web.json_response({"messages": []})
        found = list(state.in_channel(channel.id))
        for owner, ephemerals in state.ephemerals.items():
            if asked is None or (user is not None and owner == user.id):
                found += [m for c, m in ephemerals if c == channel.id]
        return web.json_response({"messages": sorted(found, key=lambda m: str(m["ts"]))})

    async def _views(self, request: web.Request) -> web.Response:
        user = self.desk.state.user(request.match_info["user"])
        if user is None:
            return web.json_response({"ok": False, "error": "user_not_found"}, status=404)
        home = self.desk.state.homes.get(user.id)
        return web.json_response({"home": home, "stack": self.desk.views.stack(user.id)})

    async def _events(self, request: web.Request) -> web.StreamResponse:
        user = self.desk.state.user(request.query.get("user"))
        return await self.broadcast.serve(request, user.id if user else None)

    async def _unread(self, request: web.Request) -> web.Response:
        user = self.desk.state.user(request.query.get("user"))
        if user is None:
            return web.json_response({"ok": False, "error": "user_not_found"}, status=404)
        return web.json_response({"channels": unread(self.desk.state, user)})

    async def _log(self, request: web.Request) -> web.Response:
        """`?kind=` picks entries, `?after=N` those after number N, `?format=html` a page."""
        after = request.query.get("after", "0")
        entries = self.log.entries(request.query.get("kind"), int(after) if after.isdigit() else 0)
        if request.query.get("format") == "html":
            return web.Response(text=as_html(entries), content_type="text/html")
        return web.json_response({"entries": entries})

    async def _faults(self, request: web.Request) -> web.Response:
        return web.json_response(
            {"boards": [{"part": b.part, "switches": b.describe()} for b in self.boards]}
        )

    async def _file(self, request: web.Request) -> web.Response:
        file = self.desk.state.files.get(request.match_info["file"])
        if file is None:
            return web.json_response({"ok": False, "error": "file_not_found"}, status=404)
        # Only images keep their type: an uploaded page must not run on the workspace's origin.
        mimetype = file.meta["mimetype"]
        safe = mimetype in ("image/png", "image/jpeg", "image/gif", "image/webp")
        return web.Response(
            body=file.content,
            content_type=mimetype if safe else "text/plain",
            charset=None if safe else "utf-8",
            headers={"X-Content-Type-Options": "nosniff"},
        )

    async def _upload(self, given: JSON) -> JSON:
        """A file for a form, in base64."""
        user = self._user(given)
        try:
            content = base64.b64decode(str(given.get("content") or ""), validate=True)
            name = str(given.get("filename") or "file")
            file = upload_for_form(self.desk.state, self.base_url(), user.id, name, content)
        except ValueError:
            raise RefusedError("invalid_base64") from None
        except SlackError as refusal:
            raise RefusedError(refusal.error) from None
        return {"ok": True, "file": file}

    def _user(self, given: JSON) -> User:
        user = self.desk.state.user(given.get("user"))
        if user is None:
            raise RefusedError("user_not_found")
        return user

    def _channel(self, given: JSON, user: User | None = None) -> Channel:
        """With `user`, a channel they can be in."""
        channel = self.desk.state.channel(given.get("channel"))
        if channel is None:
            raise RefusedError("channel_not_found")
        if user is not None and not self.desk.state.sees(channel.id)(user.id):
            raise RefusedError("not_in_channel")
        return channel

    def _open_view(self, given: JSON, user: User) -> JSON:
        """The view on top of the person's stack, if that is the one named."""
        stack = self.desk.views.stack(user.id)
        if not stack or stack[-1]["id"] != given.get("view_id"):
            raise RefusedError("view_not_found")
        return stack[-1]

    def _surface(self, given: JSON, user: User) -> Surface:
        state = self.desk.state
        if given.get("view_id"):
            home = state.homes.get(user.id)
            if home is not None and home["id"] == given["view_id"]:
                return Surface(state, view=home)
            return Surface(state, view=self._open_view(given, user))
        channel = self._channel(given, user)
        ts = given.get("messageTs") or given.get("message_ts")
        message = state.message(channel.id, ts) or state.ephemeral(user.id, channel.id, ts)
        if message is None or message.get("subtype") == "tombstone":
            raise RefusedError("message_not_found")
        return Surface(state, channel=channel, message=message)

    async def _command(self, given: JSON) -> JSON:
        user = self._user(given)
        channel = self._channel(given, user)
        command = str(given.get("command") or "")
        text = str(given.get("text") or "")
        return await interactions.run_command(self.desk, channel, user, command, text)

    async def _interact(self, given: JSON) -> JSON:
        user = self._user(given)
        sent = given.get("state")
        values: JSON = sent.get("values", sent) if isinstance(sent, dict) else {}
        surface = self._surface(given, user)
        return await interactions.click(self.desk, user, surface, _object(given, "action"), values)

    async def _options(self, given: JSON) -> JSON:
        user = self._user(given)
        return await interactions.suggest(self.desk, user, self._surface(given, user), given)

    async def _view(self, given: JSON) -> JSON:
        user = self._user(given)
        view = self._open_view(given, user)
        if given.get("type") == "submit":
            return await submissions.submit(self.desk, user, view, given.get("values") or {})
        if given.get("type") == "close":
            cleared = given.get("cleared") is True
            return await submissions.close(self.desk, user, view, cleared)
        raise RefusedError("invalid_arguments", detail="type is submit or close")

    async def _message(self, given: JSON) -> JSON:
        user = self._user(given)
        channel = self._channel(given, user)
        text = given.get("text")
        if not isinstance(text, str) or not text.strip():
            raise RefusedError("no_text")
        thread_ts = given.get("thread_ts")
        if thread_ts and self.desk.state.message(channel.id, thread_ts) is None:
            raise RefusedError("thread_not_found")
        message = interactions.say(self.desk, channel, user, text, thread_ts)
        return {"ok": True, "ts": message["ts"]}

    async def _delete_message(self, given: JSON) -> JSON:
        channel = self._channel(given)
        ts = given.get("messageTs") or given.get("ts")
        if self.desk.state.message(channel.id, ts) is None:
            raise RefusedError("message_not_found")
        messages.remove(self.desk.state, channel.id, str(ts))
        return {"ok": True}

    async def _open_home(self, given: JSON) -> JSON:
        interactions.open_home(self.desk, self._user(given), str(given.get("tab") or "home"))
        return {"ok": True}

    async def _mark_read(self, given: JSON) -> JSON:
        user = self._user(given)
        channel = self._channel(given, user)
        marks = self.desk.state.read_marks.setdefault(user.id, {})
        marks[channel.id] = max(str(given.get("ts") or "0"), marks.get(channel.id, "0"))
        self.desk.state.save()
        return {"ok": True}

    async def _members(self, given: JSON) -> JSON:
        """Let somebody, or the bot, join (`member` true) or leave a channel."""
        user = self._user(given)
        self.desk.state.set_member(self._channel(given), user.id, given.get("member") is True)
        return {"ok": True}

    async def _person(self, given: JSON) -> JSON:
        """Make somebody a guest or a full member, deactivate or reactivate them."""
        user = self._user(given)
        kind = {name: given[name] for name in PERSON_KINDS if name in given}
        if not kind or not all(isinstance(value, bool) for value in kind.values()):
            expected = f"{', '.join(PERSON_KINDS)}: true or false, at least one"
            raise RefusedError("invalid_arguments", detail=expected)
        if kind.get("is_restricted") is False:
            kind.setdefault("is_ultra_restricted", False)
        return {"ok": True, "user": self._shown(self.desk.state.set_kind(user, kind))}

    async def _usergroup(self, given: JSON) -> JSON:
        """Replace who is in a user group."""
        state = self.desk.state
        group = state.usergroup(given.get("usergroup"))
        if group is None:
            raise RefusedError("no_such_subteam")
        named = given.get("users")
        if not isinstance(named, list):
            raise RefusedError("invalid_arguments", detail="users is a list")
        state.set_usergroup(group, [self._user({"user": name}).id for name in named])
        return {"ok": True}

    async def _reset(self, given: JSON) -> JSON:
        self.reset_workspace()
        return {"ok": True}

    async def _set_fault(self, given: JSON) -> JSON:
        for board in self.boards:
            if board.part == given.get("part"):
                try:
                    board.set(str(given.get("name")), given.get("value"))
                except ValueError as problem:
                    raise RefusedError(str(problem)) from None
                return {"ok": True}
        raise RefusedError(f"no part {given.get('part')!r}")


def _object(given: JSON, name: str) -> JSON:
    value = given.get(name)
    if not isinstance(value, dict):
        raise RefusedError("invalid_arguments", detail=f"{name} is an object")
    return value


def _json(
    act: Callable[[JSON], Awaitable[JSON]],
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        try:
            given = await request.json() if request.can_read_body else {}
        except ValueError:
            given = None
        if not isinstance(given, dict):
            return web.json_response({"ok": False, "error": "invalid_json"}, status=400)
        try:
            return web.json_response(await act(given))
        except RefusedError as refusal:
            return web.json_response(refusal.body)
        except forms.UnknownOptionError as problem:
            return web.json_response(
                {"ok": False, "error": "invalid_option", "detail": str(problem)}
            )

    return handle
