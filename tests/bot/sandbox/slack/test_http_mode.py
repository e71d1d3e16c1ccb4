"""A real Bolt app behind its HTTP adapter."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from slack_bolt import App

from tests.support.slack_blocks import actions, button, modal, option, plain, typed
from tests.support.slack_bots import bolt_app, over_http, web_client
from tests.support.slack_workspace import (
    OPS,
    Person,
    app_config,
    running,
    workspace,
)
from tests.support.waiting import until

JSON = dict[str, Any]


@pytest.fixture
def person() -> Iterator[Person]:
    with running(workspace(app_config("http"), event_retry_seconds=(0, 0, 0))) as person:
        yield person


@pytest.fixture
def app(person: Person) -> App:
    return bolt_app(person.slack)


def test_commands_clicks_modals_and_options_work_over_http(person: Person, app: App) -> None:
    @app.command("/gateway")
    def command(ack: Any, body: JSON, client: Any) -> None:
        ack(text="opening", response_type="in_channel")
        client.views_open(
            trigger_id=body["trigger_id"],
            view=modal(
                {
                    "type": "input",
                    "block_id": "tag",
                    "label": plain("Tag"),
                    "element": {"type": "external_select", "action_id": "tag"},
                }
            ),
        )

    @app.options("tag")
    def tags(ack: Any, payload: JSON) -> None:
        ack(options=[option(payload["value"] + ".1")])

    @app.view("deploy")
    def submit(ack: Any) -> None:
        ack(response_action="errors", errors={"tag": "too old"})

    @app.action("go")
    def go(ack: Any, respond: Any) -> None:
        ack()
        respond(text="went", replace_original=True)

    with over_http(app, person.slack):
        assert person.command("deploy") == {"ok": True}
        assert [m["text"] for m in person.messages()] == ["/gateway deploy", "opening"]
        [view] = until(person.stack)
        offered = person.post(
            "options", user="ana", view_id=view["id"], action_id="tag", block_id="tag", value="2"
        )
        assert offered == {"options": [{**option("2.1")}]}
        chosen = {"tag": {"tag": {"selected_option": option("2.1")}}}
        assert person.submit(view, chosen)["errors"] == {"tag": "too old"}
        ts = web_client(person.slack).chat_postMessage(
            channel=OPS, text="x", blocks=[actions(button())]
        )["ts"]
        assert person.click(ts, "go") == {"ok": True}
        until(lambda: person.messages()[-1]["text"] == "went")


def test_the_options_of_a_select_are_asked_for_at_a_url_of_their_own(
    person: Person, app: App
) -> None:
    @app.command("/gateway")
    def command(ack: Any, body: JSON, client: Any) -> None:
        ack()
        select = {"type": "external_select", "action_id": "tag"}
        block = {"type": "input", "block_id": "tag", "label": plain("Tag"), "element": select}
        client.views_open(trigger_id=body["trigger_id"], view=modal(block))

    @app.options("tag")
    def tags(ack: Any) -> None:
        ack(options=[option("2.1")])

    asked = {"user": "ana", "action_id": "tag", "block_id": "tag", "value": ""}
    with over_http(app, person.slack):
        person.command("deploy")
        [view] = until(person.stack)
        assert person.post("options", view_id=view["id"], **asked)["options"] == [option("2.1")]
        person.slack.options_url = None
        failed = person.post("options", view_id=view["id"], **asked)
    assert failed == {"error": "dispatch_failed"}
    assert person.log("delivery")[-1]["error"] == "no options load URL"


def test_the_app_refuses_a_request_signed_with_another_secret(person: Person) -> None:
    stranger = App(client=web_client(person.slack), signing_secret="another")
    with over_http(stranger, person.slack):
        assert person.command() == {"ok": False, "error": "http_service_error"}


@pytest.mark.parametrize("clock", ["3 minutes behind", "3 minutes ahead"])
def test_a_clock_that_is_three_minutes_off_is_within_what_signatures_allow(
    person: Person, app: App, clock: str
) -> None:
    dated: list[str] = []

    @app.command("/gateway")
    def command(ack: Any, request: Any) -> None:
        dated.append(request.headers["x-slack-request-timestamp"][0])
        ack()

    person.set_fault("clock", clock)
    with over_http(app, person.slack):
        assert person.command() == {"ok": True}
    (signed,) = dated
    assert abs(int(signed) - time.time()) == pytest.approx(180, abs=30)


def test_nobody_listening_means_dispatch_failed(person: Person) -> None:
    assert person.command() == {"ok": False, "error": "dispatch_failed"}
    person.slack.request_url = "http://127.0.0.1:1/slack/events"
    assert person.command() == {"ok": False, "error": "dispatch_failed"}


def test_a_submission_without_an_answer_keeps_the_modal(person: Person, app: App) -> None:
    @app.command("/gateway")
    def command(ack: Any, body: JSON, client: Any) -> None:
        ack()
        client.views_open(trigger_id=body["trigger_id"], view=modal())

    with over_http(app, person.slack):
        person.command()
        [view] = until(person.stack)
    assert person.submit(view, typed(name="x")) == {"ok": False, "error": "dispatch_failed"}
    assert len(person.stack()) == 1


@pytest.mark.parametrize("no_retry", [False, True])
def test_events_are_retried_three_times_unless_the_app_says_no(
    person: Person, no_retry: bool
) -> None:
    retries: list[tuple[str | None, str | None]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            retries.append(
                (self.headers["x-slack-retry-num"], self.headers["x-slack-retry-reason"])
            )
            self.send_response(500)
            if no_retry:
                self.send_header("x-slack-no-retry", "1")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    person.slack.request_url = f"http://127.0.0.1:{server.server_address[1]}/"
    try:
        assert person.post("open-home", user="ana") == {"ok": True}
        expected = 1 if no_retry else 4
        until(lambda: len(person.log("ack")) == expected)
    finally:
        server.shutdown()
        server.server_close()
    again = [("1", "http_error"), ("2", "http_error"), ("3", "http_error")]
    assert retries == [(None, None)] + ([] if no_retry else again)
