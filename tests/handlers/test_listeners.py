"""What a click comes to when what it needs is away."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from slack_bolt import Ack

from deploy.errors import Unavailable
from handlers.listeners import Listeners
from handlers.verbs.table import VERBS
from tests.support.authority import authority


@pytest.mark.parametrize(
    "name", ["action_show", "action_again", "fix_0", "rotate_confirm_all", "action_confirm"]
)
def test_a_click_while_the_store_is_away_is_acked_and_told(name: str) -> None:
    def away(*_: Any) -> None:
        raise Unavailable("Redis cannot be used now.")

    def ack() -> None:
        acked.append(True)

    told: list[str] = []
    acked: list[bool] = []
    services: Any = SimpleNamespace(
        authority=authority(),
        store=SimpleNamespace(get=away),
        decider=SimpleNamespace(agree=away),
        slack=SimpleNamespace(chat_postEphemeral=lambda **message: told.append(message["text"])),
    )
    body = {
        "user": {"id": "U1"},
        "channel": {"id": "C1"},
        "actions": [{"action_id": name, "value": '{"id": "AAAAAA", "digest": "d", "rule": "r"}'}],
    }
    Listeners(services, VERBS).click(cast(Ack, ack), body)
    assert acked == [True]
    assert len(told) == 1
    assert "Redis cannot be used" in told[0]
