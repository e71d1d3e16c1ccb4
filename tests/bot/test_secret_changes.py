"""A changed file of a secret is used without a restart, against real servers."""

import dataclasses
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import redis
import requests
from slack_sdk.errors import SlackApiError

from bot.clients import arm_client, instances_of, keyring_of, redis_of
from bot.event_grid import EventGrid
from bot.http_mode import HttpMode
from bot.log_lines import Mask
from bot.sandbox.registry import Registry as RegistryServer
from bot.sandbox.registry_accounts import Accounts
from bot.sandbox.valkey import Valkey
from bot.secret_changes import SecretChanges
from bot.settings import Secrets, Settings, secret_variables
from bot.wiring.outside import outside_of
from deploy.deadline import Deadline
from deploy.errors import Refused
from deploy.images.registry import Registry
from deploy.waits import Waits
from tests.bot.install.settings_of import USUAL, Obj, settings_of
from tests.deploy.expiry.test_event_grid import body, event
from tests.handlers.test_listeners import Door
from tests.support.azure import BOT, SUBSCRIPTION, TENANT, azure_bed
from tests.support.given_secrets import secrets_of
from tests.support.loops import running as serving
from tests.support.redis_servers import started
from tests.support.secret_mount import SecretMount
from tests.support.signed import command, headers_of, post
from tests.support.slack_workspace import BOT_TOKEN, running, workspace

GIVEN = {"SLACK_BOT_TOKEN": "xoxb-1-first", "SLACK_APP_TOKEN": "xapp-1-first"}
PATH = "mirror/gateway"
KUBECONFIG = """
clusters: [{name: west, cluster: {server: "https://127.0.0.1:9/"}}]
contexts: [{name: west, context: {cluster: west, user: u}}]
users: [{name: u, user: {token: t}}]
"""
"""Of a cluster that nobody asks."""


@pytest.fixture(autouse=True)
def _nothing_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in secret_variables():
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(f"{variable}_FILE", raising=False)


class Bed:
    """A Secret of the bot that is mounted, and what looks at it."""

    def __init__(
        self,
        directory: Path,
        monkeypatch: pytest.MonkeyPatch,
        values: dict[str, str],
        **settings: Any,
    ) -> None:
        self.mount = SecretMount(
            directory / "secret", **{**GIVEN, "REDIS_URL": "redis://h", **values}
        )
        for name, path in self.mount.environment.items():
            monkeypatch.setenv(name, path)
        self.settings: Settings = settings_of(**settings)
        self.secrets: Secrets = secrets_of(self.settings)
        self.mask = Mask()
        self._changes = SecretChanges(self.secrets, self.mask.hide)

    def change(self, **values: str) -> None:
        """The Secret has changed, and the bot has looked."""
        self.mount.change(**values)
        self.look()

    def look(self) -> None:
        self._changes.turn()


Made = Callable[..., Bed]


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    def make(values: dict[str, str] | None = None, **settings: Any) -> Bed:
        return Bed(tmp_path, monkeypatch, values or {}, **settings)

    return make


@pytest.fixture(autouse=True)
def _logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "bot")


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name == "bot.secret_changes"]


def test_a_secret_that_kubernetes_replaces_is_seen_and_logged_without_its_value(
    made: Made, caplog: pytest.LogCaptureFixture
) -> None:
    bed = made()
    bed.look()
    assert lines(caplog) == []
    bed.change(SLACK_BOT_TOKEN="xoxb-1-second")
    bed.look()
    assert lines(caplog) == ["SLACK_BOT_TOKEN has changed in its file. Calls of Slack use it."]
    assert bed.secrets.slack_bot_token.get_secret_value() == "xoxb-1-second"


def test_a_file_that_is_written_in_place_is_seen_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "token"
    file.write_text("xoxb-1-first")
    monkeypatch.setenv("SLACK_BOT_TOKEN_FILE", str(file))
    monkeypatch.setenv("SLACK_APP_TOKEN", "xapp-1-first")
    monkeypatch.setenv("REDIS_URL", "redis://h")
    secrets = secrets_of(settings_of())
    # As long as the first one, so that its size says nothing.
    file.write_text("xoxb-1-other")
    SecretChanges(secrets).turn()
    assert secrets.slack_bot_token.get_secret_value() == "xoxb-1-other"


def test_a_new_value_is_hidden_before_anybody_uses_it(made: Made) -> None:
    url = "redis://bot:{}@h:6379"
    bed = made({"REDIS_URL": url.format("a-first-password")})
    bed.change(SLACK_BOT_TOKEN="an-unusual-token", REDIS_URL=url.format("a-second-password"))
    shown = bed.mask("an-unusual-token and a-second-password")
    assert "unusual" not in shown
    assert "second" not in shown


@pytest.mark.parametrize("how", ["empty", "gone", "not text"])
def test_a_file_that_cannot_be_used_keeps_the_last_good_value_and_is_logged_once(
    how: str, made: Made, caplog: pytest.LogCaptureFixture
) -> None:
    bed = made()
    file = bed.mount.directory / "SLACK_BOT_TOKEN"
    file.unlink()
    if how != "gone":
        file.write_bytes(b"" if how == "empty" else b"\xff\xfe")
    bed.look()
    bed.look()
    (line,) = lines(caplog)
    assert line.startswith("SLACK_BOT_TOKEN_FILE: the file ")
    assert line.endswith("The bot continues with the previous value.")
    assert bed.secrets.slack_bot_token.get_secret_value() == "xoxb-1-first"
    file.unlink(missing_ok=True)
    file.write_text("xoxb-1-second")
    bed.look()
    assert bed.secrets.slack_bot_token.get_secret_value() == "xoxb-1-second"


URL = "redis://bot:first-password@h:6379"
KEPT: dict[str, tuple[str, str, str, str]] = {
    "another Redis": (
        "REDIS_URL", URL, URL.replace("@h", "@other"),
        "It names another Redis or other options. Restart the bot to use it.",
    ),
    "no password": (
        "REDIS_URL", URL, "redis://h:6379",
        "Only one of the previous and the new URL has a password. Restart the bot to use it.",
    ),
    "nothing that Redis knows": (
        "REDIS_URL", URL, "http://bot:other-password@h",
        "The Redis URL is of no known kind. The bot continues with the previous value.",
    ),
    "the audit trail's key": (
        "GATEWAY_BOT_AUDIT_KEY", "a-first-key", "a-second-key", "Restart the bot to use it.",
    ),
    "a short secret": (
        "EVENT_GRID_SECRET", "sixteen characters", "too short",
        "It has fewer than 16 characters, so it could be guessed. The bot continues with the previous value.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", KEPT)
def test_what_needs_a_restart_or_is_wrong_is_logged_once_and_not_used(
    name: str, made: Made, caplog: pytest.LogCaptureFixture
) -> None:
    variable, first, second, words = KEPT[name]
    bed = made({variable: first})
    before = known(bed.secrets)
    bed.change(**{variable: second})
    bed.look()
    assert lines(caplog) == [f"{variable} has changed in its file. {words}"]
    assert known(bed.secrets) == before


def known(secrets: Secrets) -> list[str]:
    return [value.get_secret_value() for value in vars(secrets).values() if value is not None]


def test_a_key_that_the_secret_does_not_have_counts_as_not_given(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    bed = made()
    missing = bed.mount.directory / "GATEWAY_BOT_AUDIT_KEY"
    monkeypatch.setenv("GATEWAY_BOT_AUDIT_KEY_FILE", str(missing))
    assert secrets_of(bed.settings).audit_key is None


@pytest.fixture
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path_factory.mktemp("valkey"))


def test_redis_is_signed_in_to_with_a_password_that_has_changed(
    made: Made, valkey: Valkey, caplog: pytest.LogCaptureFixture
) -> None:
    admin = redis.Redis(unix_socket_path=valkey.url.removeprefix("unix://"))

    def may_sign_in(password: str) -> None:
        admin.execute_command("ACL", "SETUSER", "bot", "reset", "on", f">{password}", "~*", "+@all")

    def url(password: str) -> str:
        return valkey.url.replace("unix://", f"unix://bot:{password}@")

    may_sign_in("the-first-one")
    bed = made({"REDIS_URL": url("the-first-one")})
    client = redis_of(bed.settings, bed.secrets)(retries=0)
    assert client.acl_whoami() == "bot"
    may_sign_in("the-second-one")
    assert client.ping(), "a connection stays signed in"
    client.connection_pool.disconnect()
    with pytest.raises(redis.AuthenticationError):
        client.ping()
    bed.change(REDIS_URL=url("the-second-one"))
    assert client.acl_whoami() == "bot"
    assert lines(caplog) == [
        "REDIS_URL has changed in its file. New connections to Redis sign in with it."
    ]


def test_slack_is_called_with_a_bot_token_that_has_changed(made: Made, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(KUBECONFIG)
    clusters = [{"name": "west", "context": "west", "kubeconfig": str(kubeconfig)}]
    with running(workspace()) as person:
        slack = {"api_url": person.slack.api_url}
        bed = made({"SLACK_BOT_TOKEN": BOT_TOKEN}, slack=slack, clusters=clusters)
        outside = outside_of(bed.settings, bed.secrets, Waits())
        assert outside.slack.auth_test()["ok"]
        rotate(person.slack, bot_token="xoxb-1-rotated")
        for client in (outside.slack, outside.posting):
            with pytest.raises(SlackApiError, match="invalid_auth"):
                client.auth_test()
        bed.change(SLACK_BOT_TOKEN="xoxb-1-rotated")
        for client in (outside.slack, outside.posting):
            assert client.auth_test()["ok"]


def rotate(slack: Any, **tokens: str) -> None:
    """As somebody who reinstalls the app does."""
    slack._state.app = dataclasses.replace(slack._state.app, **tokens)


def test_requests_are_proved_by_a_signing_secret_that_has_changed(made: Made) -> None:
    bed = made({"SLACK_SIGNING_SECRET": "the first one"}, slack={"mode": "http"})
    assert bed.secrets.slack_signing_secret is not None
    with ThreadPoolExecutor(4) as pool:
        secret = bed.secrets.slack_signing_secret.get_secret_value
        server = HttpMode(Door(pool).app, secret, host="127.0.0.1", port=0, path="/slack")
        server.start()
        url = f"http://127.0.0.1:{server.port}/slack"

        def answers(signed_with: str, trigger: str) -> int:
            sent = command("status", trigger)
            return post(url, sent, headers_of(sent, secret=signed_with)).status_code

        try:
            assert answers("the first one", "1") == 200
            assert answers("the second one", "2") == 401
            bed.change(SLACK_SIGNING_SECRET="the second one")
            assert answers("the second one", "3") == 200
            assert answers("the first one", "4") == 401
        finally:
            server.stop(Deadline.after(5))


def test_deliveries_of_event_grid_are_proved_by_a_secret_that_has_changed(made: Made) -> None:
    bed = made({"EVENT_GRID_SECRET": "the-first-of-these"}, event_grid={})
    assert bed.secrets.event_grid_secret is not None
    secret = bed.secrets.event_grid_secret.get_secret_value
    server = EventGrid("127.0.0.1", 0, "/event-grid", lambda event: None, secret=secret)
    server.start()

    def answers(key: str) -> int:
        url = f"http://127.0.0.1:{server.port}/event-grid?key={key}"
        return requests.post(url, data=body(event()), timeout=60).status_code

    try:
        assert answers("the-first-of-these") == 200
        bed.change(EVENT_GRID_SECRET="the-second-of-these")
        assert answers("the-first-of-these") == 401
        assert answers("the-second-of-these") == 200
    finally:
        server.stop(Deadline.after(5))


def test_azure_is_signed_in_to_with_a_client_secret_that_has_changed(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with azure_bed(tmp_path) as azure:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(azure.authority.ca_pem_path))
        place: Obj = {"client_id": BOT, "tenant_id": TENANT, "authority": azure.azure.url}
        bed = made(
            {"AZURE_CLIENT_SECRET": "one-that-has-ended"},
            azure={**place, "arm_endpoint": azure.azure.url},
            apim=[{**USUAL["apim"][0], "subscription": SUBSCRIPTION}],
        )
        arm = arm_client(bed.settings, bed.secrets, requests.Session())
        instance = instances_of(bed.settings)["contoso"]
        with pytest.raises(Refused):
            arm.list_gateways(instance)
        bed.change(AZURE_CLIENT_SECRET=f"{BOT}-secret")
        assert arm.list_gateways(instance)


def test_the_image_registry_is_signed_in_to_with_a_login_that_has_changed(made: Made) -> None:
    accounts = Accounts({"ana": "a-good-password", "ben": "another-password"})
    server = RegistryServer(repository=PATH, tags=("2.11.1",), accounts=accounts)
    with serving(server):
        bed = made(
            {"REGISTRY_USER": "ana", "REGISTRY_PASSWORD": "a-wrong-password"},
            images={"pull_from": f"{server.url.partition('://')[2]}/{PATH}"},
        )
        keyring = keyring_of(bed.settings, bed.secrets)
        read = Registry(
            requests.Session(), base_url=server.url, repository=PATH, keyring=keyring, patience=60
        )
        with pytest.raises(Refused, match="rejected the password of “ana”"):
            read.tags()
        bed.change(REGISTRY_USER="ben", REGISTRY_PASSWORD="another-password")
        assert read.tags() == ("2.11.1",)
