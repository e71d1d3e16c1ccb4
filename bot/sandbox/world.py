"""The world file: who and what there is when the demo starts."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml

from bot.sandbox.slack import Channel, User, UserGroup

DEFAULT = Path(__file__).with_name("world.yaml")


class WorldError(ValueError):
    """The world file is wrong; the message says where."""


@dataclass(frozen=True)
class AzureWorld:
    """Ids of the Azure side, and its gateways as name, description and location."""

    tenant_id: str
    client_id: str
    subscription: str
    resource_group: str
    service: str
    gateways: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class Legacy:
    """A gateway that somebody installed by the portal's YAML before the bot came."""

    gateway: str
    cluster: str
    namespace: str
    tag: str
    token_days: float


@dataclass(frozen=True)
class World:
    """Everything a world file says."""

    team: Mapping[str, Any]
    users: tuple[User, ...]
    usergroups: tuple[UserGroup, ...]
    channels: tuple[Channel, ...]
    app: Mapping[str, str]
    azure: AzureWorld
    clusters: Mapping[str, tuple[str, ...]]
    production_namespaces: tuple[str, ...]
    legacy: Legacy | None
    repository: str
    tags: tuple[str, ...]

    @classmethod
    def load(cls, path: Path = DEFAULT) -> Self:
        """Read a world file. WorldError says what is wrong with it."""
        try:
            data = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError) as error:
            raise WorldError(f"{path}: {error}") from error
        try:
            return cls._read(data)
        except KeyError as error:
            raise WorldError(f"{path}: the key {error} is missing") from error
        except (TypeError, AttributeError) as error:
            raise WorldError(f"{path}: {error}") from error

    @classmethod
    def _read(cls, data: Mapping[str, Any]) -> Self:
        app = data["app"]
        azure = data["azure"]
        people = tuple(
            User(**{"email": f"{u['name']}@contoso.example", **u}) for u in data["users"]
        )
        bot = User(app["bot_user_id"], app["name"], app["name"], is_bot=True)
        everyone = (*people, bot)
        ids = tuple(user.id for user in everyone)
        known = set(ids)
        groups = tuple(UserGroup(**group) for group in data["usergroups"])
        for group in groups:
            for user in group.users:
                if user not in known:
                    raise WorldError(f"usergroups: {group.handle} names {user}, who is no user")
        clusters = {c["name"]: tuple(c["namespaces"]) for c in data["clusters"]}
        legacy = Legacy(**data["legacy"]) if data.get("legacy") else None
        if legacy and legacy.namespace not in clusters.get(legacy.cluster, ()):
            raise WorldError(f"legacy: there is no {legacy.cluster}/{legacy.namespace}")
        return cls(
            team=data["team"],
            users=everyone,
            usergroups=groups,
            channels=tuple(Channel(**{"members": ids, **c}) for c in data["channels"]),
            app=app,
            azure=AzureWorld(
                azure["tenant_id"],
                azure["client_id"],
                azure["subscription"],
                azure["resource_group"],
                azure["service"],
                tuple((g["name"], g["description"], g["location"]) for g in azure["gateways"]),
            ),
            clusters=clusters,
            production_namespaces=tuple(data["production_namespaces"]),
            legacy=legacy,
            repository=data["registry"]["repository"],
            tags=tuple(str(tag) for tag in data["registry"]["tags"]),
        )
