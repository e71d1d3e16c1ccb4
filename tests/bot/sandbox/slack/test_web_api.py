"""Tokens, scopes, look-ups and conversations of the Web API."""

import dataclasses
import email.utils
import time
from typing import Any

import pytest
import requests
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from tests.support.slack_bots import web_client
from tests.support.slack_workspace import (
    ANA,
    APP_TOKEN,
    BEN,
    BOT,
    BOT_TOKEN,
    DAN,
    ELSEWHERE,
    OPS,
    SECRETS,
    Person,
    app_config,
    running,
    workspace,
)


def refusal(call: Any, *args: Any, **kwargs: Any) -> Any:
    """The error's body."""
    with pytest.raises(SlackApiError) as caught:
        call(*args, **kwargs)
    return caught.value.response.data


@pytest.mark.parametrize(
    ("method", "token", "error"),
    [
        ("auth.test", None, "not_authed"),
        ("auth.test", "xoxb-wrong", "invalid_auth"),
        ("auth.test", APP_TOKEN, "not_allowed_token_type"),
        ("chat.postMessage", APP_TOKEN, "not_allowed_token_type"),
        ("apps.connections.open", BOT_TOKEN, "not_allowed_token_type"),
        ("nonsense.method", BOT_TOKEN, "unknown_method"),
        ("chat.postMessage", BOT_TOKEN, "invalid_arguments"),
    ],
)
def test_a_call_is_refused_by_name(
    person: Person, method: str, token: str | None, error: str
) -> None:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    reply = requests.post(f"{person.slack.api_url}{method}", headers=headers, timeout=30)
    assert reply.status_code == 200
    assert reply.json()["ok"] is False
    assert reply.json()["error"] == error


def test_an_app_level_token_without_its_scope_opens_no_connection() -> None:
    app = dataclasses.replace(app_config(), app_token_scopes=())
    with running(workspace(app)) as person:
        headers = {"Authorization": f"Bearer {APP_TOKEN}"}
        url = f"{person.slack.api_url}apps.connections.open"
        body = requests.post(url, headers=headers, timeout=30).json()
    assert (body["error"], body["needed"]) == ("missing_scope", "connections:write")


def test_answers_are_dated_by_slacks_own_clock(person: Person) -> None:
    person.call(lambda: person.slack.faults.set("clock", "3 minutes ahead"))
    answer = requests.get(f"{person.slack.api_url}api.test", timeout=30)
    told = email.utils.parsedate_to_datetime(answer.headers["Date"]).timestamp()
    assert 100 < told - time.time() < 200


def test_a_missing_scope_is_named() -> None:
    with running(workspace(app_config(scopes=["commands", "users:read"]))) as person:
        body = refusal(web_client(person.slack).chat_postMessage, channel=OPS, text="x")
    assert body == {
        "ok": False,
        "error": "missing_scope",
        "needed": "chat:write",
        "provided": "commands,users:read",
    }


def test_arguments_may_come_as_json_form_or_query_and_the_token_as_an_argument(
    person: Person,
) -> None:
    url = f"{person.slack.api_url}users.info"
    bearer = {"Authorization": f"Bearer {BOT_TOKEN}"}
    for reply in (
        requests.post(url, json={"user": ANA}, headers=bearer, timeout=30),
        requests.post(url, data={"user": ANA, "token": BOT_TOKEN}, timeout=30),
        requests.post(url, files={"user": (None, ANA)}, headers=bearer, timeout=30),
        requests.get(url, params={"user": ANA}, headers=bearer, timeout=30),
    ):
        assert reply.json()["user"]["name"] == "ana"
    broken = requests.post(
        url, data=b"{", headers={**bearer, "Content-Type": "application/json"}, timeout=30
    )
    assert broken.json()["error"] == "invalid_json"


def test_auth_test_says_who_the_bot_is(client: WebClient) -> None:
    reply = client.auth_test()
    assert (reply["user_id"], reply["bot_id"], reply["team_id"]) == (BOT, "B0BOT", "T0TEAM")
    assert "chat:write" in reply.headers["x-oauth-scopes"]


def test_people_are_found_by_id_and_email(client: WebClient) -> None:
    ana = client.users_info(user=ANA)["user"]
    assert ana["real_name"] == "Ana Diaz"
    assert ana["profile"]["email"] == "ana@contoso.com"
    assert ana["tz"] == "Europe/Madrid"
    assert client.users_lookupByEmail(email="BEN@contoso.com")["user"]["id"] == BEN
    assert refusal(client.users_info, user="U9")["error"] == "user_not_found"
    assert refusal(client.users_lookupByEmail, email="x@y.z")["error"] == "users_not_found"
    assert {u["id"] for u in client.users_list()["members"]} == {ANA, BEN, DAN, BOT}


def test_user_groups_list_their_members_as_they_are_now(person: Person, client: WebClient) -> None:
    [group] = client.usergroups_list(include_users=True)["usergroups"]
    assert (group["handle"], group["users"]) == ("gateway-approvers", [BEN])
    person.post("usergroup", usergroup="gateway-approvers", users=["dan"])
    assert client.usergroups_users_list(usergroup="S0APP")["users"] == [DAN]
    assert refusal(client.usergroups_users_list, usergroup="S9")["error"] == "no_such_subteam"


def test_a_private_channel_without_the_bot_is_not_there(person: Person, client: WebClient) -> None:
    assert client.conversations_info(channel=SECRETS)["channel"]["is_private"] is True
    person.post("members", channel="secret", user=BOT, member=False)
    assert refusal(client.conversations_info, channel=SECRETS)["error"] == "channel_not_found"
    assert refusal(client.chat_postMessage, channel=SECRETS, text="x")["error"] == (
        "channel_not_found"
    )


def test_the_bot_posts_only_where_it_is_a_member(person: Person, client: WebClient) -> None:
    assert refusal(client.chat_postMessage, channel=ELSEWHERE, text="x")["error"] == (
        "not_in_channel"
    )
    assert refusal(client.conversations_join, channel=ELSEWHERE)["error"] == "missing_scope"
    person.post("members", channel="elsewhere", user=BOT, member=True)
    assert client.chat_postMessage(channel="#elsewhere", text="x")["channel"] == ELSEWHERE


def test_conversations_are_listed_by_type_in_pages(client: WebClient) -> None:
    first = client.conversations_list(types="public_channel,private_channel", limit=2)
    assert [c["id"] for c in first["channels"]] == [OPS, SECRETS]
    cursor = first["response_metadata"]["next_cursor"]
    rest = client.conversations_list(types="public_channel,private_channel", limit=2, cursor=cursor)
    assert [c["id"] for c in rest["channels"]] == [ELSEWHERE]
    assert rest["response_metadata"]["next_cursor"] == ""
    mine = client.users_conversations(types="public_channel")["channels"]
    assert [c["id"] for c in mine] == [OPS]
    assert BOT in client.conversations_members(channel=OPS)["members"]


def test_a_direct_conversation_opens_once(person: Person, client: WebClient) -> None:
    opened = client.conversations_open(users=[ANA])["channel"]["id"]
    assert client.conversations_open(users=ANA)["channel"]["id"] == opened
    assert client.chat_postMessage(channel=ANA, text="hi")["channel"] == opened
    assert [m["text"] for m in person.messages("@ana")] == ["hi"]
    assert refusal(client.conversations_open, users=["U9"])["error"] == "user_not_found"


def test_reactions_pins_and_team_are_kept(person: Person, client: WebClient) -> None:
    ts = client.chat_postMessage(channel=OPS, text="x")["ts"]
    client.reactions_add(channel=OPS, timestamp=ts, name="eyes")
    assert refusal(client.reactions_add, channel=OPS, timestamp=ts, name="eyes")["error"] == (
        "already_reacted"
    )
    assert person.messages()[0]["reactions"] == [{"name": "eyes", "users": [BOT], "count": 1}]
    client.reactions_remove(channel=OPS, timestamp=ts, name="eyes")
    assert "reactions" not in person.messages()[0]
    client.pins_add(channel=OPS, timestamp=ts)
    assert client.conversations_history(channel=OPS)["pin_count"] == 1
    assert client.team_info()["team"]["name"] == "Contoso"
    assert client.bots_info(bot="B0BOT")["bot"]["name"] == "Gateway Ops"
    assert client.api_test(foo="bar")["args"] == {"foo": "bar"}
