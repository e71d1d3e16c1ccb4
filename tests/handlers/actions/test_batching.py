"""A command about several gateways is one batch, whatever happens while it is planned."""

from collections.abc import Iterator
from typing import Any

import pytest

from bot.sandbox.valkey import Valkey
from deploy.actions.batches import Unplanned
from deploy.actions.connection import connect
from deploy.errors import Unavailable
from deploy.gateway import GatewayRef
from handlers.slack.payloads import Request
from handlers.views.reply import Reply
from tests.support.batches import (
    DEV,
    PRODUCTION,
    REQUEST,
    batch_of,
    members,
    restart_each,
    restarting,
)
from tests.support.changes import Changes
from tests.support.redis_servers import started

ALL = [*DEV, *PRODUCTION]


class Killed(BaseException):
    """The bot is dead."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path_factory.mktemp("redis"))


@pytest.fixture
def changes(server: Valkey) -> Changes:
    client = connect(server.url)
    client.flushall()
    return Changes(client)


def test_every_gateway_becomes_an_action_that_knows_its_batch(changes: Changes) -> None:
    assert restart_each(changes, reason="new nodes") is None
    batch = batch_of(changes)
    assert batch.planned
    assert batch.selection.why == "new nodes"
    assert [action.ref for action in members(changes).values()] == ALL
    assert {action.batch for action in members(changes).values()} == {batch.id}


@pytest.mark.parametrize("dies_at", range(len(ALL)))
def test_a_bot_that_dies_over_it_leaves_one_batch_that_the_next_one_completes(
    changes: Changes, dies_at: int
) -> None:
    plan, planned = restarting(changes), list[GatewayRef]()

    def dying(request: Request, ref: GatewayRef, batch: str) -> Reply | None:
        if len(planned) == dies_at:
            raise Killed
        return following(request, ref, batch)

    def following(request: Request, ref: GatewayRef, batch: str) -> Reply | None:
        planned.append(ref)
        return plan(request, ref, batch)

    with pytest.raises(Killed):
        restart_each(changes, ask_one=dying)
    assert not batch_of(changes).planned
    # By now fewer would be chosen.
    assert restart_each(changes, DEV[:1], ask_one=following) is None
    assert [each.ref for each in batch_of(changes).members] == ALL
    assert batch_of(changes).planned
    assert planned == ALL
    assert len(changes.store.open()) == len(ALL)


def test_what_cannot_be_planned_is_named_and_takes_nothing_from_the_others(
    changes: Changes,
) -> None:
    plan = restarting(changes)

    def some(request: Request, ref: GatewayRef, batch: str) -> Reply | None:
        if ref == DEV[0]:
            raise Unavailable("The cluster does not answer.", remedy="Try again.")
        if ref == DEV[1]:
            raise ZeroDivisionError
        if ref == PRODUCTION[0]:
            return Reply("No change.")
        return plan(request, ref, batch)

    assert restart_each(changes, ask_one=some) is None
    said = {each.name: each.why for each in batch_of(changes).unplanned}
    assert said[str(DEV[0])] == "The cluster does not answer. Try again."
    assert "the bot's log has the details" in said[str(DEV[1])]
    assert said[str(PRODUCTION[0])] == "No change."
    assert list(members(changes)) == ["edge-4", "edge-5"]


def test_where_nothing_can_be_planned_whoever_asked_reads_why(changes: Changes) -> None:
    def none(request: Request, ref: GatewayRef, batch: str) -> Reply | None:
        raise Unavailable("The cluster does not answer.")

    reply = restart_each(changes, ask_one=none)
    assert reply is not None
    assert reply.text == "Nothing was planned."
    assert "edge-1*: The cluster does not answer." in str(reply.blocks)


def test_one_gateway_is_no_batch(changes: Changes) -> None:
    assert restart_each(changes, DEV[:1]) is None
    (action,) = changes.store.open()
    assert action.batch == ""
    assert changes.batches.open() == ()


def test_one_gateway_that_cannot_be_planned_is_named_with_the_others(changes: Changes) -> None:
    def none(request: Request, ref: GatewayRef, batch: str) -> Reply | None:
        raise Unavailable("The cluster does not answer.")

    with pytest.raises(Unavailable):
        restart_each(changes, DEV[:1], ask_one=none)
    left_out = (Unplanned(str(DEV[1]), "It waits already."),)
    reply = restart_each(changes, DEV[:1], unplanned=left_out, ask_one=none)
    assert reply is not None
    assert "edge-1*: The cluster does not answer." in str(reply.blocks)
    assert "edge-2*: It waits already." in str(reply.blocks)
    reply = restart_each(changes, DEV[:1], unplanned=left_out)
    assert reply is not None
    assert "edge-1" not in str(reply.blocks)
    assert len(changes.store.open()) == 1


def test_it_plans_each_under_an_id_of_its_own(changes: Changes) -> None:
    asked: list[Any] = []

    def noting(request: Request, ref: GatewayRef, batch: str) -> Reply | None:
        asked.append((request.id, request.gateway))
        return Reply("No change.")

    restart_each(changes, ask_one=noting)
    assert asked == [(f"{REQUEST}:{ref}", str(ref)) for ref in ALL]
