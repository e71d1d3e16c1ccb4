"""Which of many open requests somebody may decide now: as each would be judged, in a few round trips."""

from collections.abc import Iterator
from typing import Any

import pytest
from redis.connection import AbstractConnection

from bot.sandbox.valkey import Valkey
from deploy.actions.connection import connect
from deploy.actions.decision import Choice
from deploy.changes.refusal import NotAllowed
from deploy.gateway import GatewayRef
from deploy.plans.requests import ScaleRequest
from tests.support.changes import PROD, Changes
from tests.support.redis_servers import started

MANY = 40


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path_factory.mktemp("redis"))


@pytest.fixture
def changes(server: Valkey) -> Changes:
    client = connect(server.url)
    client.flushall()
    return Changes(client)


def asked(changes: Changes, count: int) -> None:
    """That many requests in production and as many outside it, of U1 and U2 in turn."""
    for number in range(count):
        for place in ("prod", "dev"):
            ref = GatewayRef("west", place, f"edge-{number}")
            user = f"U{1 + number % 2}"
            changes.asked(f"{place}{number}", ref=ref, request=ScaleRequest(ref, 2), requester=user)


@pytest.mark.parametrize("user", ["U1", "U2", "U3", "U9"])
def test_those_are_decidable_whose_decision_would_count(changes: Changes, user: str) -> None:
    asked(changes, 4)
    voted = changes.asked("v", ref=PROD)
    changes.agree(voted, "U3")
    actions = changes.store.open()

    def counts(action: Any) -> bool:
        choice: Choice = "approve" if action.policy.by == "approvers" else "confirm"
        try:
            return changes.decider.would(choice, action, user) in ("done", "grown")
        except NotAllowed:
            return False

    waiting = [each for each in actions if each.state.value == "pending"]
    expected = [each.id for each in waiting if counts(each)]
    assert [each.id for each in changes.decider.decidable(actions, user)] == expected
    assert bool(expected) == (user in ("U1", "U2", "U3"))


def test_many_requests_are_read_and_judged_in_a_few_round_trips(
    changes: Changes, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(changes, MANY)
    changes.decider.decidable(changes.store.open(), "U3")
    trips = 0
    send: Any = AbstractConnection.send_packed_command

    def counted(self: Any, *args: Any, **more: Any) -> Any:
        nonlocal trips
        trips += 1
        return send(self, *args, **more)

    monkeypatch.setattr(AbstractConnection, "send_packed_command", counted)
    found = changes.decider.decidable(changes.store.open(), "U3")
    assert len(found) == MANY
    assert trips <= 4, "the list, the records, and what would come of each decision"
