"""Whatever a call of Slack's client raises is known to be a failure, and what it means."""

import socket
import threading

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.web import SlackResponse

from handlers.slack.api_errors import FAILURES, Meaning, meaning, no_such_group, trouble


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
        b"nonsense\r\n\r\n",
        b"",
    ],
)
def test_an_answer_that_breaks_off_anywhere_leaves_it_open_what_was_done(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def breaks_off() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.recv(65536)
                peer.sendall(answer)

        threading.Thread(target=breaks_off, daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/api/"
        client = WebClient("xoxb-1", base_url=url, timeout=10, retry_handlers=[])
        with pytest.raises(FAILURES) as raised:
            client.chat_postMessage(channel="C1", text="hello")
    assert meaning(raised.value) is Meaning.UNSURE


def refusal(error: str) -> SlackApiError:
    data = {"ok": False, "error": error}
    return SlackApiError("refused", SlackResponse(client=None, http_verb="POST", api_url="",
                         req_args={}, data=data, headers={}, status_code=200))  # fmt: skip


@pytest.mark.parametrize(
    ("error", "said", "remedy"),
    [
        ("invalid_auth", "the token is wrong", "Copy it"),
        ("account_inactive", "was removed from the workspace", "Install the app again"),
        ("token_revoked", "the token was revoked", "Install the app again"),
        ("not_allowed_token_type", "of another kind", "xapp-"),
        ("missing_scope", "missing_scope", "docs/slack-app-manifest.yaml"),
    ],
)
def test_a_token_that_slack_refuses_is_not_to_be_tried_again(
    error: str, said: str, remedy: str
) -> None:
    found = trouble(refusal(error))
    assert found.lasts
    assert said in found.what
    assert error in found.what
    assert remedy in found.remedy
    assert "minute" not in found.remedy


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        ("no_such_subteam", "Correct the ID of the user group"),
        ("user_not_found", "Check the ID of that person."),
        ("user_not_visible", "Check the ID of that person."),
        ("is_archived", "Restore the channel"),
        ("channel_not_found", "Look this error up"),
        ("invalid_blocks", "Look this error up"),
        ("an_error_of_tomorrow", "Look this error up"),
    ],
)
def test_what_slack_refuses_for_good_is_not_to_be_tried_again(error: str, remedy: str) -> None:
    found = trouble(refusal(error))
    assert found.lasts
    assert found.what == error
    assert remedy in found.remedy
    assert "minute" not in found.remedy


@pytest.mark.parametrize(("error", "it_is"), [("no_such_subteam", True), ("user_not_found", False)])
def test_a_user_group_that_does_not_exist_is_told_apart(error: str, it_is: bool) -> None:
    assert no_such_group(refusal(error)) is it_is
    assert meaning(refusal("no_such_subteam")) is Meaning.ABSENT


def test_a_limit_is_over_in_a_minute() -> None:
    found = trouble(refusal("ratelimited"))
    assert (found.what, found.lasts) == ("ratelimited", False)
    assert found.remedy == "Try again in a minute."


def test_an_address_that_leads_nowhere_is_named_by_its_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    client = WebClient(token="xoxb-1", base_url="http://nowhere.invalid/api/", timeout=5)
    with pytest.raises(FAILURES) as failed:
        client.auth_test()
    found = trouble(failed.value, client.base_url)
    assert found.what == "its host name cannot be resolved"
    assert "slack.api_url" in found.remedy
    assert found.lasts
