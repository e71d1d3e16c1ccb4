"""What readiness says of the bot's dependencies is what is so now, whatever hangs."""

from types import SimpleNamespace
from typing import Any

from bot.dependencies import Answers, Dependencies
from deploy.health.standing import Standing


def detail(*, shared: Any = None, west: Standing | None = None) -> dict[str, str]:
    """Of a bot of which that is so, and else nothing is wrong."""
    shared = shared or SimpleNamespace(trouble="", agreement=None)
    caches: Any = {"west": SimpleNamespace(standing=west or Standing(1.0, ""))}
    return Dependencies(shared, Answers(), caches).detail()


def test_a_cluster_whose_namespaces_are_all_watched_is_well() -> None:
    assert detail()["cluster west"] == "ok"


def test_a_namespace_that_is_not_read_is_named_with_the_reason() -> None:
    unread = (("closed", "it may not be read"), ("later", "it has not answered yet"))
    assert detail(west=Standing(1.0, "", unread))["cluster west"] == (
        "namespace closed (1 more): it may not be read"
    )
    assert detail(west=Standing(1.0, "it is away", unread))["cluster west"] == "it is away"
