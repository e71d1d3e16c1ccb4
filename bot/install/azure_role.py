"""`gateway-bot azure-role`: the custom role that the bot needs in Azure, and how to give it."""

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bot.clients import instances_of
from bot.settings import Settings, load_settings

NAME = "gateway-bot"
_GATEWAYS = "Microsoft.ApiManagement/service/gateways"
GENERATE = f"{_GATEWAYS}/generateToken/action"
REGENERATE = f"{_GATEWAYS}/regenerateKey/action"
_CLOUDS = {"usgov": "AzureUSGovernment", "china": "AzureChinaCloud"}


def print_role(config: Path, *, only_role: bool) -> int:
    """Print the role alone, or the commands that make and assign it."""
    settings = load_settings(config)
    if only_role:
        print(json.dumps(role(settings), indent=2))
    else:
        print("\n".join(commands(settings)))
    return 0


def actions(settings: Settings) -> list[str]:
    """What the bot asks Azure Resource Manager to do, and nothing else."""
    found = [f"{_GATEWAYS}/read", GENERATE]
    if settings.rotation.regenerate_keys:
        found.append(REGENERATE)
    return found


def role(settings: Settings) -> dict[str, Any]:
    """The custom role, as `az role definition create` reads it."""
    groups = [
        f"/subscriptions/{each.subscription}/resourceGroups/{each.resource_group}"
        for each in settings.apim
    ]
    return {
        "Name": NAME,
        "IsCustom": True,
        "Description": "Reads self-hosted gateways and makes tokens for them",
        "Actions": actions(settings),
        "NotActions": [],
        "DataActions": [],
        "NotDataActions": [],
        "AssignableScopes": list(dict.fromkeys(groups)),
    }


def commands(settings: Settings) -> Iterator[str]:
    """A script for a shell, which may run again; PRINCIPAL is the object ID of whom the bot signs in as.

    `create` fails where the role exists. `update` finds it by its name at its scopes, and `role assignment
    create` takes one that exists (github.com/Azure/azure-cli, command_modules/role/custom.py).
    """
    cloud = _CLOUDS.get(settings.azure.home.name)
    yield "set -e"
    yield ': "${PRINCIPAL:?set it to the object ID of the identity that the bot signs in as}"'
    if cloud is not None:
        yield f"az cloud set --name {cloud}"
    definition = role(settings)
    yield f"role={shlex.quote(json.dumps(definition, indent=2))}"
    yield "exists="
    for scope in definition["AssignableScopes"]:
        yield (
            f"exists=$exists$(az role definition list --name {NAME} --query '[].name' "
            f"--output tsv \\\n  --scope {shlex.quote(scope)})"
        )
    yield 'if [ -n "$exists" ]; then verb=update; else verb=create; fi'
    yield 'az role definition "$verb" --role-definition "$role"'
    for instance in instances_of(settings).values():
        yield (
            'az role assignment create --assignee-object-id "$PRINCIPAL" '
            "--assignee-principal-type ServicePrincipal \\\n"
            f"  --role {NAME} --scope {shlex.quote(instance.arm_id)}"
        )
