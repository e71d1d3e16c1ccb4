"""Secrets from files."""

import re
from pathlib import Path

import pytest

from bot.install.secret_needs import secret_needs
from bot.secret_files import given
from bot.settings import secret_variables
from deploy.errors import InvalidInput
from tests.bot.install.settings_of import CLIENT, Obj, settings_of
from tests.support.given_secrets import secrets_of

VALUES = {
    "SLACK_BOT_TOKEN": "xoxb-1",
    "SLACK_APP_TOKEN": "xapp-1",
    "AZURE_CLIENT_SECRET": "a-value",
    "SLACK_SIGNING_SECRET": "a-value",
    "EVENT_GRID_SECRET": "sixteen characters",
    "REDIS_URL": "redis://host",
}


@pytest.fixture(autouse=True)
def _nothing_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in secret_variables():
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(f"{variable}_FILE", raising=False)


@pytest.mark.parametrize("variable", sorted(secret_variables()))
def test_each_secret_can_be_in_a_file(variable: str, tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("  a secret\r\n \n")
    found = given([variable], {f"{variable}_FILE": str(path)})
    held = {name: file.get_secret_value() for name, file in found.from_files.items()}
    assert (held, found.problems) == ({variable: "a secret"}, ())


def test_the_bot_reads_its_secrets_from_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_as = {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1", "REDIS_URL": "redis://h"}
    for name, value in given_as.items():
        (tmp_path / name).write_text(f"{value}\n")
        monkeypatch.setenv(f"{name}_FILE", str(tmp_path / name))
    secrets = secrets_of(settings_of())
    assert secrets.slack_bot_token.get_secret_value() == "xoxb-1"
    assert secrets.redis_url is not None
    assert secrets.redis_url.get_secret_value() == "redis://h"


def test_a_secret_that_is_given_both_ways_is_refused_with_both_names(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("in the file")
    environment = {"SLACK_BOT_TOKEN": "in the variable", "SLACK_BOT_TOKEN_FILE": str(path)}
    (problem,) = given(["SLACK_BOT_TOKEN"], environment).problems
    assert "SLACK_BOT_TOKEN and SLACK_BOT_TOKEN_FILE are both set" in str(problem)
    assert "in the" not in str(problem)


@pytest.mark.parametrize(
    ("held", "why"),
    [
        (None, "cannot be read: No such file or directory"),
        (b" \n", "is empty"),
        (b"\xff\xfe", "is not text in UTF-8"),
        (b"x" * 70_000, "is too large"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_sentence(
    held: bytes | None, why: str, tmp_path: Path
) -> None:
    path = tmp_path / "secret"
    if held is not None:
        path.write_bytes(held)
    (problem,) = given(["REDIS_URL"], {"REDIS_URL_FILE": str(path)}).problems
    assert re.match(f"REDIS_URL_FILE: the file .*{why}", str(problem))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"slack": {"mode": "http"}},
        {"redis": {"url": "redis://host"}},
        {"azure": {"client_id": CLIENT, "tenant_id": CLIENT}},
        {"event_grid": {}},
        {"event_grid": {"entra": {"tenant_id": "t", "audience": "a"}}},
        {"images": {"pull_from": "registry.example/gateway"}},
    ],
    ids=str,
)
def test_the_secrets_that_an_installation_names_are_those_that_the_bot_needs(
    changes: Obj, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(**changes)
    needed = [need.variable for need in secret_needs(settings) if need.required]
    for variable in needed:
        monkeypatch.setenv(variable, VALUES[variable])
    secrets_of(settings)
    for variable in needed:
        with monkeypatch.context() as without:
            without.delenv(variable)
            with pytest.raises(InvalidInput, match=variable):
                secrets_of(settings)
    known = set(secret_variables())
    assert {need.variable for need in secret_needs(settings)} <= known
