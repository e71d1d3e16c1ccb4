"""A bot that leaves Socket Mode acks all that Slack has sent it, however far away Slack is."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from slack_bolt import App

from bot import socket_leaving
from bot.sandbox.slack import socketmode as at_slack
from bot.sandbox.valkey import Valkey
from bot.socket_mode import SocketMode
from deploy.actions.connection import connect
from deploy.deadline import Deadline
from handlers.slack.connections import ConnectionCount
from tests.support.redis_servers import started
from tests.support.slack_bots import bolt_app
from tests.support.slack_fixtures import person
from tests.support.slack_workspace import APP_TOKEN, Person
from tests.support.waiting import until

__all__ = ["person"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path_factory.mktemp("redis"))


@pytest.fixture
def redis(server: Valkey) -> Any:
    found = connect(server.url)
    found.flushall()
    return found


@pytest.fixture
def app(person: Person) -> App:
    made = bolt_app(person.slack)

    @made.command("/gateway")
    def answer(ack: Any) -> None:
        ack("done")

    return made


def bot(person: Person, redis: Any, app: App, name: str, connections: int) -> SocketMode:
    count = ConnectionCount(redis, name, confirm_seconds=0)
    made = SocketMode(app, lambda: APP_TOKEN, person.slack.api_url, count, connections=connections)
    made.start()
    return made


@pytest.mark.parametrize("connections", [1, 2])
def test_what_slack_sends_until_it_has_heard_of_the_end_is_acked(
    person: Person, redis: Any, app: App, connections: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Slack is so far away that a busy machine sends what it has to while a Close is on its way, and
    # both sides wait for each other for as long as that takes.
    monkeypatch.setattr(at_slack, "DEADLINE_SECONDS", 30.0)
    monkeypatch.setattr(socket_leaving, "_CLOSE_SECONDS", 30.0)
    leaving = bot(person, redis, app, "leaving", connections)
    staying = bot(person, redis, app, "staying", 1)
    until(lambda: person.slack.connections == connections + 1)
    person.set_fault("socket_latency_ms", 3000)
    with ThreadPoolExecutor(5) as pool:
        stopping = pool.submit(leaving.stop, Deadline.after(60))
        # Every Close is on its way, and the last of them has not arrived.
        until(lambda: not leaving.connected)
        assert person.slack.connections > 1
        answers = list(pool.map(lambda _: person.command("help"), range(4)))
        stopping.result(60)
    assert [answer for answer in answers if not answer["ok"]] == []
    on_both = {entry["connection"] for entry in person.log("delivery")}
    assert len(on_both) == 2
    until(lambda: person.slack.connections == 1)
    staying.stop(Deadline.after(30))


def test_a_slack_that_answers_nothing_holds_up_no_end(person: Person, redis: Any, app: App) -> None:
    leaving = bot(person, redis, app, "leaving", 2)
    person.set_fault("drop_sockets", "black_hole")
    stopping = threading.Thread(target=leaving.stop, args=(Deadline.after(60),))
    stopping.start()
    stopping.join(30)
    assert not stopping.is_alive()
    assert not leaving.live
