"""The manifest of the Slack app."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.install.slack_app import SCOPES, address, print_slack_manifest, slack_manifest
from deploy.errors import InvalidInput
from tests.support.processes import ROOT

URL = "https://bot.example.com/slack/events"


def urls(manifest: dict[str, Any]) -> list[Any]:
    settings = manifest["settings"]
    return [
        manifest["features"]["slash_commands"][0].get("url"),
        settings["interactivity"].get("request_url"),
        settings["interactivity"].get("message_menu_options_url"),
        settings["event_subscriptions"].get("request_url"),
    ]


def test_the_documented_manifest_is_the_one_that_is_printed() -> None:
    page = (ROOT / "docs" / "slack-app-manifest.yaml").read_text(encoding="utf-8")
    assert page == slack_manifest("/gateway")


def test_http_mode_has_all_four_urls_and_socket_mode_none() -> None:
    http, socket = (yaml.safe_load(slack_manifest("/gateway", url)) for url in (URL, None))
    assert urls(http) == [URL] * 4
    assert urls(socket) == [None] * 4
    assert not http["settings"]["socket_mode_enabled"]
    assert socket["settings"]["socket_mode_enabled"]


def test_it_asks_for_every_scope_that_check_looks_for_once() -> None:
    scopes = yaml.safe_load(slack_manifest("/gateway"))["oauth_config"]["scopes"]["bot"]
    assert scopes == [scope.name for _, some in SCOPES for scope in some]
    assert len(scopes) == len(set(scopes))


def test_command_and_path_are_those_of_the_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "gateway-bot.yaml"
    config.write_text(
        "slack: {mode: http, command: /gw, http: {path: /deliver}}\n"
        "apim: [{name: a, subscription: s, resource_group: r, service: a}]\n"
        "clusters: [{name: west}]\nenvironments: [{name: development}]\n"
    )
    assert print_slack_manifest(config, None, "https://bot.example.com") == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    assert urls(printed) == ["https://bot.example.com/deliver"] * 4
    assert printed["features"]["slash_commands"][0]["command"] == "/gw"


def test_a_path_that_is_given_is_kept() -> None:
    assert address("https://bot.example.com/", "/slack/events") == URL
    assert address("https://bot.example.com/bots/1", "/slack/events").endswith("/bots/1")


@pytest.mark.parametrize(
    ("mode", "url", "why"),
    [
        ("http", None, "--url https://YOUR-HOST"),
        ("http", "http://bot.example.com", "begins with https://"),
        ("http", "https://bot.example.com/\nx: y", "begins with https://"),
        ("socket", URL, "--mode http"),
    ],
)
def test_an_address_that_slack_cannot_deliver_to_is_refused(
    mode: str, url: str | None, why: str
) -> None:
    with pytest.raises(InvalidInput, match=why):
        print_slack_manifest(None, mode, url)
