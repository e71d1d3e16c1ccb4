"""Settings of warnings and of automatic rotation."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.clients import (
    automatic_rules,
    digest_channels,
    environments_of,
    expiry_rules,
    rotations_at_once,
)
from bot.settings import Settings, load_settings
from deploy.errors import InvalidInput
from deploy.expiry.thresholds import DEFAULT
from deploy.gateway import GatewayRef
from tests.bot.test_settings import GOOD, written

PROD, DEV = GatewayRef("west", "prod", "edge-1"), GatewayRef("west", "dev", "edge-1")
HOUR, DAY = 3600.0, 86_400.0


def settings(tmp_path: Path, production: dict[str, Any], **more: Any) -> Settings:
    environments = [{"name": "production", "namespaces": ["prod"], **production}]
    return load_settings(
        written(tmp_path, environments=[*environments, {"name": "development"}], **more)
    )


def test_an_environment_has_its_own_thresholds_and_channels_or_those_of_all(
    tmp_path: Path,
) -> None:
    own = {"channel": "C0PROD", "thresholds": ["10d", "6h", "30m"]}
    found = settings(tmp_path, {"warnings": own}, warnings={"channel": "C0ALL"})
    rules = expiry_rules(found)
    assert rules(PROD).thresholds == (10 * DAY, 6 * HOUR, 1800.0, 0.0)
    assert rules(PROD).channels == ("C0PROD",)
    assert rules(DEV).thresholds == DEFAULT
    assert rules(DEV).channels == ("C0ALL",)
    assert digest_channels(found) == ("C0ALL", "C0PROD")


def test_tokens_can_be_told_of_in_other_channels_than_health(tmp_path: Path) -> None:
    found = settings(tmp_path, {}, warnings={"channel": "C0ALL", "channels": ["C0AA", "C0BB"]})
    assert expiry_rules(found)(DEV).channels == ("C0AA", "C0BB")


def test_a_bare_off_of_yaml_is_understood(tmp_path: Path) -> None:
    text = yaml.safe_dump(GOOD).replace("- name: development", "- {name: d, rotation: off}")
    path = tmp_path / "file.yaml"
    path.write_text(text)
    assert automatic_rules(load_settings(path))["d"].mode == "off"


def test_automatic_rotation_is_as_its_environment_has_it(tmp_path: Path) -> None:
    rotation = {
        "mode": "auto",
        "before": "5d",
        "at_once": 3,
        "standing_approval": "Ben Lindqvist, 2026-11-01",
    }
    found = settings(tmp_path, {"production": True, "rotation": rotation})
    rule = automatic_rules(found)["production"]
    assert (rule.mode, rule.before, rule.at_once) == ("auto", 5 * DAY, 3)
    standing = {each.name: each.standing for each in environments_of(found)}
    assert standing == {"production": "Ben Lindqvist, 2026-11-01", "development": ""}
    assert automatic_rules(found)["development"].mode == "off"
    at_once = rotations_at_once(found)
    assert [at_once(name) for name in ("production", "development", "no such")] == [3, 1, 1]


@pytest.mark.parametrize("mode", ["ask", "off"])
def test_an_approval_in_the_settings_stands_only_where_tokens_are_rotated_by_it(
    tmp_path: Path, mode: str
) -> None:
    there = {"mode": mode, "standing_approval": "Ben", "before": "5d"}
    found = settings(tmp_path, {"requesters": {"users": ["U0ANA"]}, "rotation": there})
    assert [each.standing for each in environments_of(found)] == ["", ""]
    auto = settings(tmp_path, {"rotation": "auto"})
    assert environments_of(auto)[0].standing == "automatic rotation in production"


@pytest.mark.parametrize(
    ("production", "told"),
    [
        ({"production": True, "rotation": "auto"}, "requires standing_approval"),
        ({"rotation": "ask"}, "somebody to ask"),
        ({"rotation": {"mode": "auto", "before": "30d"}}, "between 1h and 25d"),
        ({"rotation": "sometimes"}, "environments[0].rotation.mode"),
        ({"warnings": {"thresholds": ["soon"]}}, "expected a duration such as 14d"),
        ({"warnings": {"thresholds": [7]}}, "expected a duration such as 14d"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, production: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        settings(tmp_path, production)
    assert told in str(raised.value)
