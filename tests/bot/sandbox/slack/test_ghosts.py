"""Connections that Slack counts and delivers to, and that nobody hears."""

import asyncio
import http.client
from typing import Any

import aiohttp
import pytest
from slack_bolt import App

from bot.sandbox.slack import SlackWorkspace
from tests.support.silent_proxy import SilentProxy
from tests.support.slack_bots import bolt_app, over_sockets, web_client
from tests.support.slack_workspace import APP_TOKEN, Person, running, workspace
from tests.support.waiting import until

JSON = dict[str, Any]
FAILED = {"ok": False, "error": "operation_timeout"}


@pytest.fixture(autouse=True)
def _patient() -> None:
    """Here Slack waits three seconds: for most of what is asked it waits in vain."""


def counting(app: App) -> list[JSON]:
    """Answer every command, and keep the bodies."""
    bodies: list[JSON] = []

    @app.command("/gateway")
    def note(ack: Any, body: JSON) -> None:
        bodies.append(body)
        ack()

    return bodies


def first_frames(slack: SlackWorkspace, count: int = 1) -> list[JSON]:
    """What each of so many connections is first told; they are closed again."""

    async def connect() -> list[JSON]:
        async with aiohttp.ClientSession() as session:
            sockets, frames = [], []
            for _ in range(count):
                url = web_client(slack).apps_connections_open(app_token=APP_TOKEN)["url"]
                sockets.append(await session.ws_connect(url))
                frames.append(await sockets[-1].receive_json(timeout=30))
            for socket in sockets:
                await socket.close()
            return frames

    return asyncio.run(connect())


def ghosts(person: Person) -> float:
    """How many the switch of the page shows."""
    found: float = person.slack.faults.get("ghost_connections")
    return found


def test_ghosts_count_and_swallow_their_share(person: Person, app: App) -> None:
    bodies = counting(app)
    with over_sockets(app, person.slack):
        person.set_fault("ghost_connections", 1)
        answers = [person.command() for _ in range(4)]
    assert sorted(map(str, answers)) == sorted(map(str, [{"ok": True}, FAILED] * 2))
    assert len(bodies) == 2
    until(lambda: person.slack.connections == 1)
    assert first_frames(person.slack)[0]["num_connections"] == 2


def test_a_swallowed_command_is_not_delivered_again_and_an_event_is(app: App) -> None:
    mentions: list[JSON] = []
    with running(workspace(event_retry_seconds=(0.0, 0.1, 0.1))) as person:
        app = bolt_app(person.slack)
        bodies = counting(app)

        @app.event("app_mention")
        def mentioned(body: JSON) -> None:
            mentions.append(body)

        with over_sockets(app, person.slack):
            person.set_fault("ghost_connections", 1)
            until(lambda: person.command() == FAILED)
            before = len(bodies)
            # Round robin: one of two goes to the ghost first, and then to the connection.
            for text in ("<@U0BOT> one", "<@U0BOT> two"):
                said = {"channel": "gateway-ops", "user": "ana", "text": text}
                assert person.post("message", **said)["ok"]
            until(lambda: len({body["event"]["text"] for body in mentions}) == 2)
            assert len(bodies) == before


def test_ghosts_are_forgotten_after_a_while() -> None:
    with running(workspace(ghost_seconds=0.3)) as person:
        person.set_fault("ghost_connections", 3)
        until(lambda: person.slack.connections == ghosts(person) == 0)


def test_ghosts_go_when_the_switch_says_so(person: Person) -> None:
    person.set_fault("ghost_connections", 3)
    person.set_fault("ghost_connections", 1)
    assert person.slack.connections == 1


def test_there_are_never_more_than_ten_with_the_ghosts(person: Person) -> None:
    person.set_fault("ghost_connections", 30)
    assert (person.slack.connections, ghosts(person)) == (10, 10)
    [refused] = first_frames(person.slack)
    assert (refused["reason"], refused["num_connections"]) == ("too_many_websockets", 10)


def test_a_connection_that_fell_into_a_black_hole_becomes_a_ghost(person: Person, app: App) -> None:
    counting(app)
    with over_sockets(app, person.slack):
        person.set_fault("drop_sockets", "black_hole")
        until(lambda: ghosts(person) >= 1)
        person.set_fault("drop_sockets", "none")
        until(lambda: person.command() == {"ok": True})
    until(lambda: person.slack.connections == ghosts(person))


def test_a_connection_that_a_middlebox_forgot_becomes_a_ghost(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.sandbox.slack.socketmode.PING_SECONDS", 0.1)
    url = web_client(person.slack).apps_connections_open(app_token=APP_TOKEN)["url"]
    port = int(person.slack.url.rpartition(":")[2])
    proxy = SilentProxy("127.0.0.1", port)

    async def connect() -> None:
        async with aiohttp.ClientSession() as session:
            socket = await session.ws_connect(url.replace(str(port), str(proxy.port)))
            await socket.receive_json(timeout=30)
            proxy.forget()
            await asyncio.to_thread(until, lambda: ghosts(person) == 1)

    try:
        asyncio.run(connect())
    finally:
        proxy.close()


def test_a_connection_that_is_closed_leaves_no_ghost(person: Person) -> None:
    first_frames(person.slack, 3)
    until(lambda: person.slack.connections == 0)


def test_socket_mode_that_is_switched_off_closes_every_connection(person: Person) -> None:
    url = web_client(person.slack).apps_connections_open(app_token=APP_TOKEN)["url"]
    person.set_fault("ghost_connections", 2)

    async def last_frame() -> JSON:
        async with aiohttp.ClientSession() as session:
            socket = await session.ws_connect(url)
            hello = await socket.receive_json(timeout=30)
            assert hello["num_connections"] == 3
            await asyncio.to_thread(person.set_fault, "socket_mode_off", True)
            frame: JSON = await socket.receive_json(timeout=30)
            assert (await socket.receive(timeout=30)).type is aiohttp.WSMsgType.CLOSE
            return frame

    assert asyncio.run(last_frame())["reason"] == "link_disabled"
    until(lambda: person.slack.connections == 0)
    assert first_frames(person.slack)[0]["reason"] == "link_disabled"


def test_without_network_nothing_is_answered_and_the_connections_become_ghosts(
    person: Person, app: App
) -> None:
    counting(app)
    with over_sockets(app, person.slack):
        person.set_fault("network_down", True)
        with pytest.raises(http.client.RemoteDisconnected):
            web_client(person.slack).auth_test()
        assert person.command() == FAILED
        person.set_fault("network_down", False)
        until(lambda: person.command() == {"ok": True})
    until(lambda: person.slack.connections == ghosts(person) == 1)
