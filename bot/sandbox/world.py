"""The world file: who and what there is when the demo starts."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml

from bot.sandbox.reading import Field, FieldError, unique
from bot.sandbox.slack import Channel, Team, User, UserGroup

DEFAULT = Path(__file__).with_name("world.yaml")
DEMO = Path(__file__).with_name("demo.yaml")
"""The same, with more to try: what `gateway-bot demo` starts with."""
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_LABEL_WORDS = "lower-case letters, digits and hyphens, 63 at most"
_GATEWAY = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_GUID = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_SERVICE = r"[a-zA-Z]([a-zA-Z0-9-]{0,48}[a-zA-Z0-9])?"


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
    """A gateway that somebody installed by the portal's YAML before the bot came; `application` is
    the Argo CD application that keeps it in Git, where one does."""

    gateway: str
    cluster: str
    namespace: str
    tag: str
    token_days: float
    application: str = ""


@dataclass(frozen=True)
class Freeze:
    """Days before and after the demo's start in which nothing is to change in a cluster's
    production."""

    cluster: str
    reason: str
    since_days: float
    for_days: float


@dataclass(frozen=True)
class Production:
    """Namespaces of a cluster where changes need approvals: how many, of which user groups."""

    cluster: str
    namespaces: tuple[str, ...]
    approvers: tuple[str, ...]
    quorum: int


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
    production: tuple[Production, ...]
    legacy: tuple[Legacy, ...]
    freezes: tuple[Freeze, ...]
    repository: str
    tags: tuple[str, ...]
    settings: Mapping[str, Any]
    """What the bot's settings file says beside, or in place of, what this world gives it."""

    @classmethod
    def load(cls, path: Path = DEFAULT) -> Self:
        """Read a world file. WorldError says what is wrong with it, and where."""
        try:
            return cls._read(Field(_text(path)))
        except OSError as error:
            raise WorldError(f"{path} cannot be read: {error.strerror}") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise WorldError(f"{path} is not YAML: {error}") from error
        except FieldError as error:
            raise WorldError(f"{path}: {error}") from error

    @classmethod
    def _read(cls, file: Field) -> Self:
        file.keys(
            (
                *("team", "users", "usergroups", "channels", "app", "azure"),
                *("clusters", "production", "registry"),
            ),
            ("legacy", "others", "freezes", "settings"),
        )
        team = file["team"].keys(("id", "name", "domain"))
        app = file["app"].keys(("id", "name", "bot_user_id", "bot_id"))
        people = _people(file["users"])
        name = app["name"].text()
        everyone = (*people, User(app["bot_user_id"].text(), name, name, is_bot=True))
        azure = _azure(file["azure"])
        clusters = _clusters(file["clusters"])
        registry = file["registry"].keys(("repository", "tags"))
        tags = tuple(tag.text() for tag in registry["tags"].items(least=1))
        groups = _usergroups(file["usergroups"], people)
        return cls(
            team={key: team[key].text() for key in team.value},
            users=everyone,
            usergroups=groups,
            channels=_channels(file["channels"], everyone),
            app={key: app[key].text() for key in app.value},
            azure=azure,
            clusters=clusters,
            production=tuple(
                _production(each, clusters, groups) for each in file["production"].items()
            ),
            legacy=_legacies(file, azure, clusters),
            freezes=_freezes(file["freezes"], clusters),
            repository=registry["repository"].text(),
            tags=tags,
            settings=_settings(file["settings"]),
        )


def _text(path: Path) -> Any:
    """What the file says, over what the file beside it says that it names as its base."""
    said = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(said, dict) or "base" not in said:
        return said
    base = _text(path.parent / str(said.pop("base")))
    return _over(base, said)


def _over(base: Any, more: Any) -> Any:
    """Mappings are joined and lists appended; anything else is replaced."""
    if isinstance(base, dict) and isinstance(more, dict):
        return {**base, **{key: _over(base.get(key), value) for key, value in more.items()}}
    if isinstance(base, list) and isinstance(more, list):
        return base + more
    return more


def _settings(field: Field) -> Mapping[str, Any]:
    if field.value is None:
        return {}
    if not isinstance(field.value, dict):
        raise field.refuse("a mapping")
    return field.value


def _people(field: Field) -> tuple[User, ...]:
    fields = list(field.items(least=1))
    people = []
    for each in fields:
        each.keys(
            ("id", "name", "real_name"),
            (
                *("title", "tz", "email", "color"),
                *("is_restricted", "is_ultra_restricted", "deleted", "team"),
            ),
        )
        name = each["name"].text()
        people.append(
            User(
                id=each["id"].text(like="[UW][A-Z0-9]+", means="a user's id, as U0ANA"),
                name=name,
                real_name=each["real_name"].text(),
                title=each["title"].text(""),
                tz=each["tz"].text("UTC"),
                email=each["email"].text(f"{name}@contoso.example"),
                color=each["color"].text("4a154b", like="[0-9a-f]{6}", means="six hex digits"),
                is_restricted=each["is_restricted"].flag(default=False),
                is_ultra_restricted=each["is_ultra_restricted"].flag(default=False),
                deleted=each["deleted"].flag(default=False),
                home=_home(each["team"]),
            )
        )
    unique(fields, [user.id for user in people])
    unique(fields, [user.name for user in people])
    return tuple(people)


def _home(field: Field) -> Team | None:
    if field.value is None:
        return None
    field.keys(("id", "name", "domain"))
    return Team(field["id"].text(), field["name"].text(), field["domain"].text())


def _usergroups(field: Field, people: tuple[User, ...]) -> tuple[UserGroup, ...]:
    known = [user.id for user in people]
    groups = []
    for each in field.items():
        each.keys(("id", "handle", "name", "users"))
        users = [user.choice(known) for user in each["users"].items()]
        groups.append(
            UserGroup(each["id"].text(), each["handle"].text(), each["name"].text(), users)
        )
    return tuple(groups)


def _channels(field: Field, everyone: tuple[User, ...]) -> tuple[Channel, ...]:
    """Each channel; full members are in all of them unless it lists its `members`, guests and
    people of other workspaces where they are `invited`. `pending` are workspaces that are invited to
    share it."""
    known = [user.id for user in everyone]
    fields = list(field.items(least=1))
    channels = []
    for each in fields:
        each.keys(("id", "name"), ("is_private", "topic", "members", "invited", "pending"))
        members = [user.id for user in everyone if not user.is_confined]
        if each["members"].value is not None:
            members = [member.choice(known) for member in each["members"].items(least=1)]
        if each["invited"].value is not None:
            members += [member.choice(known) for member in each["invited"].items()]
        channels.append(
            Channel(
                id=each["id"].text(like="[CG][A-Z0-9]+", means="a channel's id, as C0GWOPS"),
                name=each["name"].text(
                    like="[a-z0-9_-]{1,80}", means="a channel's name, without #"
                ),
                is_private=each["is_private"].flag(default=False),
                topic=each["topic"].text(""),
                members=members,
                pending=_pending(each["pending"]),
            )
        )
    unique(fields, [channel.id for channel in channels])
    unique(fields, [channel.name for channel in channels])
    return tuple(channels)


def _pending(field: Field) -> tuple[str, ...]:
    return () if field.value is None else tuple(team.text() for team in field.items())


def _azure(field: Field) -> AzureWorld:
    field.keys(("tenant_id", "client_id", "subscription", "resource_group", "service", "gateways"))
    fields = list(field["gateways"].items())
    for each in fields:
        each.keys(("name", "location"), ("description",))
    means = "letters, digits and hyphens, 63 at most"
    # Azure keeps the letter case of a name and does not tell two apart by it.
    unique(fields, [each["name"].text(like=_GATEWAY, means=means).lower() for each in fields])
    tenant, client, subscription = (
        field[key].text(like=_GUID, means="a GUID")
        for key in ("tenant_id", "client_id", "subscription")
    )
    return AzureWorld(
        tenant,
        client,
        subscription,
        field["resource_group"].text(),
        field["service"].text(like=_SERVICE, means="a service's name: letters, digits, hyphens"),
        tuple(
            (each["name"].text(), each["description"].text(""), each["location"].text())
            for each in fields
        ),
    )


def _clusters(field: Field) -> dict[str, tuple[str, ...]]:
    fields = list(field.items(least=1))
    clusters = {}
    for each in fields:
        each.keys(("name", "namespaces"))
        clusters[each["name"].text(like=_LABEL, means=_LABEL_WORDS)] = tuple(
            namespace.text(like=_LABEL, means=_LABEL_WORDS)
            for namespace in each["namespaces"].items(least=1)
        )
    unique(fields, [each["name"].text() for each in fields])
    return clusters


def _production(
    field: Field, clusters: Mapping[str, tuple[str, ...]], groups: tuple[UserGroup, ...]
) -> Production:
    field.keys(("cluster", "namespaces", "approvers", "quorum"))
    cluster = field["cluster"].choice(sorted(clusters))
    known = [group.id for group in groups]
    return Production(
        cluster,
        tuple(each.choice(clusters[cluster]) for each in field["namespaces"].items(least=1)),
        tuple(each.choice(known) for each in field["approvers"].items(least=1)),
        int(field["quorum"].number()),
    )


def _legacies(
    file: Field, azure: AzureWorld, clusters: Mapping[str, tuple[str, ...]]
) -> tuple[Legacy, ...]:
    """The one that is called legacy, and others."""
    fields = [] if file["legacy"].value is None else [file["legacy"]]
    if file["others"].value is not None:
        fields += file["others"].items()
    found = [_legacy(each, azure, clusters) for each in fields]
    unique(fields, [one.gateway for one in found])
    return tuple(found)


def _legacy(field: Field, azure: AzureWorld, clusters: Mapping[str, tuple[str, ...]]) -> Legacy:
    """A tag that the registry lacks is a gateway in trouble."""
    field.keys(("gateway", "cluster", "namespace", "tag", "token_days"), ("application",))
    cluster = field["cluster"].choice(sorted(clusters))
    days = field["token_days"].number()
    if not 0 < days <= 30:
        raise field["token_days"].refuse("more than 0 and at most 30 days")
    return Legacy(
        gateway=field["gateway"].choice([n for n, _, _ in azure.gateways if n == n.lower()]),
        cluster=cluster,
        namespace=field["namespace"].choice(clusters[cluster]),
        tag=field["tag"].text(),
        token_days=days,
        application=field["application"].text(""),
    )


def _freezes(field: Field, clusters: Mapping[str, tuple[str, ...]]) -> tuple[Freeze, ...]:
    if field.value is None:
        return ()
    found = []
    for each in field.items():
        each.keys(("cluster", "reason", "since_days", "for_days"))
        found.append(
            Freeze(
                each["cluster"].choice(sorted(clusters)),
                each["reason"].text(),
                each["since_days"].number(),
                each["for_days"].number(),
            )
        )
    return tuple(found)
