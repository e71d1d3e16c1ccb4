"""What one command asks of several gateways is written down once, and read as it was."""

import json
from typing import Any

import pytest

from deploy.actions.action import action_id
from deploy.actions.batches import VERSION, Batches, Selection, Unplanned, batch_id
from deploy.actions.codec import Unreadable
from deploy.actions.owed import member
from deploy.actions.records import BATCHES
from deploy.actions.store import ActionStore
from deploy.errors import Conflict
from deploy.gateway import GatewayRef
from tests.support import actions

SELECTION = Selection("rotate", {"expiring": "7d"}, "U1", "C1", "before the holidays")
REFS = [GatewayRef("west", "dev", name) for name in ("edge-2", "edge-1")]


@pytest.fixture
def batches(client: Any) -> Batches:
    return Batches(client)


def owed(client: Any) -> list[str]:
    return [str(name) for name in client.zrange("gateway-bot:{messages}:owed", 0, -1)]


def test_a_request_that_comes_twice_makes_one_batch_with_the_members_of_the_first_time(
    batches: Batches,
) -> None:
    first = batches.create("r1", SELECTION, REFS, [Unplanned("east", "It does not answer.")])
    assert batches.create("r1", SELECTION, REFS[:1]) == first == batches.get(first.id)
    assert first.selection == SELECTION
    assert [each.ref for each in first.members] == REFS
    assert [each.action for each in first.members] == [action_id(f"r1:{ref}") for ref in REFS]
    assert first.unplanned == (Unplanned("east", "It does not answer."),)
    assert not first.planned


def test_another_request_s_batch_is_not_taken_for_this_one(client: Any, batches: Batches) -> None:
    batches.create("r1", SELECTION, REFS)
    client.hset(f"gateway-bot:{{b:{batch_id('r1')}}}", "made_by", "r2")
    with pytest.raises(Conflict):
        batches.create("r1", SELECTION, REFS)


def test_the_id_of_a_reason_is_kept_beside_its_words_where_an_older_bot_looks_at_neither(
    client: Any, batches: Batches
) -> None:
    batch = batches.create("r1", SELECTION, REFS, [Unplanned("west/dev/a", "It is.", "kind")])
    batches.skip(batch, REFS[0], "Others own it.", "others-deploy")
    found = batches.get(batch.id)
    assert found is not None
    assert found.unplanned == (
        Unplanned("west/dev/a", "It is.", "kind"),
        Unplanned(str(REFS[0]), "Others own it.", "others-deploy"),
    )
    fields = client.hgetall(f"gateway-bot:{{b:{batch.id}}}")
    assert json.loads(fields["body"])["unplanned"] == [["west/dev/a", "It is."]]
    assert fields[f"skip:{REFS[0]}"] == "Others own it."


def test_what_becomes_of_a_member_is_noted_once_and_raises_the_version(batches: Batches) -> None:
    batch = batches.create("r1", SELECTION, REFS)
    for _ in range(2):
        batches.skip(batch, REFS[0], "Others own it.")
        batches.planned(batch)
    batches.skip(batch, REFS[0], "Another reason.")
    found = batches.get(batch.id)
    assert found is not None
    assert found.unplanned == (Unplanned(str(REFS[0]), "Others own it."),)
    assert found.planned
    assert found.version == batch.version + 2


def test_a_member_that_is_planned_anew_has_the_newest_action(batches: Batches) -> None:
    batch = batches.create("r1", SELECTION, REFS)
    first = batch.members[0].action
    batches.again(batch.id, first, "BBBBBB")
    batches.again(batch.id, "BBBBBB", "CCCCCC")
    found = batches.get(batch.id)
    assert found is not None
    assert found.members[0].actions == (first, "BBBBBB", "CCCCCC")
    assert found.members[0].action == "CCCCCC"
    assert found.members[1].actions == batch.members[1].actions


def test_what_is_asked_again_from_an_older_plan_takes_the_place_of_the_newest(
    batches: Batches,
) -> None:
    batch = batches.create("r1", SELECTION, REFS)
    first = batch.members[0].action
    batches.again(batch.id, first, "BBBBBB")
    for _ in range(2):
        batches.again(batch.id, first, "CCCCCC")
        batches.again(batch.id, first, "BBBBBB")
    found = batches.get(batch.id)
    assert found is not None
    assert found.members[0].actions == (first, "BBBBBB", "CCCCCC")
    assert found.version == batch.version + 2


def test_a_newer_bot_s_batch_is_left_alone(client: Any, batches: Batches) -> None:
    batch = batches.create("r1", SELECTION, REFS)
    key = f"gateway-bot:{{b:{batch.id}}}"
    client.hset(key, "format", VERSION + 1)
    before = client.hgetall(key)
    batches.planned(batch)
    with pytest.raises(Unreadable):
        batches.get(batch.id)
    with pytest.raises(Unreadable):
        batches.create("r1", SELECTION, REFS)
    assert client.hgetall(key) == before


def test_a_batch_that_has_ended_is_looked_at_for_a_little_longer(
    client: Any, batches: Batches
) -> None:
    batch = batches.create("r1", SELECTION, REFS)
    batches.ended(batch.id)
    assert batches.open() == (batch.id,)
    client.zadd("gateway-bot:{batches}", {batch.id: 1})
    assert batches.open() == ()
    batches.again(batch.id, batch.members[0].action, "BBBBBB")
    assert batches.open() == (batch.id,)


def test_a_change_of_a_member_marks_the_message_of_its_batch_and_progress_does_not(
    client: Any, store: ActionStore
) -> None:
    mark = member(BATCHES, "BATCH2")
    actions.ask(store, batch="BATCH2")
    assert mark in owed(client)
    actions.confirm(store)
    assert store.claim("AAAAAA", "bot", 1, 30)
    client.zrem("gateway-bot:{messages}:owed", mark)
    store.progress("AAAAAA", "bot", 1, {"ready": 1})
    store.heartbeat("AAAAAA", "bot", 1, 30)
    assert mark not in owed(client)
    found = store.get("AAAAAA")
    assert found is not None
    assert found.batch == "BATCH2"
