"""What keeps tokens from being rotated automatically is known of without a cluster."""

from collections.abc import Iterator

import pytest

from bot.sandbox.valkey import Valkey
from deploy.actions.action import State
from deploy.expiry.automatic import Automatic
from deploy.expiry.prospects import Prospect, Prospects
from deploy.expiry.tracker import Tracker
from deploy.gateway import GatewayRef
from tests.support.autopilot_bed import DEV, AutopilotBed
from tests.support.redis_servers import started

DAY = 86_400.0
FIRST, SECOND = (GatewayRef("west", "dev", f"edge-{number}") for number in (1, 2))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path_factory.mktemp("redis"))


@pytest.fixture
def bed(server: Valkey) -> AutopilotBed:
    return AutopilotBed(server)


def seen(bed: AutopilotBed, later: float = 0.0) -> Prospect:
    """As it is for the tokens of both gateways, or for ones that expire later."""
    tokens = {
        one.ref: (one.facts.expires_at or 0.0) + later
        for one in Tracker(bed.redis, "one").register().tracked
    }
    return Prospects(bed.redis, bed.store).of(DEV.name, tokens)


@pytest.mark.parametrize("state", [State.STOPPED, State.SUCCEEDED])
def test_a_token_is_not_rotated_again_after_it_was_or_a_person_ended_that(
    bed: AutopilotBed, state: State
) -> None:
    for ref in (FIRST, SECOND):
        bed.note(ref, 2 * DAY)
    assert seen(bed) == Prospect()
    bot = bed.bot(Automatic("auto", at_once=1))
    assert bot.turn() == 1
    (action,) = bed.open()
    assert seen(bed) == Prospect()
    bed.finish(action, state)
    assert seen(bed) == Prospect(ended={action.ref: state})
    assert seen(bed, later=DAY) == Prospect(), "that is another token"


def test_what_failed_is_tried_again_until_failures_stop_it_everywhere(bed: AutopilotBed) -> None:
    bed.note(FIRST, 2 * DAY)
    bot = bed.bot(Automatic("auto", failures=1))
    assert bot.turn() == 1
    (action,) = bed.open()
    bed.finish(action, State.FAILED)
    assert seen(bed) == Prospect()
    assert bot.turn() == 0
    assert seen(bed) == Prospect(stopped=True)


def test_what_a_newer_bot_has_tried_is_not_judged(bed: AutopilotBed) -> None:
    bed.note(FIRST, 2 * DAY)
    bed.redis.hset(f"gateway-bot:{{automatic:{DEV.name}}}", f"try:{FIRST}", '{"version": 99}')
    assert seen(bed) == Prospect()
