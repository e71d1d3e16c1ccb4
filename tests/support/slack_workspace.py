"""A running Slack emulator for tests, and a small client of its control API."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import requests

from bot.sandbox.slack import AppConfig, Channel, SlackWorkspace, User, UserGroup

JSON = dict[str, Any]
BOT_TOKEN, APP_TOKEN, SECRET = "xoxb-1-bot", "xapp-1-app", "8f742231b10e8888abcd99yyyzzz85a5"
SCOPES = [
    "commands",
    "app_mentions:read",
    "chat:write",
    "users:read",
    "users:read.email",
    "usergroups:read",
    "channels:read",
    "channels:history",
    "groups:read",
    "groups:history",
    "im:read",
    "im:history",
    "im:write",
    "files:write",
    "files:read",
    "reactions:write",
    "pins:write",
    "team:read",
    "connections:write",
]
BOT = "U0BOT"
ANA, BEN, DAN = "U0ANA", "U0BEN", "U0DAN"
OPS, SECRETS, ELSEWHERE = "C0OPS", "G0SEC", "C0ELSE"


class Clock:
    """The real time, plus what a test lets pass."""

    ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


def app_config(
    mode: Literal["socket", "http"] = "socket", scopes: Sequence[str] = SCOPES, home: bool = True
) -> AppConfig:
    """The app the tests install."""
    return AppConfig(
        app_id="A0APP",
        name="Gateway Ops",
        bot_user_id=BOT,
        bot_id="B0BOT",
        bot_token=BOT_TOKEN,
        app_token=APP_TOKEN,
        signing_secret=SECRET,
        scopes=scopes,
        commands=[("/gateway", "Deploy and operate the gateway", "help")],
        mode=mode,
        home_tab_enabled=home,
        bot_events=("app_home_opened", "app_mention"),
    )


def workspace(
    app: AppConfig | None = None, *, more: Sequence[Channel] = (), **options: Any
) -> SlackWorkspace:
    """A small workspace: three people, three channels and those of `more`, the bot in two of the three."""
    everyone = (ANA, BEN, DAN)
    return SlackWorkspace(
        team={"id": "T0TEAM", "name": "Contoso", "domain": "contoso"},
        users=[
            User(ANA, "ana", "Ana Diaz", "Developer", "Europe/Madrid", "ana@contoso.com"),
            User(BEN, "ben", "Ben Ong", "SRE", "UTC", "ben@contoso.com"),
            User(DAN, "dan", "Dan Wu"),
        ],
        usergroups=[UserGroup("S0APP", "gateway-approvers", "Approvers", (BEN,))],
        channels=[
            Channel(OPS, "gateway-ops", members=(*everyone, BOT), topic="Gateways"),
            Channel(SECRETS, "secret", is_private=True, members=(BEN, BOT)),
            Channel(ELSEWHERE, "elsewhere", members=everyone),
            *more,
        ],
        app=app or app_config(),
        **options,
    )


@contextmanager
def running(slack: SlackWorkspace) -> Iterator["Person"]:
    """Run a workspace on its own event loop; yields a client of its control API."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(slack.start(), loop).result(60)
        yield Person(slack, loop)
    finally:
        asyncio.run_coroutine_threadsafe(slack.stop(), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(60)
        loop.close()


class Person:
    """Acts through the control API, as the page does."""

    def __init__(self, slack: SlackWorkspace, loop: asyncio.AbstractEventLoop) -> None:
        self.slack = slack
        self._loop = loop

    def call(self, function: Callable[[], Any]) -> Any:
        """Run something on the workspace's loop."""

        async def run() -> Any:
            return function()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(60)

    def post(self, name: str, /, **body: Any) -> JSON:
        """POST /_control/<name>."""
        reply = requests.post(f"{self.slack.url}/_control/{name}", json=body, timeout=60)
        found: JSON = reply.json()
        return found

    def get(self, path: str, **query: str) -> JSON:
        """GET /_control/<path>."""
        reply = requests.get(f"{self.slack.url}/_control/{path}", params=query, timeout=60)
        found: JSON = reply.json()
        return found

    def raw(self, path: str) -> bytes:
        """GET /_control/<path>, the bytes."""
        return requests.get(f"{self.slack.url}/_control/{path}", timeout=60).content

    def command(self, text: str = "", user: str = "ana", channel: str = "gateway-ops") -> JSON:
        """Type /gateway."""
        return self.post("command", channel=channel, user=user, command="/gateway", text=text)

    def click(self, ts: str, action_id: str, user: str = "ana", **action: Any) -> JSON:
        """Use an element of a message in #gateway-ops."""
        return self.post(
            "interact",
            channel="gateway-ops",
            user=user,
            messageTs=ts,
            action={"action_id": action_id, **action},
        )

    def submit(self, view: JSON, values: JSON | None = None, user: str = "ana") -> JSON:
        """Submit a modal."""
        return self.post("view", user=user, view_id=view["id"], type="submit", values=values or {})

    def messages(self, channel: str = "gateway-ops", user: str = "") -> list[JSON]:
        """What `user` sees of a channel; without one, what anybody does."""
        query = {"user": user} if user else {}
        found: list[JSON] = self.get(f"messages/{channel}", **query)["messages"]
        return found

    def stack(self, user: str = "ana") -> list[JSON]:
        """Open modals, root first."""
        found: list[JSON] = self.get(f"views/{user}")["stack"]
        return found

    def set_fault(self, name: str, value: Any) -> None:
        """Move one of Slack's fault switches."""
        assert self.post("faults", part="slack", name=name, value=value) == {"ok": True}

    def log(self, kind: str) -> list[JSON]:
        """Entries of one kind in the traffic log."""
        found: list[JSON] = self.get("log", kind=kind)["entries"]
        return found
