"""What each payload of Slack's comes to, as both transports hand it over."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from slack_bolt import BoltRequest, BoltResponse
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from deploy.access import Environment, Standing
from deploy.errors import Unavailable
from handlers.actions import decisions
from handlers.listeners import Listeners, Needs
from handlers.slack.in_time import InTime
from handlers.slack.payloads import Request, Submission, click_of, form_of
from handlers.slack.people import Team
from handlers.verbs import deploy, status
from handlers.views import denial
from tests.support.authority import People, authority
from tests.support.needs import needs
from tests.support.waiting import until

VALUE = json.dumps({"id": "AAAAAA", "digest": "d"})
METADATA = json.dumps({"id": "AAAAAA", "digest": "d", "channel": "C1"})


class Slack:
    """As much of a client as listeners use, and what was shown and opened with it."""

    ssl = None

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.asked = 0
        self.opened: list[str] = []
        self.refusal = ""
        self.filling_fails = False

    def chat_postEphemeral(self, **message: Any) -> None:  # noqa: N802  # as the SDK has it
        self.told.append(message)

    chat_postMessage = chat_postEphemeral  # noqa: N815  # as the SDK has it

    def views_open(self, *, trigger_id: str, view: Any) -> dict[str, Any]:
        refusal, self.asked = self.refusal, self.asked + 1
        if refusal:
            raise SlackApiError(refusal, SimpleNamespace(get={"error": refusal}.get))
        self.opened.append(trigger_id)
        return {"view": {"id": "V1", "hash": "h"}}

    def views_update(self, **view: Any) -> None:
        if self.filling_fails:
            raise ZeroDivisionError


class Door:
    """A bot's listeners: payloads in, what Slack is answered out."""

    def __init__(self, pool: ThreadPoolExecutor, checking: float = 60) -> None:
        """For so many seconds Slack waits until a form is checked."""
        self.slack = Slack()
        self.accepted: list[Request] = []
        self.away = False
        self.homes: list[str] = []
        self.submit: Any = None
        team = Team(WebClient())
        team._id = "T0TEAM"
        guests = People(standings={"U0GUS": Standing.GUEST})
        given = needs(
            Needs,
            slack=self.slack,
            authority=authority(Environment("development"), people=guests),
            team=team,
            accept=self._accept,
            command="/gateway",
            checking=InTime(pool, checking, checking),
            accepting=InTime(pool, 60, 60),
            aside=pool,
        )
        store = SimpleNamespace(get=lambda name: None)
        deciding = needs(decisions.Needs, slack=self.slack, store=store)
        form = needs(
            deploy.Needs,
            slack=self.slack,
            team=team,
            choices=SimpleNamespace(warm=dict, find=lambda source, text: ()),
            policies=SimpleNamespace(freezes=lambda ref: ()),
            caches={},
            command="/gateway",
        )
        # A verb whose form is checked as a test wants.
        checked = replace(
            status.VERB.bound(needs(status.Needs)),
            verb=replace(status.VERB, name="checked", modal="slow", synonyms=()),
            submit=lambda sent: self.submit(sent),
        )
        self.app = Listeners(
            given,
            [status.VERB.bound(needs(status.Needs)), deploy.VERB.bound(form), checked],
            decisions.CLICKS,
            {name: partial(does, deciding) for name, does in decisions.OPENS.items()},
            {denial.CALLBACK: decisions.reason_given},
            self.homes.append,
        )

    def _accept(self, request: Request) -> None:
        if self.away:
            raise Unavailable("Redis cannot be used now.")
        self.accepted.append(request)

    def sends(self, **body: Any) -> BoltResponse:
        """What Slack is answered."""
        team = {"team_id": "T0TEAM"} if "command" in body else {"team": {"id": "T0TEAM"}}
        return self.app.dispatch(BoltRequest(body={**team, **body}, mode="socket_mode"))

    def clicks(self, name: str, user: str = "U1", **more: Any) -> BoltResponse:
        return self.sends(
            **{
                "type": "block_actions",
                "user": {"id": user, "team_id": "T0TEAM"},
                "channel": {"id": "C1"},
                "trigger_id": "t1",
                "actions": [{"action_id": name, "value": VALUE, "action_ts": "1.0"}],
                **more,
            }
        )

    def types(self, text: str, user: str = "U1", **more: Any) -> BoltResponse:
        return self.sends(
            command="/gateway", text=text, trigger_id="t1", user_id=user, channel_id="C1", **more
        )

    def fills(self, callback: str, value: str, **more: Any) -> BoltResponse:
        view = {
            "id": "V1", "hash": "h", "callback_id": callback, "private_metadata": METADATA,
            "state": {"values": {denial.REASON: {denial.REASON: {"value": value}}}},
            "blocks": [{"type": "input", "block_id": denial.REASON}], "type": "modal",
        }  # fmt: skip
        return self.sends(**{"type": "view_submission", "user": {"id": "U1"}, "view": view, **more})


@pytest.fixture
def door() -> Iterator[Door]:
    with ThreadPoolExecutor(2) as pool:
        yield Door(pool)


def test_links_in_a_command_are_read_as_they_were_typed(door: Door) -> None:
    door.types("status edge-1 <@U2|ben>")
    assert door.accepted == []
    door.types(
        "deploy edge-1 --to west/dev --tag 2.11.1 --reason=&lt;<https://a.io/1|a.io/1>&gt; "
        "--set apim.endpoint=<http://apim.contoso.net|apim.contoso.net>"
    )
    (request,) = door.accepted
    assert request.options["reason"] == "<a.io/1>"
    assert request.options["set"] == ["apim.endpoint=apim.contoso.net"]


def test_links_in_a_form_are_read_as_they_were_typed(door: Door) -> None:
    door.fills(denial.CALLBACK, "see <https://a.io/1|a.io/1>")
    (request,) = door.accepted
    assert form_of(request).values[denial.REASON][denial.REASON]["value"] == "see a.io/1"


@pytest.mark.parametrize("name", decisions.CLICKS)
def test_a_click_is_written_down_and_acked_and_nothing_else_is_asked_first(
    door: Door, name: str
) -> None:
    assert door.clicks(name, message={"ts": "1.5"}).status == 200
    assert door.clicks(name).status == 200
    first, again = door.accepted
    assert first.id == again.id, "one click delivered twice"
    click = click_of(first)
    assert (click.name, click.user, click.value) == (name, "U1", VALUE)
    assert click.message == {"ts": "1.5"}


@pytest.mark.parametrize("name", decisions.CLICKS)
def test_a_click_that_cannot_be_written_down_is_acked_and_told(door: Door, name: str) -> None:
    door.away = True
    assert door.clicks(name).status == 200
    (told,) = until(lambda: door.slack.told, "what is said")
    assert "Redis cannot be used" in told["text"]


def test_a_command_delivered_twice_opens_its_form_once_and_says_nothing_more(door: Door) -> None:
    assert door.types("deploy").status == 200
    until(lambda: door.slack.opened, "the form")
    door.slack.refusal = "exchanged_trigger_id"
    assert door.types("deploy").status == 200
    until(lambda: door.slack.asked == 2, "the form to be asked for again")
    door.slack.refusal = "expired_trigger_id"
    assert door.types("deploy").status == 200
    (told,) = until(lambda: door.slack.told, "what is said of the third")
    assert told["text"] == "Slack did not open that. Please try again."


def offered(answer: BoltResponse) -> Any:
    """The button with the command that was meant."""
    (row,) = [b for b in json.loads(answer.body)["blocks"] if b["type"] == "actions"]
    (button,) = row["elements"]
    return button


def presses(door: Door, button: Any, at: str = "1000.5", **more: Any) -> BoltResponse:
    action = {**button, "action_ts": at}
    container = {"channel_id": "C1", "message_ts": "7.0", "is_ephemeral": True}
    return door.clicks(button["action_id"], actions=[action], container=container, **more)


def test_a_command_with_a_wrong_word_is_run_as_it_was_meant_by_a_button_once(door: Door) -> None:
    button = offered(door.types("statsu edge-1 --watch"))
    assert (button["text"]["text"], door.accepted) == ("Run it", [])
    for at in ("1000.5", "1001.5", "1060.5"):
        assert presses(door, button, at, response_url="https://r").status == 200
    one, again, later = door.accepted
    assert (one.verb, one.gateway, one.options) == ("status", "edge-1", {"watch": True})
    assert (one.user, one.channel, one.response_url) == ("U1", "C1", "https://r")
    assert one.id == again.id, "so that the inbox takes a double click once"
    assert later.id != one.id, "so that what did not succeed can be tried again"


def test_a_form_that_was_meant_is_opened_by_the_button(door: Door) -> None:
    presses(door, offered(door.types("delpoy")))
    until(lambda: door.slack.opened == ["t1"], "the form")


def test_what_is_wrong_still_with_the_command_that_was_meant_is_told(door: Door) -> None:
    presses(door, offered(door.types("delpoy edge-1 --replicas many")))
    (told,) = until(lambda: door.slack.told, "what is said")
    assert "is not a number" in told["text"]


def test_a_fault_while_a_form_is_filled_is_told(door: Door) -> None:
    door.slack.filling_fails = True
    assert door.types("deploy").status == 200
    (told,) = until(lambda: door.slack.told, "what is said")
    assert "inside the bot" in told["text"]


def test_a_modal_is_opened_for_nobody_who_may_see_nothing(door: Door) -> None:
    door.types("deploy", user="U0GUS")
    door.clicks("open_deploy", user="U0GUS")
    until(lambda: len(door.slack.told) == 2, "both refusals")
    assert all("You are a guest in this workspace" in each["text"] for each in door.slack.told)
    assert door.slack.opened == []


def test_a_denial_is_acked_before_anybody_is_asked_whether_it_counts(door: Door) -> None:
    assert door.fills(denial.CALLBACK, "no").status == 200
    assert door.fills(denial.CALLBACK, "no").status == 200
    first, again = door.accepted
    assert first.id == again.id
    assert first.channel == "C1"
    assert form_of(first).values[denial.REASON][denial.REASON]["value"] == "no"


def test_a_denial_without_a_reason_stays_in_its_form(door: Door) -> None:
    answer = door.fills(denial.CALLBACK, "  ")
    assert json.loads(answer.body)["errors"][denial.REASON].startswith("A reason is required.")
    assert door.accepted == []


def test_the_home_tab_is_acked_and_drawn(door: Door) -> None:
    event = {"type": "app_home_opened", "user": "U1", "tab": "home"}
    assert door.sends(type="event_callback", event=event).status == 200
    until(lambda: door.homes == ["U1"])


def test_slack_may_look_whether_somebody_is_there(door: Door) -> None:
    asked = door.sends(type="url_verification", challenge="c")
    assert json.loads(asked.body) == {"challenge": "c"}
    assert door.sends(ssl_check="1").status == 200


def test_a_form_that_no_verb_has_is_not_acked_so_that_its_sender_sees_it(door: Door) -> None:
    assert door.fills("gone", "x").status == 404


OPTION = {"text": {"type": "plain_text", "text": "Show"}, "value": "new x"}


@pytest.mark.parametrize(
    "element",
    [
        {"type": "button", "action_id": "new", "value": "x"},
        {"type": "overflow", "action_id": "new_menu", "selected_option": OPTION},
    ],
)
def test_a_button_of_another_version_is_acked_and_said_to_be_one(
    door: Door, element: dict[str, Any]
) -> None:
    action = {**element, "action_ts": "1.0"}
    assert door.clicks("new", actions=[action]).status == 200
    (told,) = until(lambda: door.slack.told, "what is said")
    assert (told["user"], told["channel"]) == ("U1", "C1")
    assert told["text"] == "Another version of the bot drew this button. Try again in a minute."
    assert door.accepted == []


@pytest.mark.parametrize(
    "element",
    [
        {"type": "button", "action_id": "portal", "value": "west/dev/edge-1"},
        {"type": "button", "action_id": "docs", "url": "https://learn.microsoft.com"},
        {"type": "static_select", "action_id": "choice", "selected_option": OPTION},
        {"type": "radio_buttons", "action_id": "duration", "selected_option": OPTION},
    ],
)
def test_a_link_and_what_is_chosen_in_a_form_need_the_ack_alone(
    element: dict[str, Any],
) -> None:
    with ThreadPoolExecutor(2) as pool:
        door = Door(pool)
        assert door.clicks("", actions=[{**element, "action_ts": "1.0"}]).status == 200
    assert (door.slack.told, door.accepted) == ([], [])


def test_what_no_listener_expected_is_no_ack_and_stands_in_the_log(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    door.submit = lambda sent: 1 / 0
    assert door.fills("slow", "secret words").status == 500
    (record,) = caplog.records
    assert record.exc_info
    assert "secret words" not in caplog.text


def test_a_form_sent_again_with_other_values_is_another_one(door: Door) -> None:
    door.fills(denial.CALLBACK, "no")
    door.fills(denial.CALLBACK, "not now")
    first, again = door.accepted
    assert first.id != again.id


def test_what_is_wrong_in_a_form_stays_in_it_where_that_is_known_in_time(door: Door) -> None:
    def refuse(sent: Submission) -> Request:
        raise Unavailable("Azure does not answer.")

    door.submit = refuse
    answer = door.fills("slow", "x")
    assert json.loads(answer.body)["errors"][denial.REASON].startswith("Azure does not answer.")
    assert door.accepted == []


def test_a_form_that_is_long_in_checking_closes_and_is_checked_later() -> None:
    go = threading.Event()

    def check(sent: Submission) -> Request:
        go.wait(60)
        return Request("r1", "status", "U1", "C1")

    with ThreadPoolExecutor(2) as pool:
        door = Door(pool, checking=0.2)
        door.submit = check
        try:
            assert door.fills("slow", "x").status == 200
            (waits,) = door.accepted
            assert form_of(waits).name == "slow"
        finally:
            go.set()


def test_what_was_sent_to_another_workspaces_bot_is_answered_and_let_in_nowhere(
    door: Door,
) -> None:
    other: dict[str, Any] = {"team": {"id": "T9OTHER"}, "user": {"id": "U9", "team_id": "T9OTHER"}}
    told = door.types("status", team_id="T9OTHER")
    assert told.status == 200
    assert "Only members of the workspace that this bot belongs to" in told.body
    assert door.clicks("action_approve", **other).status == 200
    filled = door.fills(denial.CALLBACK, "no", **other)
    assert "Only members" in json.loads(filled.body)["errors"][denial.REASON]
    asked = door.sends(type="block_suggestion", action_id="tag", value="2", **other)
    assert json.loads(asked.body) == {"options": []}
    assert door.accepted == []


def says(door: Door, text: str, **event: Any) -> BoltResponse:
    """Somebody mentions the bot, or writes to it where the event says so."""
    said = {"type": "app_mention", "user": "U1", "channel": "C1", "ts": "5.1", "text": text}
    return door.sends(
        type="event_callback",
        event={**said, **event},
        authorizations=[{"team_id": "T0TEAM", "user_id": "U0BOT", "is_bot": True}],
    )


def test_a_mention_is_acked_once_it_is_safe_and_asks_what_a_command_would(door: Door) -> None:
    assert says(door, "<@U0BOT> status edge-1").status == 200
    (request,) = door.accepted
    assert (request.verb, request.gateway) == ("status", "edge-1")
    assert (request.said, request.thread, request.channel) == (True, "5.1", "C1")


def test_a_mention_that_is_delivered_again_is_the_same_request(door: Door) -> None:
    for _ in range(2):
        says(door, "<@U0BOT> status edge-1")
    assert len({request.id for request in door.accepted}) == 1


@pytest.mark.parametrize("text", ["sttatus edge-1", "help status", "deploy edge-1", "", "hello"])
def test_what_is_no_complete_command_is_answered_durably_too(door: Door, text: str) -> None:
    says(door, f"<@U0BOT> {text}")
    (request,) = door.accepted
    assert (request.verb, request.options) == ("said", {"text": text})


def test_the_bot_stays_out_of_sentences_about_it(door: Door) -> None:
    assert says(door, "thanks <@U0BOT> you are great").status == 200
    assert says(door, "status?", type="message", channel_type="channel").status == 200
    assert door.accepted == []
    says(door, "please <@U0BOT> status edge-1")
    assert [request.gateway for request in door.accepted] == ["edge-1"]


@pytest.mark.parametrize(("thread", "shown_in"), [({}, None), ({"thread_ts": "4.0"}, "4.0")])
def test_whoever_cannot_be_heard_learns_it_where_slack_shows_it_to_one_person(
    door: Door, thread: dict[str, str], shown_in: str | None
) -> None:
    door.away = True
    assert says(door, "<@U0BOT> status", **thread).status == 200
    (told,) = until(lambda: door.slack.told, "what is said")
    # In a thread that nobody has begun Slack shows it to nobody.
    assert (told["channel"], told.get("thread_ts")) == ("C1", shown_in)
