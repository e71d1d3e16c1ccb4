from pathlib import Path

import pytest
import yaml

from bot.sandbox.world import DEFAULT, World, WorldError


def test_the_default_world_is_contoso() -> None:
    world = World.load()
    assert world.team["name"] == "Contoso"
    assert [u.name for u in world.users if not u.is_bot] == ["ana", "ivy", "ben", "chen", "dan"]
    assert world.usergroups[0].users == ["U0BEN", "U0CHEN"]
    assert dict(world.clusters) == {"west": ("dev", "prod"), "east": ("dev", "prod")}
    assert {g[0] for g in world.azure.gateways} == {"edge-1", "edge-2", "store-7", "legacy-9"}
    assert world.legacy is not None
    assert world.legacy.token_days == 6
    assert "2.3.0" in world.tags


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"azure": None}, "world.yaml"),
        (
            {
                "legacy": {
                    "gateway": "a",
                    "cluster": "x",
                    "namespace": "y",
                    "tag": "1",
                    "token_days": 1,
                }
            },
            "x/y",
        ),
        ({"usergroups": [{"id": "S", "handle": "h", "name": "n", "users": ["U9"]}]}, "U9"),
        ({"channels": [{"id": "C", "nme": "x"}]}, "nme"),
    ],
)
def test_a_wrong_world_says_what_is_wrong(tmp_path: Path, change: object, said: str) -> None:
    data = yaml.safe_load(DEFAULT.read_text())
    assert isinstance(change, dict)
    path = tmp_path / "world.yaml"
    path.write_text(yaml.safe_dump({**data, **change}))
    with pytest.raises(WorldError, match=said):
        World.load(path)
