"""Guests, deactivated people and people of another workspace, as Slack treats them."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from slack_bolt import App
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.sandbox.slack import Channel, SlackWorkspace, Team, User, UserGroup
from tests.support.slack_blocks import actions, button, modal, text_input
from tests.support.slack_bots import over_sockets
from tests.support.slack_workspace import (
    ANA,
    BEN,
    BOT,
    ELSEWHERE,
    OPS,
    SECRETS,
    Person,
    app_config,
    running,
)
from tests.support.waiting import until

JSON = dict[str, Any]
GUS, SOL, DEE, FAY = "U0GUS", "U0SOL", "U0DEE", "U0FAY"
FABRIKAM = Team("T0FABRIKAM", "Fabrikam", "fabrikam")
ONLY_OF_ACTIVE_PEOPLE = {
    *("real_name", "color", "tz", "tz_label", "tz_offset"),
    *("is_admin", "is_owner", "is_primary_owner", "is_restricted", "is_ultra_restricted"),
}


def mixed_workspace() -> SlackWorkspace:
    """Two members, two guests, somebody deactivated, and somebody of Fabrikam who is nowhere."""
    return SlackWorkspace(
        team={"id": "T0TEAM", "name": "Contoso", "domain": "contoso"},
        users=[
            User(ANA, "ana", "Ana Diaz"),
            User(BEN, "ben", "Ben Ong"),
            User(GUS, "gus", "Gus Haddad", is_restricted=True),
            User(SOL, "sol", "Sol Nyberg", is_ultra_restricted=True),
            User(DEE, "dee", "Dee Castell", email="dee@contoso.com", deleted=True),
            User(FAY, "fay", "Fay Novak", email="fay@fabrikam.example", home=FABRIKAM),
        ],
        usergroups=[UserGroup("S0APP", "gateway-approvers", "Approvers", (BEN, DEE))],
        channels=[
            Channel(OPS, "gateway-ops", members=(ANA, BEN, GUS, SOL, DEE, BOT)),
            Channel(SECRETS, "secret", is_private=True, members=(BEN, DEE, BOT)),
            Channel(ELSEWHERE, "elsewhere", members=(ANA, BEN, GUS, BOT)),
        ],
        app=app_config(),
    )


@pytest.fixture
def person() -> Iterator[Person]:
    with running(mixed_workspace()) as person:
        yield person


def account(client: WebClient, user: str) -> JSON:
    found: JSON = client.users_info(user=user)["user"]
    return found


def error(call: Any, **arguments: Any) -> str:
    with pytest.raises(SlackApiError) as caught:
        call(**arguments)
    return str(caught.value.response["error"])


def guest_flags(user: JSON) -> tuple[bool, bool]:
    return user["is_restricted"], user["is_ultra_restricted"]


@pytest.fixture
def payloads(person: Person, app: App) -> Iterator[list[JSON]]:
    """What reaches an app that answers `/gateway` and the button `go` with a form."""
    received: list[JSON] = []

    def form(ack: Any, body: JSON, client: WebClient) -> None:
        received.append(body)
        ack()
        client.views_open(trigger_id=body["trigger_id"], view=modal(text_input()))

    @app.view("deploy")
    def submitted(ack: Any, body: JSON) -> None:
        received.append(body)
        ack()

    @app.event("app_mention")
    def mentioned(body: JSON) -> None:
        received.append(body)

    app.command("/gateway")(form)
    app.action("go")(form)
    with over_sockets(app, person.slack):
        yield received


def test_a_guest_is_marked_and_one_of_a_single_channel_twice(client: WebClient) -> None:
    assert guest_flags(account(client, ANA)) == (False, False)
    assert guest_flags(account(client, GUS)) == (True, False)
    assert guest_flags(account(client, SOL)) == (True, True)


def test_a_guest_types_commands_where_they_are_a_member(
    person: Person, payloads: list[JSON]
) -> None:
    assert person.command("status", user="gus", channel="elsewhere") == {"ok": True}
    assert person.command("status", user="sol") == {"ok": True}
    assert [body["user_id"] for body in payloads] == [GUS, SOL]


def test_a_guest_sees_and_reaches_no_other_channel(person: Person, client: WebClient) -> None:
    client.chat_postMessage(channel=ELSEWHERE, text="not for guests of one channel")
    assert person.messages("elsewhere", user="gus") != []
    assert person.messages("elsewhere", user="sol") == []
    assert person.command(user="sol", channel="elsewhere")["error"] == "not_in_channel"
    said = person.post("message", channel="elsewhere", user="sol", text="hello?")
    assert said["error"] == "not_in_channel"


def test_a_guest_hears_only_their_channels(person: Person, client: WebClient) -> None:
    url = f"{person.slack.url}/_control/events"
    with requests.get(url, params={"user": "sol"}, stream=True, timeout=60) as stream:
        lines = stream.iter_lines(chunk_size=1)
        assert next(lines) == b": connected"
        client.chat_postMessage(channel=ELSEWHERE, text="elsewhere")
        client.chat_postMessage(channel=OPS, text="here")
        heard = next(json.loads(line[6:]) for line in lines if line.startswith(b"data: "))
    assert heard["message"]["text"] == "here"


def test_a_deactivated_account_lacks_what_only_active_ones_have(client: WebClient) -> None:
    dee = account(client, DEE)
    assert dee["deleted"] is True
    assert dee["profile"]["real_name"] == "Dee Castell"
    assert not set(dee) & ONLY_OF_ACTIVE_PEOPLE
    assert set(account(client, ANA)) >= ONLY_OF_ACTIVE_PEOPLE
    listed = {user["id"]: user for user in client.users_list()["members"]}
    assert listed[DEE] == dee


def test_a_deactivated_person_is_in_no_channel(client: WebClient) -> None:
    assert DEE not in client.conversations_members(channel=OPS)["members"]
    ops = client.conversations_info(channel=OPS, include_num_members=True)["channel"]
    assert ops["num_members"] == 5
    assert client.users_conversations(user=DEE)["channels"] == []
    refused = error(client.chat_postEphemeral, channel=OPS, user=DEE, text="psst")
    assert refused == "user_not_in_channel"


def test_a_deactivated_person_is_not_found_by_email_and_cannot_be_talked_to(
    client: WebClient,
) -> None:
    assert error(client.users_lookupByEmail, email="dee@contoso.com") == "users_not_found"
    assert error(client.conversations_open, users=DEE) == "user_disabled"
    # Slack takes the message and nobody reads it (python-slack-sdk#1156).
    assert client.chat_postMessage(channel=DEE, text="anybody there?")["ok"]


@pytest.mark.parametrize("include_disabled", [False, True])
def test_a_deactivated_person_stays_in_her_user_group(
    client: WebClient, include_disabled: bool
) -> None:
    answer = client.usergroups_users_list(usergroup="S0APP", include_disabled=include_disabled)
    assert answer["users"] == [BEN, DEE]


@pytest.mark.parametrize("channel", [OPS, SECRETS])
def test_a_click_from_before_a_deactivation_may_arrive_after_it(
    person: Person, client: WebClient, payloads: list[JSON], channel: str
) -> None:
    ts = client.chat_postMessage(channel=channel, text="x", blocks=[actions(button())])["ts"]
    person.post("person", user="ben", deleted=True)
    late = {"channel": channel, "messageTs": ts, "action": {"action_id": "go"}}
    assert person.post("interact", user="ben", **late) == {"ok": True}
    [click] = payloads
    assert (click["user"]["id"], click["channel"]["id"]) == (BEN, channel)
    assert account(client, BEN)["deleted"] is True


def test_a_form_that_was_open_at_a_deactivation_may_arrive_after_it(
    person: Person, payloads: list[JSON]
) -> None:
    person.command(user="ben")
    [form] = until(lambda: person.stack("ben"))
    person.post("person", user="ben", deleted=True)
    assert person.submit(form, {"name": {"name": {"value": "late"}}}, user="ben") == {"ok": True}
    assert [body.get("type") for body in payloads] == [None, "view_submission"]


def test_what_somebody_is_changes_between_two_look_ups(person: Person, client: WebClient) -> None:
    shown = person.post("person", user="ana", is_ultra_restricted=True)["user"]
    assert guest_flags(shown) == (True, True)
    assert guest_flags(account(client, ANA)) == (True, True)
    person.post("person", user="ana", is_restricted=False)
    assert guest_flags(account(client, ANA)) == (False, False)
    person.post("person", user="ana", is_restricted=True, deleted=True)
    assert "is_restricted" not in account(client, ANA)
    person.post("person", user="ana", deleted=False)
    assert guest_flags(account(client, ANA)) == (True, False)
    assert ANA in client.conversations_members(channel=OPS)["members"]


@pytest.mark.parametrize("given", [{}, {"deleted": "yes"}, {"is_restricted": None}, {"name": "x"}])
def test_a_change_that_names_no_kind_is_refused(person: Person, given: JSON) -> None:
    refused = person.post("person", user="ana", **given)
    assert (refused["ok"], refused["error"]) == (False, "invalid_arguments")
    assert "is_restricted, is_ultra_restricted, deleted" in refused["detail"]
    assert person.post("person", user="zoe", deleted=True)["error"] == "user_not_found"


def test_a_reset_undoes_changes_and_a_snapshot_keeps_them(person: Person) -> None:
    def kinds(of: Person) -> dict[str, tuple[bool, bool]]:
        users = of.get("state")["users"]
        return {u["name"]: (u["is_restricted"], u["deleted"]) for u in users if not u["is_bot"]}

    start = kinds(person)
    person.post("person", user="ana", is_restricted=True)
    person.post("person", user="dee", deleted=False)
    changed = kinds(person)
    assert (changed["ana"], changed["dee"]) == ((True, False), (False, False))
    saved = json.loads(json.dumps(person.call(person.slack.snapshot)))
    fresh = mixed_workspace()
    with running(fresh) as later:
        later.call(lambda: fresh.restore(saved))
        assert kinds(later) == changed
    person.post("reset")
    assert kinds(person) == start


def test_a_member_of_another_workspace_is_a_stranger_until_they_share_a_channel(
    person: Person, client: WebClient
) -> None:
    fay = account(client, FAY)
    assert (fay["team_id"], fay["profile"]["team"]) == (FABRIKAM.id, FABRIKAM.id)
    assert fay["is_stranger"] is True
    assert "is_stranger" not in account(client, ANA)
    assert client.conversations_info(channel=OPS)["channel"]["is_ext_shared"] is False
    person.post("members", channel=OPS, user="fay", member=True)
    assert account(client, FAY)["is_stranger"] is False
    shared = client.conversations_info(channel=OPS)["channel"]
    assert (shared["is_ext_shared"], shared["is_pending_ext_shared"]) == (True, False)
    assert shared["shared_team_ids"] == ["T0TEAM", FABRIKAM.id]
    assert FAY in client.conversations_members(channel=OPS)["members"]


def test_a_member_of_another_workspace_is_not_among_this_one_s_people(client: WebClient) -> None:
    assert FAY not in [user["id"] for user in client.users_list()["members"]]
    assert error(client.users_lookupByEmail, email="fay@fabrikam.example") == "users_not_found"


def test_a_member_of_another_workspace_has_no_commands_but_clicks_and_submits(
    person: Person, client: WebClient, payloads: list[JSON]
) -> None:
    person.post("members", channel=OPS, user="fay", member=True)
    assert person.command(user="fay")["error"] == "invalid_command"
    ts = client.chat_postMessage(channel=OPS, text="x", blocks=[actions(button())])["ts"]
    assert person.click(ts, "go", user="fay") == {"ok": True}
    [form] = until(lambda: person.stack("fay"))
    person.submit(form, {"name": {"name": {"value": "x"}}}, user="fay")
    click, submission = payloads
    assert (click["team"]["id"], click["user"]["team_id"]) == ("T0TEAM", FABRIKAM.id)
    assert submission["team"] == {"id": FABRIKAM.id, "domain": FABRIKAM.domain}
    assert submission["user"]["team_id"] == FABRIKAM.id
    assert submission["view"]["app_installed_team_id"] == "T0TEAM"


def test_a_message_of_another_workspace_says_whose_it_is(
    person: Person, payloads: list[JSON]
) -> None:
    person.post("members", channel=OPS, user="fay", member=True)
    for user in ("fay", "ana"):
        person.post("message", channel=OPS, user=user, text=f"<@{BOT}> hello")
    until(lambda: len(payloads) == 2)
    by_user = {body["event"]["user"]: body for body in payloads}
    assert {body["team_id"] for body in payloads} == {"T0TEAM"}
    assert all(body["is_ext_shared_channel"] for body in payloads)
    assert by_user[FAY]["event"]["user_team"] == FABRIKAM.id
    assert by_user[ANA]["event"].get("user_team", "T0TEAM") == "T0TEAM"
