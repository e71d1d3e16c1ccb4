"""The answers to what the bot calls have the keys that Slack's own have; what else Slack documents is
known by name."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from slack_sdk import WebClient

from tests.support.processes import ROOT
from tests.support.slack_blocks import button, modal, section
from tests.support.slack_bots import bolt_app, over_sockets
from tests.support.slack_workspace import ANA, APP_TOKEN, BOT_TOKEN, OPS, Person
from tests.support.waiting import until

JSON = dict[str, Any]
KEYS: dict[str, list[str]] = yaml.safe_load((ROOT / "tests/data/slack_keys.yaml").read_text())


@pytest.fixture
def answers(person: Person, client: WebClient, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """What the workspace answers to each method that the bot calls."""
    person.post("message", channel="gateway-ops", user="ana", text="hello <@U0BEN>")
    history = client.conversations_history(channel=OPS)
    blocks = [section("*hi*", accessory=button())]
    post = client.chat_postMessage(channel=OPS, text="a", blocks=blocks)
    client.chat_postMessage(channel=OPS, text="b", thread_ts=post["ts"])
    client.conversations_open(users=ANA)
    report = tmp_path / "report.txt"
    report.write_text("one\ntwo\n")
    upload: Any = client.files_getUploadURLExternal(filename="report.txt", length=8)
    requests.post(upload["upload_url"], data=report.read_bytes(), timeout=30)
    file = {"id": upload["file_id"], "title": "Report"}
    home = {"type": "home", "blocks": [section("*hi*")]}
    triggers: list[str] = []
    app = bolt_app(person.slack)

    @app.command("/gateway")
    def listen(ack: Any, body: JSON) -> None:
        triggers.append(body["trigger_id"])
        ack()

    with over_sockets(app, person.slack):
        person.command("status")
        until(lambda: triggers)
        shown = modal(close={"type": "plain_text", "text": "Back"})
        opened: Any = client.views_open(trigger_id=triggers[0], view=shown)
        yield {
            "auth.test": client.auth_test(),
            "chat.postMessage": post,
            "chat.update": client.chat_update(channel=OPS, ts=post["ts"], text="c", blocks=blocks),
            "chat.postEphemeral": client.chat_postEphemeral(channel=OPS, user=ANA, text="x"),
            "conversations.history": history,
            "conversations.open": client.conversations_open(users=ANA, return_im=True),
            "conversations.replies": client.conversations_replies(channel=OPS, ts=post["ts"]),
            "files.getUploadURLExternal": upload,
            "files.completeUploadExternal": client.files_completeUploadExternal(
                files=[file], channel_id=OPS
            ),
            "usergroups.users.list": client.usergroups_users_list(usergroup="S0APP"),
            "users.info": client.users_info(user=ANA),
            "views.open": opened,
            "views.update": client.views_update(view_id=opened["view"]["id"], view=shown),
            "views.publish": client.views_publish(user_id=ANA, view=home),
        }


def has(value: Any, path: str) -> bool:
    """Whether the key is there; of a list it is looked for in the first entry."""
    for name in path.split("."):
        if isinstance(value, list):
            value = value[0] if value else {}
        if not isinstance(value, dict) or name not in value:
            return False
        value = value[name]
    return True


def test_answers_have_the_keys_that_slacks_have(answers: dict[str, Any]) -> None:
    assert answers.keys() == KEYS.keys()
    lacking = {
        f"{method}: {path}"
        for method, paths in KEYS.items()
        for path in paths
        if not has(answers[method].data, path)
    }
    assert lacking == set()


def test_what_somebody_types_is_rich_text(person: Person, client: WebClient) -> None:
    text = (
        "<@U0BEN> see <https://example.com|this> in <#C0OPS> &amp; tell <!here> :tada: at 10:30:15"
    )
    person.post("message", channel="gateway-ops", user="ana", text=text)
    (block,) = client.conversations_history(channel=OPS)["messages"][0]["blocks"]
    assert block["type"] == "rich_text"
    assert block["elements"][0]["elements"] == [
        {"type": "user", "user_id": "U0BEN"},
        {"type": "text", "text": " see "},
        {"type": "link", "url": "https://example.com", "text": "this"},
        {"type": "text", "text": " in "},
        {"type": "channel", "channel_id": "C0OPS"},
        {"type": "text", "text": " & tell "},
        {"type": "broadcast", "range": "here"},
        {"type": "text", "text": " "},
        {"type": "emoji", "name": "tada"},
        {"type": "text", "text": " at 10:30:15"},
    ]


@pytest.mark.parametrize(
    ("method", "given", "error"),
    [
        ("search.messages", {}, "not_allowed_token_type"),
        ("admin.users.list", {}, "not_allowed_token_type"),
        ("rtm.connect", {}, "not_allowed_token_type"),
        ("usergroups.create", {}, "missing_scope"),
        ("chat.unfurl", {}, "missing_scope"),
        ("conversations.archive", {"channel": OPS}, "missing_scope"),
        ("conversations.setTopic", {"channel": OPS}, "missing_scope"),
        ("conversations.create", {"name": "new"}, "missing_scope"),
        ("files.upload", {}, "method_deprecated"),
        ("oauth.v2.access", {}, "invalid_client_id"),
        ("files.delete", {"file": "F0"}, "file_not_found"),
        ("blocks.validate", {}, "invalid_arguments"),
        ("blocks.validate", {"blocks": '[{"type":"section"}]'}, "invalid_blocks"),
        ("blocks.validate", {"blocks": '[{"type":"divider"}]'}, None),
        ("users.getPresence", {"user": ANA}, None),
        ("auth.teams.list", {}, None),
        ("auth.revoke", {"test": "1"}, None),
        ("chat.meMessage", {"channel": OPS, "text": "waves"}, None),
        ("files.list", {}, None),
        ("chat.postmessage", {}, "unknown_method"),
    ],
)
def test_a_documented_method_answers_as_slack_would(
    person: Person, method: str, given: JSON, error: str | None
) -> None:
    headers = {"Authorization": f"Bearer {BOT_TOKEN}"}
    url = f"{person.slack.api_url}{method}"
    answer = requests.post(url, data=given, headers=headers, timeout=30).json()
    assert answer.get("error") == error
    assert answer["ok"] is (error is None)
    if error == "missing_scope":
        assert answer["needed"]


def test_the_apps_own_token_is_of_no_use_for_other_methods(person: Person) -> None:
    headers = {"Authorization": f"Bearer {APP_TOKEN}"}
    answer = requests.post(f"{person.slack.api_url}emoji.list", headers=headers, timeout=30).json()
    assert answer["error"] == "not_allowed_token_type"
