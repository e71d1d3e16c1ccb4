import pytest
from slack_sdk import WebClient
from slack_sdk.web import SlackResponse

from handlers.slack.own_command import OwnCommandClient, command_of, renamed
from handlers.views.text import context


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Did you mean `/gateway status edge-1`?", "Did you mean `/apim status edge-1`?"),
        ("Volumes: `/gateway` → `/data`", None),
        ("```2026-11-30 GET /gateway 200\nGET /gateway list```", None),
        ("path: /gateway # the gateway's", None),
        ("mcr.microsoft.com/azure-api-management/gateway has no tag", None),
        ("mcr.microsoft.com/gateway status", None),
        ("/gateways of contoso", None),
    ],
)
def test_the_command_is_called_as_the_installation_calls_it(text: str, shown: str | None) -> None:
    assert renamed(text, "/apim") == (shown or text)
    assert renamed(text, "/gateway") == text


def test_blocks_too_name_the_installation_s_own_command() -> None:
    assert renamed([context("`/gateway list`")], "/apim") == [context("`/apim list`")]


def test_whatever_a_client_sends_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = []

    def call(self: WebClient, *arguments: object, **named: object) -> SlackResponse:
        sent.append(named["json"])
        return SlackResponse(
            client=self,
            http_verb="POST",
            api_url="",
            req_args={},
            data={},
            headers={},
            status_code=200,
        )

    monkeypatch.setattr(WebClient, "api_call", call)
    client = OwnCommandClient("/apim", token="xoxb")
    client.chat_postMessage(channel="C1", text="`/gateway list`", blocks=[context("`/gateway ps`")])
    assert "/gateway" not in str(sent)
    assert str(sent).count("/apim") == 2
    assert (command_of(client), command_of(WebClient())) == ("/apim", "/gateway")
