"""What a click comes to when what it needs is away."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from slack_bolt import Ack

from deploy.changes.decide import Decider
from deploy.errors import Unavailable
from handlers.actions import decisions
from handlers.listeners import Listeners
from handlers.verbs.table import VERBS


@pytest.mark.parametrize("name", [*decisions.CLICKS, "fix_0", "rotate_confirm_all"])
def test_a_click_while_the_store_is_away_is_acked_and_told(name: str) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise Unavailable("Redis cannot be used just now.")

    def ack() -> None:
        acked.append(True)

    told: list[str] = []
    acked: list[bool] = []
    store: Any = SimpleNamespace(get=away, cancel=away)
    nothing: Any = None
    services: Any = SimpleNamespace(
        store=store,
        decider=Decider(store, nothing, nothing, nothing, nothing),
        slack=SimpleNamespace(chat_postEphemeral=lambda **message: told.append(message["text"])),
    )
    intake: Any = SimpleNamespace()
    body = {
        "user": {"id": "U1"},
        "channel": {"id": "C1"},
        "actions": [{"action_id": name, "value": '{"id": "AAAAAA", "digest": "d", "rule": "r"}'}],
    }
    Listeners(services, VERBS, intake).click(cast(Ack, ack), body)
    assert acked == [True]
    assert len(told) == 1
    assert "Redis cannot be used" in told[0]
