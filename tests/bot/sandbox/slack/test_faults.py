"""Faults a person or a test can switch on."""

import asyncio
import time
from typing import Any

import aiohttp
import pytest
import requests
from slack_bolt import App
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from tests.support.slack_blocks import actions, button
from tests.support.slack_bots import over_sockets, web_client
from tests.support.slack_workspace import APP_TOKEN, OPS, Person
from tests.support.waiting import until

JSON = dict[str, Any]


def counting(app: App) -> list[JSON]:
    """Answer every command and every click, and keep the bodies."""
    bodies: list[JSON] = []

    def note(ack: Any, body: JSON) -> None:
        bodies.append(body)
        ack()

    app.command("/gateway")(note)
    app.action("go")(note)
    return bodies


def test_messages_for_one_person_can_be_refused_for_a_while(person: Person) -> None:
    client = web_client(person.slack)
    person.set_fault("ephemeral_retry_after", 4)
    with pytest.raises(SlackApiError) as refused:
        client.chat_postEphemeral(channel=OPS, user="U0ANA", text="hello")
    assert refused.value.response.status_code == 429
    assert refused.value.response.headers["Retry-After"] == "4"
    client.chat_postMessage(channel=OPS, text="hello")


def deliveries(person: Person) -> list[str]:
    """On which connection each envelope went out."""
    return [entry["connection"] for entry in person.log("delivery") if "connection" in entry]


def test_envelopes_take_turns_on_the_connections(person: Person, app: App) -> None:
    counting(app)
    with over_sockets(app, person.slack, connections=2):
        for _ in range(4):
            person.command()
    first, second, third, fourth = deliveries(person)
    assert first != second
    assert (first, second) == (third, fourth)


@pytest.mark.parametrize("fault", ["refresh", "tcp_abort"])
def test_the_app_comes_back_after_its_connection_went(person: Person, app: App, fault: str) -> None:
    counting(app)
    with over_sockets(app, person.slack):
        [before] = {e["name"] for e in person.log("connection") if e["event"] == "opened"}
        person.set_fault("drop_sockets", fault)
        until(lambda: any(e["event"] == "closed" for e in person.log("connection")))
        # Until the new connection stands there is none, and Slack says so at once.
        until(lambda: person.command() == {"ok": True})
        assert deliveries(person)[-1] != before
    assert person.slack.faults.get("drop_sockets") == "none"


def test_a_warned_connection_gets_no_new_work_once_another_is_there(
    person: Person, app: App
) -> None:
    counting(app)
    with over_sockets(app, person.slack):
        [before] = {e["name"] for e in person.log("connection")}
        person.set_fault("drop_sockets", "disconnect_warning")
        until(lambda: len({e["name"] for e in person.log("connection")}) == 2)
        assert [person.command() for _ in range(3)] == [{"ok": True}] * 3
        assert before not in deliveries(person)


def test_a_black_hole_swallows_until_it_is_lifted(person: Person, app: App) -> None:
    bodies = counting(app)
    with over_sockets(app, person.slack):
        person.set_fault("drop_sockets", "black_hole")
        assert person.command() == {"ok": False, "error": "operation_timeout"}
        assert bodies == []
        person.set_fault("drop_sockets", "none")
        until(lambda: person.command() == {"ok": True})


def test_more_than_ten_connections_are_too_many(person: Person) -> None:
    app_client = web_client(person.slack, APP_TOKEN)

    async def connect() -> list[JSON]:
        async with aiohttp.ClientSession() as session:
            hellos, sockets = [], []
            for _ in range(11):
                url = app_client.apps_connections_open(app_token=APP_TOKEN)["url"]
                sockets.append(await session.ws_connect(url))
                hellos.append(await sockets[-1].receive_json(timeout=30))
            for socket in sockets:
                await socket.close()
            return hellos

    hellos = asyncio.run(connect())
    assert [h["type"] for h in hellos] == ["hello"] * 10 + ["disconnect"]
    assert hellos[9]["num_connections"] == 10
    assert hellos[10]["reason"] == "too_many_websockets"


def test_a_ticket_is_good_for_one_connection_and_pings_are_echoed(person: Person) -> None:
    url = web_client(person.slack, APP_TOKEN).apps_connections_open(app_token=APP_TOKEN)["url"]

    async def connect() -> tuple[bytes, int]:
        async with aiohttp.ClientSession() as session:
            socket = await session.ws_connect(url, autoping=False)
            await socket.receive_json(timeout=30)
            await socket.ping(b"sdk-ping-pong:1")
            pong = await socket.receive(timeout=30)
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(url)
            await socket.close()
            return pong.data, refused.value.status

    assert asyncio.run(connect()) == (b"sdk-ping-pong:1", 401)


def test_an_ack_counts_on_any_connection_of_the_app(person: Person) -> None:
    app_client = web_client(person.slack, APP_TOKEN)

    async def run() -> JSON:
        async with aiohttp.ClientSession() as session:
            urls = [app_client.apps_connections_open(app_token=APP_TOKEN)["url"] for _ in "ab"]
            sockets = [await session.ws_connect(url) for url in urls]
            for socket in sockets:
                await socket.receive_json(timeout=30)
            answer = asyncio.create_task(asyncio.to_thread(person.command))
            listening = {asyncio.create_task(s.receive_json()): s for s in sockets}
            done, waiting = await asyncio.wait(
                listening, timeout=30, return_when=asyncio.FIRST_COMPLETED
            )
            [got], [other] = done, waiting
            envelope = got.result()
            assert envelope["accepts_response_payload"] is True
            await listening[other].send_json(
                {"envelope_id": envelope["envelope_id"], "payload": {"text": "hi"}}
            )
            reply = await answer
            other.cancel()
            return reply

    assert asyncio.run(run()) == {"ok": True}
    assert person.messages(user="ana")[0]["text"] == "hi"


def test_a_duplicate_delivery_is_the_same_payload_marked_as_a_retry(
    person: Person, app: App
) -> None:
    bodies = counting(app)
    person.set_fault("duplicate_deliveries", True)
    with over_sockets(app, person.slack):
        assert person.command() == {"ok": True}
        until(lambda: len(bodies) == 2)
    assert bodies[0]["trigger_id"] == bodies[1]["trigger_id"]
    sent = [(e["envelope_id"], e.get("retry_attempt")) for e in person.log("delivery")]
    assert sorted(attempt or 0 for _, attempt in sent) == [0, 1]
    assert sent[0][0] != sent[1][0]


def test_a_delayed_delivery_ages_the_trigger(person: Person, app: App) -> None:
    counting(app)
    person.set_fault("delay_delivery_ms", 300)
    with over_sockets(app, person.slack):
        started = time.monotonic()
        person.command()
    assert time.monotonic() - started >= 0.3


def test_lost_acks_look_like_a_timeout(person: Person, app: App) -> None:
    bodies = counting(app)
    person.set_fault("lose_acks", True)
    with over_sockets(app, person.slack):
        assert person.command() == {"ok": False, "error": "operation_timeout"}
        until(lambda: bodies)
    assert len(bodies) == 1


@pytest.mark.parametrize("status", ["500", "503"])
def test_the_api_fails_with_a_status(person: Person, client: WebClient, status: str) -> None:
    person.set_fault("api_error", status)
    with pytest.raises(SlackApiError) as caught:
        client.auth_test()
    assert caught.value.response.status_code == int(status)


def test_a_token_can_be_as_if_it_were_revoked(person: Person, client: WebClient) -> None:
    person.set_fault("api_error", "invalid_auth")
    with pytest.raises(SlackApiError) as caught:
        client.auth_test()
    assert (caught.value.response.status_code, caught.value.response["error"]) == (
        200,
        "invalid_auth",
    )


def test_the_api_can_be_slow(person: Person, client: WebClient) -> None:
    person.set_fault("api_latency_ms", 200)
    started = time.monotonic()
    client.auth_test()
    assert time.monotonic() - started >= 0.2


def test_bursts_of_429_name_when_to_come_back(person: Person, client: WebClient) -> None:
    person.set_fault("burst_429", True)
    refused = 0
    for _ in range(10):
        reply = requests.post(
            f"{person.slack.api_url}auth.test", data={"token": client.token}, timeout=30
        )
        if reply.status_code == 429:
            refused += 1
            assert reply.headers["Retry-After"] == "1"
            assert reply.json() == {"ok": False, "error": "ratelimited"}
    assert refused == 3


def test_rate_tiers_are_off_until_switched_on(person: Person, client: WebClient) -> None:
    for _ in range(8):
        client.chat_postMessage(channel=OPS, text="x")
    person.set_fault("rate_limits", True)
    for _ in range(5):
        client.chat_postMessage(channel=OPS, text="x")

    def often() -> None:
        # While it takes its time a slow machine may have more.
        for _ in range(20):
            client.chat_postMessage(channel=OPS, text="x")

    with pytest.raises(SlackApiError) as caught:
        often()
    assert caught.value.response.status_code == 429
    assert int(caught.value.response.headers["Retry-After"]) >= 1


@pytest.mark.parametrize(
    ("clock", "seconds"), [("3 minutes behind", -180), ("3 minutes ahead", 180)]
)
def test_slacks_clock_can_be_off(
    person: Person, client: WebClient, app: App, clock: str, seconds: float
) -> None:
    bodies = counting(app)
    person.set_fault("clock", clock)
    ts = str(client.chat_postMessage(channel=OPS, text="x")["ts"])
    assert float(ts) == pytest.approx(time.time() + seconds, abs=30)
    with over_sockets(app, person.slack):
        person.command()
        opened = client.views_open(
            trigger_id=bodies[0]["trigger_id"],
            view={"type": "modal", "title": {"type": "plain_text", "text": "x"}, "blocks": []},
        )
    assert opened["ok"]


def test_a_double_click_is_delivered_twice(person: Person, app: App) -> None:
    bodies = counting(app)
    ts = web_client(person.slack).chat_postMessage(
        channel=OPS, text="x", blocks=[actions(button())]
    )["ts"]
    with over_sockets(app, person.slack):
        person.click(ts, "go")
        person.click(ts, "go")
    stamps = {body["actions"][0]["action_ts"] for body in bodies}
    assert len(stamps) == 2


def test_a_click_on_a_message_that_changed_meanwhile_still_arrives(
    person: Person, app: App, client: WebClient
) -> None:
    bodies = counting(app)
    ts = client.chat_postMessage(channel=OPS, text="x", blocks=[actions(button())])["ts"]
    client.chat_update(channel=OPS, ts=ts, text="decided")
    with over_sockets(app, person.slack):
        assert person.click(ts, "go") == {"ok": True}
        assert person.click(ts, "never") == {"ok": False, "error": "action_not_found"}
    assert bodies[0]["message"]["text"] == "decided"
    client.chat_delete(channel=OPS, ts=ts)
    assert person.click(ts, "go") == {"ok": False, "error": "message_not_found"}
