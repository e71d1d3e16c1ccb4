"""The role for Azure allows what the bot asks Azure for, and no more."""

import json
import subprocess
from pathlib import Path

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


def test_it_is_assigned_on_each_instance_and_nowhere_above(tmp_path: Path) -> None:
    apim = [
        {"name": name, "subscription": "s-1", "resource_group": "rg ö'1", "service": name}
        for name in ("one", "two")
    ]
    settings = settings_of(apim=apim, azure={"cloud": "usgov"})
    said = tmp_path / "said"
    az = tmp_path / "az"
    az.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> {said}\necho end >> {said}\n')
    az.chmod(0o755)
    script = "\n".join(commands(settings))
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "PRINCIPAL": "p-1"}
    subprocess.run(["sh", "-eu", "-c", script], check=True, env=env, timeout=60)
    calls = [call.split("\n") for call in said.read_text().split("\nend\n") if call]
    assert calls[0] == ["cloud", "set", "--name", "AzureUSGovernment"]
    assert json.loads("\n".join(calls[1][4:])) == role(settings)
    group = "/subscriptions/s-1/resourceGroups/rg ö'1"
    scopes = [call[-1] for call in calls[2:]]
    assert scopes == [
        f"{group}/providers/Microsoft.ApiManagement/service/{name}" for name in ("one", "two")
    ]
    assert role(settings)["AssignableScopes"] == [group]


def test_without_an_identity_nothing_is_done() -> None:
    script = "\n".join(commands(settings_of()))
    done = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, check=False, env={}, timeout=60
    )
    assert done.returncode != 0
    assert "PRINCIPAL" in done.stderr
