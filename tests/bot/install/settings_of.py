"""Settings of somebody who installs the bot, for tests."""

from typing import Any

import yaml

from bot.install.configuration import configuration
from bot.install.installation import Installation
from bot.install.manifest import manifest
from bot.settings import Settings

Obj = dict[str, Any]
CLIENT = "11111111-1111-1111-1111-111111111111"
IMAGE = "registry.example/gateway-bot@sha256:" + "a" * 64
USUAL: Obj = {
    "azure": {"client_id": CLIENT},
    "apim": [
        {
            "name": "contoso",
            "subscription": "00000000-0000-0000-0000-000000000000",
            "resource_group": "rg-apim",
            "service": "contoso",
        }
    ],
    "clusters": [{"name": "west", "in_cluster": True, "namespaces": ["dev", "prod"]}],
    "environments": [
        {
            "name": "production",
            "namespaces": ["prod", "prod-*"],
            "production": True,
            "approval": {"approvers": {"users": ["U0123ABCD"]}},
        },
        {"name": "development"},
    ],
}


def text_of(**changes: Any) -> str:
    """The file, with these parts instead of the usual ones."""
    return yaml.safe_dump({**USUAL, **changes}, sort_keys=False)


def settings_of(**changes: Any) -> Settings:
    """The same, read."""
    return Settings.model_validate(yaml.safe_load(text_of(**changes)))


def installed(installation: Installation | None = None, **changes: Any) -> list[Obj]:
    """The objects that install it."""
    settings = settings_of(**changes)
    found = configuration(settings, text_of(**changes))
    return manifest(settings, found, (installation or Installation(IMAGE)).checked())


def one(objects: list[Obj], kind: str) -> Obj:
    """The only object of a kind."""
    (found,) = [each for each in objects if each["kind"] == kind]
    return found
