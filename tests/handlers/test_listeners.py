"""What a click comes to when what it needs is away."""

from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import pytest
from slack_bolt import Ack

from deploy.errors import Unavailable
from handlers.actions import decisions, fix
from handlers.listeners import Listeners, Needs
from handlers.verbs import rotate
from tests.support.authority import authority
from tests.support.needs import needs


@pytest.mark.parametrize("name", [*decisions.CLICKS, "fix_0", "rotate_confirm_all"])
def test_a_click_while_the_store_is_away_is_acked_and_told(name: str) -> None:
    def away(*_: Any) -> None:
        raise Unavailable("Redis cannot be used now.")

    def ack() -> None:
        acked.append(True)

    told: list[str] = []
    acked: list[bool] = []
    slack: Any = SimpleNamespace(chat_postEphemeral=lambda **message: told.append(str(message)))
    store = SimpleNamespace(get=away)
    decider = SimpleNamespace(agree=away, cancel=away, stop=away)
    deciding = needs(decisions.Needs, slack=slack, store=store, decider=decider)
    several = needs(rotate.Needs, slack=slack, store=store)
    nothing: Any = None
    body = {
        "user": {"id": "U1"},
        "channel": {"id": "C1"},
        "actions": [{"action_id": name, "value": '{"id": "AAAAAA", "digest": "d", "rule": "r"}'}],
    }
    Listeners(
        needs(Needs, slack=slack, authority=authority()),
        [rotate.VERB.bound(several)],
        {
            name: partial(click, deciding)
            for name, click in {**decisions.CLICKS, **fix.CLICKS}.items()
        },
        nothing,
        nothing,
    ).click(cast(Ack, ack), body)
    assert acked == [True]
    assert len(told) == 1
    assert "Redis cannot be used" in told[0]
