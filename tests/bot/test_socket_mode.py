"""The bot's Socket Mode connections against a Slack that loses, refuses and forgets some."""

import dataclasses
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from slack_bolt import App

from bot import socket_connection, socket_mode, socket_pace
from bot.sandbox.slack import socketmode as at_slack
from bot.sandbox.valkey import Valkey
from bot.socket_mode import SocketMode
from deploy.actions.connection import connect
from deploy.deadline import Deadline
from handlers.slack import connections
from handlers.slack.connections import ConnectionCount
from tests.support.redis_servers import started
from tests.support.silent_proxy import SilentProxy
from tests.support.slack_bots import bolt_app
from tests.support.slack_fixtures import person
from tests.support.slack_workspace import APP_TOKEN, Person
from tests.support.waiting import until

__all__ = ["person"]

JSON = dict[str, Any]
OK = {"ok": True}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path_factory.mktemp("redis"))


@pytest.fixture
def redis(server: Valkey) -> Any:
    found = connect(server.url)
    found.flushall()
    return found


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes minutes takes moments."""
    monkeypatch.setattr(socket_mode, "CONFIRM_SECONDS", -0.8)
    monkeypatch.setattr(socket_mode, "_REPORT_SECONDS", 0.2)
    monkeypatch.setattr(socket_mode, "_WARNED_SECONDS", 1.0)
    monkeypatch.setattr(socket_pace, "_FIRST_REFUSED", 0.4)
    monkeypatch.setattr(socket_pace, "_LONGEST_REFUSED", 0.4)


@pytest.fixture
def soon_deaf(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence is noticed soon; a busy machine may be taken for a silent one."""
    monkeypatch.setattr(socket_connection, "_PING_SECONDS", 0.5)


@pytest.fixture
def patient_slack(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slack waits longer than its three seconds for an ack, which a busy machine may miss: one that is
    lost is missing however long it waits."""
    monkeypatch.setattr(at_slack, "DEADLINE_SECONDS", 30.0)


class Bodies(list[JSON]):
    """What a bot's listener was given; with `slow` an ack waits until it is set."""

    def __init__(self) -> None:
        super().__init__()
        self.slow = threading.Event()
        self.slow.set()


def listening(app: App) -> Bodies:
    """Answer every command."""
    bodies = Bodies()

    @app.command("/gateway")
    def note(ack: Any, body: JSON) -> None:
        bodies.append(body)
        bodies.slow.wait(60)
        ack(f"heard {body['text']}")

    return bodies


@contextmanager
def running(
    person: Person,
    redis: Any,
    app: App,
    *,
    owner: str = "one",
    connections: int = 2,
    renew_seconds: float = 600,
    token: Callable[[], str] = lambda: APP_TOKEN,
) -> Iterator[SocketMode]:
    """A bot's Socket Mode for the length of the block."""
    mode = SocketMode(
        app,
        token,
        person.slack.api_url,
        ConnectionCount(redis, owner, confirm_seconds=0),
        connections=connections,
        renew_seconds=renew_seconds,
    )
    mode.start()
    try:
        until(lambda: mode.connected)
        yield mode
    finally:
        mode.stop(Deadline.after(20))


@pytest.fixture
def app(person: Person) -> App:
    return bolt_app(person.slack)


def names(person: Person, event: str) -> list[str]:
    return [entry["name"] for entry in person.log("connection") if entry["event"] == event]


def refused(person: Person) -> list[str]:
    """The methods that Slack answered with an error."""
    return [entry["method"] for entry in person.log("request") if not entry["ok"]]


def stands(person: Person, count: int) -> None:
    until(lambda: person.slack.connections == count, f"{count} connections")


def detail(mode: SocketMode) -> str:
    return mode.detail["slack connections"]


def said(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == level]


def says(mode: SocketMode, text: str) -> Callable[[], bool]:
    return lambda: text in detail(mode)


def test_it_holds_its_connections_and_closes_them_at_the_end(
    person: Person, redis: Any, app: App
) -> None:
    bodies = listening(app)
    with running(person, redis, app) as mode:
        stands(person, 2)
        assert person.command("status") == OK
        assert person.messages(user="ana")[0]["text"] == "heard status"
        assert len(bodies) == 1
        until(says(mode, "all bots have 2 connections"))
        assert mode.live
    stands(person, 0)
    assert not mode.connected
    alone = ConnectionCount(redis, "another").report(0)
    assert alone is not None
    assert alone.of_bots == 0


def test_a_new_connection_is_opened_with_the_app_token_as_it_is_then(
    person: Person, redis: Any, app: App
) -> None:
    tokens = [APP_TOKEN]
    with running(person, redis, app, token=lambda: tokens[-1]):
        stands(person, 2)
        state = person.slack._state
        state.app = dataclasses.replace(state.app, app_token="xapp-1-rotated")
        person.set_fault("drop_sockets", "tcp_abort")
        until(lambda: "apps.connections.open" in refused(person), "a refusal")
        tokens.append("xapp-1-rotated")
        stands(person, 2)


@pytest.mark.usefixtures("patient_slack")
def test_one_connection_after_another_is_renewed_and_no_command_is_lost(
    person: Person, redis: Any, app: App
) -> None:
    listening(app)
    with running(person, redis, app, renew_seconds=0.3):
        stands(person, 2)
        first = set(names(person, "opened"))
        while len(names(person, "opened")) < 8 or not first <= set(names(person, "closed")):
            assert person.command("status") == OK
        # A new one stands before the old one is closed.
        assert all(entry["open"] >= 2 for entry in person.log("connection")[1:])
        # Nobody waits for the end of the old one, which may take longer than until the next renewal.
        stands(person, 2)


@pytest.mark.usefixtures("patient_slack")
def test_an_ack_goes_out_though_its_connection_was_renewed_meanwhile(
    person: Person, redis: Any, app: App
) -> None:
    bodies = listening(app)
    bodies.slow.clear()
    with running(person, redis, app, renew_seconds=0.2):
        stands(person, 2)
        answers: list[JSON] = []
        typed = threading.Thread(target=lambda: answers.append(person.command("status")))
        typed.start()
        until(lambda: len(bodies) == 1)
        sent = person.log("delivery")[-1]["connection"]
        until(lambda: sent in names(person, "closed"))
        bodies.slow.set()
        typed.join(60)
        assert answers == [OK]


def test_more_connections_at_slack_than_bots_have_are_reported(
    person: Person, redis: Any, app: App, caplog: pytest.LogCaptureFixture
) -> None:
    with running(person, redis, app, renew_seconds=0.3) as mode:
        until(says(mode, "all bots have 2 connections"))
        assert "more" not in detail(mode)
        person.set_fault("ghost_connections", 3)
        until(says(mode, "Slack delivers to 3 more that nobody reads"))
        warned, *_ = until(lambda: said(caplog, logging.WARNING))
        assert "Slack counts 3 Socket Mode connections of this app held by no running bot" in warned
        assert list(ConnectionCount(redis, "another").versions().values()) == [1]
        person.set_fault("ghost_connections", 0)
        until(lambda: "more" not in detail(mode))


def test_ghosts_that_are_there_at_the_start_are_reported_without_waiting_for_a_renewal(
    person: Person, redis: Any, app: App
) -> None:
    person.set_fault("ghost_connections", 2)
    with running(person, redis, app) as mode:
        until(says(mode, "Slack delivers to 2 more"))


def test_connections_of_another_bot_are_no_ghosts(person: Person, redis: Any, app: App) -> None:
    with (
        running(person, redis, app, renew_seconds=0.3) as one,
        running(person, redis, app, owner="two", renew_seconds=0.3) as two,
    ):
        for mode in (one, two):
            until(says(mode, "all bots have 4 connections"))
        before = len(names(person, "opened"))
        until(lambda: len(names(person, "opened")) > before + 10)
        assert ConnectionCount(redis, "another").versions() == {}


@pytest.mark.usefixtures("soon_deaf")
def test_connections_lost_with_the_network_are_replaced_and_reported(
    person: Person, redis: Any, app: App
) -> None:
    listening(app)
    with running(person, redis, app) as mode:
        stands(person, 2)
        person.set_fault("network_down", True)
        until(lambda: not mode.connected)
        person.set_fault("network_down", False)
        until(lambda: mode.connected)
        until(lambda: person.command("status") == OK)
        until(says(mode, "Slack delivers to 2 more"))


@pytest.mark.usefixtures("soon_deaf")
def test_slack_hears_of_the_end_of_its_connections_once_the_network_is_back(
    person: Person, redis: Any, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = SilentProxy("127.0.0.1", int(person.slack.url.rpartition(":")[2]))
    # slack_sdk minds the one and not the other, the test's own requests both.
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    try:
        with running(person, redis, app) as mode:
            stands(person, 2)
            before = names(person, "opened")
            proxy.hold()
            until(lambda: not mode.connected)
            proxy.resume()
            until(lambda: set(before) <= set(names(person, "closed")))
            until(lambda: mode.connected)
            stands(person, 2)
            assert names(person, "ghost") == []
    finally:
        proxy.close()


@pytest.mark.parametrize("fault", ["refresh", "disconnect_warning", "tcp_abort"])
def test_dropped_connections_are_replaced(person: Person, redis: Any, app: App, fault: str) -> None:
    listening(app)
    with running(person, redis, app):
        stands(person, 2)
        before = names(person, "opened")
        for _ in range(2):
            person.set_fault("drop_sockets", fault)
            until(lambda: person.command("status") == OK)
        until(lambda: len(names(person, "opened")) >= len(before) + 2)
        until(lambda: set(before) <= set(names(person, "closed")))
        stands(person, 2)


def test_too_many_connections_are_named_with_what_to_do_and_tried_again_slowly(
    person: Person, redis: Any, app: App, caplog: pytest.LogCaptureFixture
) -> None:
    person.set_fault("ghost_connections", 10)
    mode = SocketMode(
        app,
        lambda: APP_TOKEN,
        person.slack.api_url,
        ConnectionCount(redis, "one", confirm_seconds=0),
        connections=2,
    )
    threading.Thread(target=mode.start, daemon=True).start()
    try:
        until(says(mode, "Slack delivers to 10 more"))
        refused, *_ = until(lambda: said(caplog, logging.ERROR))
        assert "too_many_websockets" in refused
        assert "it counts 10 of this app, and all bots have 0" in refused
        assert "Stop other processes that use the same app-level token" in refused
        assert not mode.connected
        person.set_fault("ghost_connections", 0)
        stands(person, 2)
    finally:
        mode.stop(Deadline.after(20))


def test_the_last_place_is_left_to_a_bot_that_has_none(
    person: Person, redis: Any, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    person.set_fault("ghost_connections", 8)
    with running(person, redis, app, renew_seconds=0.2) as mode:
        until(says(mode, "Slack delivers to 8 more"))
        until(lambda: person.slack.connections == 9)
        monkeypatch.setattr(connections, "_STALE_SECONDS", 2.0)
        with running(person, redis, app, owner="two", connections=1) as other:
            assert other.connected
            person.set_fault("ghost_connections", 0)
            stands(person, 3)


def test_socket_mode_that_is_switched_off_is_named_and_waited_for(
    person: Person, redis: Any, app: App, caplog: pytest.LogCaptureFixture
) -> None:
    with running(person, redis, app) as mode:
        stands(person, 2)
        person.set_fault("socket_mode_off", True)
        until(lambda: not mode.connected)
        until(
            lambda: any(
                "switch it on in the settings of the Slack app" in r.getMessage()
                for r in caplog.records
            )
        )
        person.set_fault("socket_mode_off", False)
        until(lambda: mode.connected)
        stands(person, 2)


def test_without_redis_connections_stand_and_are_not_judged(
    person: Person, app: App, tmp_path: Any
) -> None:
    listening(app)
    nowhere = connect(f"unix://{tmp_path}/none.sock", timeout=0.5, retries=0)
    with running(person, nowhere, app, renew_seconds=0.3) as mode:
        person.set_fault("ghost_connections", 1)
        until(lambda: len(names(person, "opened")) > 4)
        until(lambda: detail(mode) == "Redis does not say how many all bots have")
        until(lambda: person.command("status") == OK)


def test_a_bot_whose_token_slack_refuses_says_so_with_the_remedy_when_it_gives_up_waiting(
    person: Person, redis: Any, app: App, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setattr(socket_mode, "_FIRST_SECONDS", 3)
    count = ConnectionCount(redis, "one", confirm_seconds=0)
    mode = SocketMode(app, lambda: "xapp-wrong", person.slack.api_url, count, connections=1)
    mode.start()
    mode.stop(Deadline.after(20))
    (told,) = said(caplog, logging.ERROR)
    assert told.startswith("Slack cannot be reached yet; the bot keeps trying: the token is wrong")
    assert "Copy" in told


def test_a_bot_that_ends_before_slack_has_let_it_in_waits_no_longer(
    person: Person, redis: Any, app: App
) -> None:
    count = ConnectionCount(redis, "one", confirm_seconds=0)
    mode = SocketMode(app, lambda: "xapp-wrong", person.slack.api_url, count, connections=1)
    starting = threading.Thread(target=mode.start, daemon=True)
    starting.start()
    until(lambda: mode.live)
    mode.stop(Deadline.after(20))
    starting.join(10)
    assert not starting.is_alive()
