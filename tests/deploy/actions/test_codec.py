"""Bodies of actions: read as they were written, by whichever version of the bot."""

import dataclasses
import datetime
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bot.sandbox.valkey import Valkey
from deploy.actions.action import ChangeRequest, Denial, Outcome, State
from deploy.actions.audit import AuditLog
from deploy.actions.audit_pump import AuditPump
from deploy.actions.codec import VERSION, Body, Unreadable
from deploy.actions.connection import connect
from deploy.actions.records import Records
from deploy.actions.store import ActionStore
from deploy.deadline import Deadline
from deploy.gateway import GatewayRef
from deploy.plans.requests import (
    DeployRequest,
    KeyRequest,
    RemovalRequest,
    RestartRequest,
    RollbackRequest,
    RotateRequest,
    ScaleRequest,
)
from deploy.policy import People, Policy, Requirement
from deploy.tokens.rotation import Rotation
from handlers.verbs import pending
from tests.support.actions import (
    CODEC,
    REF,
    REQUESTS,
    approve,
    as_stored,
    ask,
    by_approvers,
    confirm,
    contents,
    facts,
    plan_of,
)
from tests.support.changes import Changes
from tests.support.redis_servers import started
from tests.support.runners import runner_of
from tests.support.waiting import until

RECORDED = Path(__file__).parents[2] / "data" / "records" / "unversioned.jsonl"
"""What a bot of before records had a version left in Redis, an action a line."""
OLD = {
    record["name"]: record
    for line in RECORDED.read_text(encoding="utf-8").splitlines()
    for record in [json.loads(line)]
}
PROD = GatewayRef("west", "prod", "edge-1")
AT = "2026-11-23T15:04:05Z"
SPEC = CODEC.decode("deploy", json.dumps(OLD["deploy"]["body"])).plan.spec


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path_factory.mktemp("redis"))


@pytest.fixture
def client(server: Valkey) -> Any:
    found = connect(server.url)
    found.flushall()
    return found


@pytest.fixture
def store(client: Any) -> ActionStore:
    return ActionStore(client, CODEC)


def restored(client: Any, name: str) -> None:
    """The recorded action as AAAAAA, asked for just now."""
    record = dict(OLD[name])
    now = int(client.time()[0]) * 1000
    record |= {"created": now, "expires": now + 60_000, "updated": now}
    for by, vote in record.pop("votes", {}).items():
        client.hset("gateway-bot:{a:AAAAAA}:votes", by, vote)
    del record["name"]
    record["body"] = json.dumps(record["body"])
    client.hset("gateway-bot:{a:AAAAAA}:act", mapping=record)
    Records(client, "gateway-bot", {}, CODEC).index("AAAAAA")


@pytest.mark.parametrize(
    ("kind", "request_"),
    [*REQUESTS.items(), ("rotate", RotateRequest(REF, Rotation(), take_over=True))],
)
def test_a_body_is_read_back_as_it_was_written(kind: str, request_: ChangeRequest) -> None:
    body = Body(
        kind, REF, by_approvers(2, break_glass="it is down"), request_, as_stored(plan_of()),
        {"channel": "C1"}, "Black Friday", True, Denial("U2", "not on a Friday", 1.5, "U4", "BBBBBB"),
    )  # fmt: skip
    assert CODEC.decode("A", CODEC.encode(body)) == body
    earlier = {**json.loads(CODEC.encode(body)), "denied_request": None}
    assert CODEC.decode("A", json.dumps(earlier)).denied == Denial("U2", "not on a Friday", 1.5)
    undenied = dataclasses.replace(body, denied=None)
    assert CODEC.decode("A", CODEC.encode(undenied)).denied is None


def test_a_rollback_is_a_whole_spec_to_an_older_bot_and_that_bot_s_is_read() -> None:
    request = RollbackRequest(SPEC, take_over=True, revision=3)
    written = json.loads(json.dumps(request.to_mapping()))
    assert DeployRequest.from_mapping(written) == DeployRequest(SPEC, take_over=True)
    older = json.loads(json.dumps(DeployRequest(SPEC).to_mapping()))
    assert RollbackRequest.from_mapping(older) == RollbackRequest(SPEC)
    assert RollbackRequest(SPEC).target == SPEC.tag


@pytest.mark.parametrize(
    ("name", "kind", "request_"),
    [
        ("deploy", "deploy", DeployRequest(SPEC, take_over=True)),
        ("rollback", "rollback", RollbackRequest(SPEC)),
        ("adopt", "adopt", DeployRequest(SPEC, take_over=True)),
        ("scale", "scale", ScaleRequest(PROD, 4)),
        ("restart", "restart", RestartRequest(PROD, AT)),
        (
            "rotate",
            "rotate",
            RotateRequest(PROD, Rotation("secondary", datetime.timedelta(days=29))),
        ),
        ("automatic", "rotate", RotateRequest(PROD, Rotation())),
        ("regenerate-key", "regenerate-key", KeyRequest(PROD, "primary")),
        ("delete", "delete", RemovalRequest(PROD, volumes=True)),
        ("window", "scale", ScaleRequest(PROD, 4)),
    ],
)
def test_what_an_earlier_bot_wrote_is_read_as_what_it_meant(
    store: ActionStore, client: Any, name: str, kind: str, request_: ChangeRequest
) -> None:
    restored(client, name)
    action = store.get("AAAAAA")
    assert action is not None
    assert (action.kind, action.request, action.ref) == (kind, request_, PROD)
    assert action.plan.digest == action.digest
    assert action.plan.spec == SPEC
    automatic = name == "automatic"
    assert (action.automatic, action.denied) == (automatic, None)
    assert action.why == ("" if name in ("automatic", "window") else "Black Friday")
    assert store.open() == (action,)


def test_an_earlier_bots_number_of_pods_is_read_where_it_is_the_usual_one(
    store: ActionStore, client: Any
) -> None:
    restored(client, "scale")
    body = json.loads(client.hget("gateway-bot:{a:AAAAAA}:act", "body"))
    for spec in (body["request"]["spec"], body["plan"]["spec"]):
        del spec["replicas"]
    client.hset("gateway-bot:{a:AAAAAA}:act", "body", json.dumps(body))
    action = store.get("AAAAAA")
    assert action is not None
    assert action.request == ScaleRequest(PROD, 3)


@pytest.mark.parametrize(
    ("name", "policy"),
    [
        ("deploy", Policy((Requirement("", People(groups=("S1",)), 2),))),
        ("window", Policy((Requirement("", People(groups=("S1",)), 1, "w-1"),))),
        ("automatic", Policy(standing="Ben, 2026-11-01")),
    ],
)
def test_who_decides_on_what_an_earlier_bot_wrote_is_who_it_said(
    store: ActionStore, client: Any, name: str, policy: Policy
) -> None:
    restored(client, name)
    action = store.get("AAAAAA")
    assert action is not None
    assert action.policy == policy


def test_what_half_of_the_approvers_approved_before_the_upgrade_is_approved_by_the_other_half(
    store: ActionStore, client: Any
) -> None:
    restored(client, "deploy")
    action = store.get("AAAAAA")
    assert action is not None
    assert [(vote.by, vote.serves) for vote in action.votes] == [("U2", None)]
    changes = Changes(client, people={"U2": "ben"})
    assert changes.agree(action, "U2", request="again").result == "voted"
    assert changes.agree(action, "U3").result == "done"


def test_what_an_earlier_bot_asked_for_runs_to_its_end(store: ActionStore, client: Any) -> None:
    restored(client, "automatic")
    action = store.get("AAAAAA")
    assert action is not None
    now = facts(action.policy)
    assert confirm(store, by="U0BOT", digest=action.digest, now=now).result == "done"
    assert store.claim("AAAAAA", "bot-1", 1, 30) is not None
    assert store.finish("AAAAAA", "bot-1", 1, Outcome(State.SUCCEEDED, "done"))
    ended = store.get("AAAAAA")
    assert ended is not None
    assert ended.state is State.SUCCEEDED


def of_a_newer_version(client: Any) -> None:
    """As a newer bot writes it: this one knows neither its fields nor its states."""
    key = "gateway-bot:{a:AAAAAA}:act"
    body = {"version": VERSION + 1, "kind": "deploy", "what": "this bot cannot know"}
    client.hset(key, mapping={"format": VERSION + 1, "body": json.dumps(body)})


def damaged(client: Any) -> None:
    """Cut short by somebody's hand."""
    key = "gateway-bot:{a:AAAAAA}:act"
    client.hset(key, "body", client.hget(key, "body")[:100])


def without_a_field(client: Any) -> None:
    client.hdel("gateway-bot:{a:AAAAAA}:act", "digest")


def of_an_unknown_kind(client: Any) -> None:
    key = "gateway-bot:{a:AAAAAA}:act"
    body = json.loads(client.hget(key, "body")) | {"kind": "paint"}
    client.hset(key, "body", json.dumps(body))


SPOILT = [of_a_newer_version, damaged, without_a_field, of_an_unknown_kind]


@pytest.mark.parametrize("spoil", SPOILT)
def test_what_cannot_be_read_is_named_and_hides_nothing_else(
    store: ActionStore, client: Any, spoil: Callable[[Any], None]
) -> None:
    ask(store)
    spoil(client)
    other = ask(store, "BBBBBB")
    with pytest.raises(Unreadable, match="Action AAAAAA cannot be read by this version"):
        store.get("AAAAAA")
    assert store.open() == store.recent(REF) == (other,)
    assert store.listing().unreadable == ("AAAAAA",)
    changes = Changes(client)
    services: Any = SimpleNamespace(
        store=store, decider=changes.decider, authority=changes.authority
    )
    reply = pending.run(services, SimpleNamespace(user="U1"))  # type: ignore[arg-type]  # all of a request it reads
    assert "cannot read `AAAAAA`" in json.dumps(reply.blocks)
    assert "`BBBBBB`" in json.dumps(reply.blocks)


@pytest.mark.parametrize("spoil", SPOILT)
def test_what_cannot_be_read_keeps_neither_messages_nor_the_trail_of_others(
    store: ActionStore, client: Any, spoil: Callable[[Any], None]
) -> None:
    ask(store)
    spoil(client)
    ask(store, "BBBBBB")
    log = AuditLog(client)
    assert AuditPump(client, CODEC, log).pump() == 1
    assert [entry.subject for entry in log.read()] == ["BBBBBB"]
    for index in ("{due}", "{unaudited}"):
        assert client.zscore(f"gateway-bot:{index}", "AAAAAA") is not None, index
    assert client.zscore("gateway-bot:{messages}:owed", "action:AAAAAA") is not None


@pytest.mark.parametrize("spoil", SPOILT)
def test_what_cannot_be_read_is_not_carried_out_and_others_are(
    store: ActionStore, client: Any, spoil: Callable[[Any], None]
) -> None:
    ask(store)
    confirm(store)
    spoil(client)
    ran: list[str] = []
    finished = threading.Event()

    def refused(action: Any, run: Any) -> Outcome:
        ran.append(action.id)
        return Outcome(State.SUCCEEDED, "done")

    leases: Any = SimpleNamespace(
        acquire=lambda *_, **__: SimpleNamespace(fence=1, action_id=""), renew=lambda *_: True
    )
    fence = SimpleNamespace(renew=finished.is_set, release=finished.set)
    fences: Any = SimpleNamespace(seen=lambda ref: 0, take=lambda *_: fence)
    executor: Any = SimpleNamespace(execute=refused)
    runner = runner_of(
        store,
        leases,
        fences,
        {"deploy": executor},
        owner="bot-1",
        report=refused,
        poll_seconds=0.05,
    )
    runner.start()
    ask(store, "BBBBBB")
    confirm(store, "BBBBBB")
    until(finished.is_set, "the other to be carried out")
    # Both are given out again after a second.
    until(lambda: client.zscore("gateway-bot:{due}", "AAAAAA") > 0, "a look at it")
    runner.stop(Deadline.after(5))
    assert ran == ["BBBBBB"]
    assert client.hget("gateway-bot:{a:AAAAAA}:act", "state") == "approved"
    assert client.zscore("gateway-bot:{due}", "AAAAAA") is not None


@pytest.mark.parametrize("state", [State.PENDING, State.APPROVED, State.RUNNING])
def test_no_script_changes_what_a_newer_bot_wrote(
    store: ActionStore, client: Any, state: State
) -> None:
    policy = None if state is State.RUNNING else by_approvers()
    ask(store, policy=policy)
    if state is State.APPROVED:
        approve(store, "U2")
    elif state is State.RUNNING:
        confirm(store)
        store.claim("AAAAAA", "bot-1", 1, 0)
    of_a_newer_version(client)
    # Long over time, by the rules of this version.
    overdue = {"expires": 1, "start_by": 1, "lease": 1}
    client.hset("gateway-bot:{a:AAAAAA}:act", mapping=overdue)
    before = contents(client)
    now = facts(by_approvers())
    saying: dict[str, Any] = {"by": "U3", "person": "U3", "digest": "d1", "facts": now}
    outcome = Outcome(State.SUCCEEDED, "done")
    calls: list[Callable[[], Any]] = [
        lambda: store.confirm("AAAAAA", by="U1", digest="d1", request_id="0", facts=now),
        lambda: store.approve("AAAAAA", request_id="1", **saying),
        lambda: store.deny("AAAAAA", reason="no", request_id="2", **saying),
        lambda: store.would("approve", "AAAAAA", **saying),
        lambda: store.cancel("AAAAAA", by="U1", digest="d1", request_id="3"),
        lambda: store.supersede("AAAAAA", Outcome(State.SUPERSEDED, "moved")),
        lambda: store.look_after("AAAAAA"),
        lambda: store.lapse("AAAAAA"),
        lambda: store.remind("AAAAAA", 1e9),
        lambda: store.claim("AAAAAA", "bot-2", 9, 30),
        lambda: store.heartbeat("AAAAAA", "bot-1", 1, 30),
        lambda: store.step("AAAAAA", "bot-1", 1, "apply", "", "s1"),
        lambda: store.progress("AAAAAA", "bot-1", 1, {"ready": 1}),
        lambda: store.waiting("AAAAAA", "BBBBBB"),
        lambda: store.finish("AAAAAA", "bot-1", 1, outcome),
        lambda: store.release("AAAAAA", "bot-1", 1),
    ]
    for call in calls:
        with pytest.raises(Unreadable):
            call()
    assert contents(client) == before
