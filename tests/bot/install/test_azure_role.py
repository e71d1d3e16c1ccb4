"""The role for Azure allows what the bot asks Azure for, and no more."""

import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bot.install.azure_role import commands, role
from tests.bot.install.settings_of import settings_of

READ = "Microsoft.ApiManagement/service/gateways/read"
TOKEN = "Microsoft.ApiManagement/service/gateways/generateToken/action"
KEY = "Microsoft.ApiManagement/service/gateways/regenerateKey/action"


@pytest.mark.parametrize(
    ("allowed", "actions"), [(False, [READ, TOKEN]), (True, [READ, TOKEN, KEY])]
)
def test_keys_may_be_regenerated_only_where_the_settings_allow_it(
    allowed: bool, actions: list[str]
) -> None:
    found = role(settings_of(rotation={"regenerate_keys": allowed}))
    assert found["Actions"] == actions
    assert found["DataActions"] == []
    assert not any("*" in action or "listKeys" in action for action in found["Actions"])


GROUP = "/subscriptions/s-1/resourceGroups/rg ö'1"


def calls_of(tmp_path: Path, exists_at: str) -> tuple[list[list[str]], dict[str, Any]]:
    """What the script asks `az` for where the role exists at such a scope, and the role."""
    one = {"name": "one", "subscription": "s-1", "resource_group": "rg ö'1", "service": "one"}
    two = {**one, "name": "two", "service": "two"}
    three = {**one, "name": "three", "resource_group": "rg-2"}
    settings = settings_of(apim=[one, two, three], azure={"cloud": "usgov"})
    said = tmp_path / "said"
    az = tmp_path / "az"
    az.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" >> {said}\necho end >> {said}\n'
        f'case "$*" in *" list "*{shlex.quote(exists_at)}) echo 5c1e-role;; esac\n'
    )
    az.chmod(0o755)
    script = "\n".join(commands(settings))
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "PRINCIPAL": "p-1"}
    subprocess.run(["sh", "-u"], input=script, text=True, check=True, env=env, timeout=60)
    calls = [call.split("\n") for call in said.read_text().split("\nend\n") if call]
    return calls, role(settings)


def test_it_is_assigned_on_each_instance_and_nowhere_above(tmp_path: Path) -> None:
    calls, made = calls_of(tmp_path, "nowhere")
    assert calls[0] == ["cloud", "set", "--name", "AzureUSGovernment"]
    second = "/subscriptions/s-1/resourceGroups/rg-2"
    assert [call[-1] for call in calls[1:3]] == made["AssignableScopes"] == [GROUP, second]
    assert calls[3][:3] == ["role", "definition", "create"]
    assert json.loads("\n".join(calls[3][4:])) == made
    assert [call[-1] for call in calls[4:]] == [
        f"{group}/providers/Microsoft.ApiManagement/service/{name}"
        for group, name in ((GROUP, "one"), (GROUP, "two"), (second, "one"))
    ]


@pytest.mark.parametrize("scope", ["rg ö'1", "rg-2"])
def test_a_role_that_exists_at_any_of_its_scopes_is_updated(tmp_path: Path, scope: str) -> None:
    calls, made = calls_of(tmp_path, scope)
    assert calls[3][:3] == ["role", "definition", "update"]
    assert json.loads("\n".join(calls[3][4:])) == made


def test_nothing_is_assigned_where_the_role_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "az").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "az").chmod(0o755)
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "PRINCIPAL": "p-1"}
    script = "\n".join([*commands(settings_of()), "echo assigned"])
    done = subprocess.run(
        ["sh"], input=script, capture_output=True, text=True, check=False, env=env, timeout=60
    )
    assert (done.returncode, done.stdout) == (1, "")


def test_without_an_identity_nothing_is_done() -> None:
    script = "\n".join(commands(settings_of()))
    done = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, check=False, env={}, timeout=60
    )
    assert done.returncode != 0
    assert "PRINCIPAL" in done.stderr
