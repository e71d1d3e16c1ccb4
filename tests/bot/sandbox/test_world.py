"""The world file: what the default one holds, and what is said of a wrong one."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.sandbox.settings_file import Addresses, write_settings
from bot.sandbox.world import DEFAULT, DEMO, World, WorldError

MISSING = object()


def test_the_default_world_is_contoso() -> None:
    world = World.load()
    assert world.team["name"] == "Contoso"
    people = [user for user in world.users if not user.is_bot]
    members = [user.name for user in people if not (user.is_confined or user.deleted)]
    assert members == ["ana", "ivy", "ben", "chen", "dan"]
    assert [(u.name, u.is_ultra_restricted) for u in people if u.is_guest] == [
        ("gus", False),
        ("sol", True),
    ]
    assert [user.name for user in people if user.deleted] == ["dee"]
    assert [(u.name, u.home.name) for u in people if u.home] == [("fay", "Fabrikam")]
    (approvers,) = world.usergroups
    assert (approvers.handle, approvers.users) == (
        "gateway-approvers",
        ["U0BEN", "U0CHEN", "U0DEE"],
    )
    assert [channel.name for channel in world.channels] == ["gateway-ops", "gateway-alerts"]
    assert dict(world.clusters) == {"west": ("dev", "prod"), "east": ("dev", "prod")}
    assert [(p.cluster, p.namespaces, p.quorum) for p in world.production] == [
        ("west", ("prod",), 1),
        ("east", ("prod",), 2),
    ]
    gateways = {name for name, _, _ in world.azure.gateways}
    assert gateways == {"edge-1", "edge-2", "store-7", "legacy-9"}
    (legacy,) = world.legacy
    assert (legacy.tag, legacy.token_days) == ("v2", 6)
    assert {"2.3.0", "2.11.2", "2.12.0", "2.12.1", "v2", "v2-preview", "latest", "beta"} <= {
        *world.tags
    }


def test_a_world_adds_to_the_settings_of_its_bot(tmp_path: Path) -> None:
    more = {"rotation": {"at_once": 3}, "environments": [{"name": "all"}]}
    world = World.load(written(tmp_path, ("settings",), more))
    path = write_settings(
        tmp_path / "gateway-bot.yaml",
        world,
        Addresses("slack", "azure", "registry", None),
        mode="socket",
        kubeconfig=tmp_path / "kubeconfig",
        contexts={"west": "west"},
    )
    settings = yaml.safe_load(path.read_text())
    assert settings["rotation"] == {"verify_seconds": 5, "regenerate_keys": True, "at_once": 3}
    assert settings["environments"] == [{"name": "all"}]


def written(tmp_path: Path, where: tuple[str | int, ...], value: object) -> Path:
    """The default world's file with one value changed."""
    data: Any = copy.deepcopy(yaml.safe_load(DEFAULT.read_text()))
    place = data
    for step in where[:-1]:
        place = place[step]
    if value is MISSING:
        del place[where[-1]]
    else:
        place[where[-1]] = value
    path = tmp_path / "world.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


@pytest.mark.parametrize(
    ("where", "value", "said"),
    [
        (("azure",), MISSING, "azure: is missing"),
        (("azure",), [], "azure: expected a mapping, found []"),
        (("azure", "tenant_id"), "contoso", "azure.tenant_id: expected a GUID, found 'contoso'"),
        (("azure", "regions"), [], "azure.regions: no such key; there are tenant_id,"),
        (("azure", "gateways", 1, "name"), "edge-1", "azure.gateways[1]: edge-1 is there twice"),
        (("users",), [], "users: expected a list that is not empty, found []"),
        (("users", 2, "name"), 3, "users[2].name: expected text"),
        (("users", 1, "id"), "U0ANA", "users[1]: U0ANA is there twice"),
        (("users", 0, "colour"), "2b6cb0", "users[0].colour: no such key"),
        (("users", 0, "deleted"), 1, "users[0].deleted: expected true or false"),
        (("users", 0, "team"), {"id": "T1", "name": "x"}, "users[0].team.domain: is missing"),
        (("usergroups", 0, "users", 0), "U9", "usergroups[0].users[0]: expected one of U0ANA"),
        (("channels", 0, "name"), "#gateway-ops", "channels[0].name: expected a channel's name"),
        (("channels", 0, "invited", 0), "U9", "channels[0].invited[0]: expected one of U0ANA"),
        (("channels", 0, "is_private"), "yes", "channels[0].is_private: expected true or false"),
        (("clusters", 0, "name"), "West!", "clusters[0].name: expected lower-case letters"),
        (("clusters", 1, "name"), "west", "clusters[1]: west is there twice"),
        (
            ("production", 0, "namespaces", 0),
            "live",
            "production[0].namespaces[0]: expected one of dev",
        ),
        (("settings",), ["rotation"], "settings: expected a mapping"),
        (("legacy", "cluster"), "north", "legacy.cluster: expected one of east, west"),
        (("legacy", "namespace"), "live", "legacy.namespace: expected one of dev, prod"),
        (("legacy", "gateway"), "edge-3", "legacy.gateway: expected one of edge-1"),
        (("legacy", "token_days"), 31, "legacy.token_days: expected more than 0 and at most 30"),
        (("registry", "tags", 3), 2.1, "registry.tags[3]: expected text (put it in quotes"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(
    tmp_path: Path, where: tuple[str | int, ...], value: object, said: str
) -> None:
    path = written(tmp_path, where, value)
    with pytest.raises(WorldError) as caught:
        World.load(path)
    assert str(caught.value).startswith(f"{path}: {said}")


def test_guests_and_strangers_are_only_where_they_are_invited() -> None:
    channels = {channel.name: set(channel.members) for channel in World.load().channels}
    everywhere = {"U0ANA", "U0IVY", "U0BEN", "U0CHEN", "U0DAN", "U0DEE", "U0GATEWAY"}
    assert channels == {
        "gateway-ops": everywhere | {"U0GUS", "U0SOL"},
        "gateway-alerts": everywhere | {"U0GUS", "U0FAY"},
    }


def test_a_world_may_have_no_legacy(tmp_path: Path) -> None:
    assert World.load(written(tmp_path, ("legacy",), MISSING)).legacy == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected a mapping, found nothing"),
        ("[1, 2]", r"the file: expected a mapping, found \[1, 2\]"),
        ("a: [", "is not YAML"),
        ("a: \xff", "is not YAML"),
    ],
)
def test_a_file_that_is_no_world_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "world.yaml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(WorldError, match=said):
        World.load(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(WorldError, match=r"nowhere\.yaml cannot be read: No such file"):
        World.load(tmp_path / "nowhere.yaml")


def test_the_demo_starts_with_more_than_the_default_world() -> None:
    world, default = World.load(DEMO), World.load()
    assert world.legacy[: len(default.legacy)] == default.legacy
    assert set(default.azure.gateways) < set(world.azure.gateways)
    trouble, git, expiring = world.legacy[1:]
    assert trouble.tag not in world.tags
    assert git.application
    assert expiring.token_days < 1
    (freeze,) = world.freezes
    assert default.freezes == ()
    assert (freeze.cluster, freeze.since_days > 0, freeze.for_days > 0) == ("east", True, True)


def test_a_world_may_be_written_as_more_of_another_file(tmp_path: Path) -> None:
    more = tmp_path / "more.yaml"
    more.write_text(yaml.safe_dump({"base": str(DEFAULT), "team": {"name": "Fabrikam"}}))
    world = World.load(more)
    assert world.team["name"] == "Fabrikam"
    assert world.users == World.load().users
