"""`gateway-bot admin`: what is stuck is shown, and ended honestly and on record."""

import getpass
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from bot import admin
from bot.__main__ import main
from bot.sandbox.valkey import Valkey
from deploy.actions.action import Action, Outcome, State
from deploy.actions.audit import AuditLog
from deploy.actions.audit_pump import AuditPump
from deploy.actions.codec import Unreadable
from deploy.actions.connection import connect
from deploy.actions.fencing import Fences
from deploy.actions.inbox import Inbox
from deploy.actions.leases import GatewayLeases
from deploy.actions.reader import Interruption
from deploy.actions.store import ActionStore
from deploy.errors import Conflict, InvalidInput, NotFound
from deploy.gateway import DEFAULT_REPOSITORY, GatewayRef
from deploy.kube.cluster import connect as connect_cluster
from handlers.actions import again
from handlers.messages.store import MessageStore, Place
from handlers.slack.payloads import request_from_mapping
from handlers.views.history import trail
from tests.bot.test_settings import GOOD
from tests.support.actions import CODEC, REF, ask, confirm
from tests.support.redis_servers import started
from tests.support.running_cluster import RunningCluster


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path_factory.mktemp("redis"))


@pytest.fixture
def store(server: Valkey) -> ActionStore:
    client = connect(server.url)
    client.flushall()
    return ActionStore(client, CODEC)


@pytest.fixture
def config(tmp_path: Path, server: Valkey, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-1")
    monkeypatch.setenv("SLACK_APP_TOKEN", "xapp-1")
    monkeypatch.setenv("REDIS_URL", server.url)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    path = tmp_path / "gateway-bot.yaml"
    path.write_text(yaml.safe_dump(GOOD))
    return path


def running(
    store: ActionStore, server: Valkey, name: str = "AAAAAA", seconds: float = 600
) -> Action:
    """An action that a bot has for so long."""
    ask(store, name)
    confirm(store, name)
    lease = GatewayLeases(connect(server.url)).acquire(REF, name, "bot-1", 600)
    action = store.claim(name, "bot-1", lease.fence, seconds)
    assert action is not None
    return action


def test_actions_that_have_not_ended_are_listed_with_whoever_has_them(
    store: ActionStore, server: Valkey, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    running(store, server)
    ask(store, "BBBBBB")
    assert admin.actions(config) == 0
    title, *rows = capsys.readouterr().out.splitlines()
    assert title.split() == ["ID", "KIND", "GATEWAY", "STATE", "SINCE", "HELD", "BY"]
    known = {row.split()[0]: row for row in rows}
    assert " running " in known["AAAAAA"]
    assert known["AAAAAA"].endswith("bot-1")
    assert " pending " in known["BBBBBB"]
    assert admin.actions(config, stuck=True) == 0
    assert "AAAAAA" not in capsys.readouterr().out


def test_actions_beyond_those_that_are_read_are_counted(
    store: ActionStore, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(502):
        digits = [number // 10**place % 10 for place in range(6)]
        ask(store, "".join("ABCDEFGHJK"[digit] for digit in digits))
    assert admin.actions(config) == 0
    *rows, last = capsys.readouterr().out.splitlines()
    assert len(rows) == 501
    assert last == "2 more are open; the 500 due first were read"


def test_an_action_whose_bot_is_gone_is_listed_as_stuck(
    store: ActionStore, server: Valkey, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    running(store, server, seconds=0)
    admin.actions(config, stuck=True)
    assert "nobody; bot-1 until " in capsys.readouterr().out
    assert admin.show(config, "AAAAAA") == 0
    said = capsys.readouterr().out
    assert "state:       running" in said
    assert "pending by U1" in said
    with pytest.raises(NotFound, match="There is no action ZZZZZZ"):
        admin.show(config, "ZZZZZZ")


@pytest.mark.parametrize("state", [State.UNKNOWN, State.FAILED])
def test_a_stuck_action_is_ended_with_its_reason_and_whoever_did_it_on_record(
    store: ActionStore,
    server: Valkey,
    config: Path,
    capsys: pytest.CaptureFixture[str],
    state: State,
) -> None:
    running(store, server, seconds=0)
    assert admin.end(config, "AAAAAA", state, "the node is gone") == 0
    ended = store.get("AAAAAA")
    assert ended is not None
    assert ended.outcome is not None
    assert (ended.state, ended.outcome.state) == (state, state)
    assert ended.outcome.happened == "An operator of the bot ended this: the node is gone"
    assert "was not checked" in ended.outcome.meaning
    log = AuditLog(connect(server.url))
    AuditPump(connect(server.url), CODEC, log).pump()
    entry = log.read()[0]
    assert (entry.event, entry.subject) == (state, "AAAAAA")
    assert entry.who.startswith(f"{getpass.getuser()}@")
    assert "the node is gone" in str(trail([entry]).blocks)
    with pytest.raises(Conflict, match=f"AAAAAA has ended: it is {state}"):
        admin.end(config, "AAAAAA", state, "again")


def test_what_a_bot_works_on_is_ended_only_on_demand_and_that_bot_writes_nothing_more(
    store: ActionStore, server: Valkey, config: Path
) -> None:
    action = running(store, server)
    with pytest.raises(Conflict, match="The bot bot-1 works on action AAAAAA") as held:
        admin.end(config, "AAAAAA", "unknown", "it hangs")
    assert "--even-held" in held.value.remedy
    assert store.interruption("AAAAAA") is None
    admin.end(config, "AAAAAA", "unknown", "it hangs", even_held=True)
    assert store.interruption("AAAAAA") is Interruption.LOST
    assert not store.heartbeat("AAAAAA", "bot-1", action.fence, 15)
    assert not store.step("AAAAAA", "bot-1", action.fence, "apply", "", "r1")
    assert not store.finish("AAAAAA", "bot-1", action.fence, Outcome(State.SUCCEEDED, "Done."))


def test_what_does_not_run_is_not_ended_from_outside(store: ActionStore, config: Path) -> None:
    ask(store, "BBBBBB")
    with pytest.raises(Conflict, match="does not run yet: it is pending"):
        admin.end(config, "BBBBBB", "unknown", "why not")
    with pytest.raises(Conflict, match="There is no action ZZZZZZ"):
        admin.end(config, "ZZZZZZ", "unknown", "why not")
    with pytest.raises(InvalidInput, match="A reason is required"):
        admin.end(config, "BBBBBB", "unknown", " ")


def test_open_plans_of_the_gateway_are_looked_at_by_a_bot_once_a_run_is_ended_from_outside(
    store: ActionStore, server: Valkey, config: Path
) -> None:
    running(store, server, seconds=0)
    ask(store, "BBBBBB")
    ask(store, "CCCCCC", ref=GatewayRef("west", "dev", "edge-2"))
    admin.end(config, "AAAAAA", "unknown", "the node is gone")
    redis = connect(server.url)
    owed = redis.zrange("gateway-bot:{inbox}:open", 0, -1)
    (stored,) = [Inbox(redis).claim(key, "bot-2", 60) for key in owed]
    asked = request_from_mapping(json.loads(stored or ""))
    assert (asked.verb, asked.options) == (again.VERB, {"action": "BBBBBB", "look": True})
    with pytest.raises(Conflict, match="AAAAAA has ended"):
        admin.end(config, "AAAAAA", "unknown", "again")
    assert redis.zcard("gateway-bot:{inbox}:open") == 1


@pytest.mark.parametrize("place", ["a pod", "the image", "no login"])
def test_where_the_login_names_nobody_an_operator_gives_a_name(
    store: ActionStore,
    server: Valkey,
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
) -> None:
    if place == "a pod":
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    elif place == "the image":
        monkeypatch.setattr(getpass, "getuser", lambda: "gateway-bot")
    else:
        monkeypatch.setattr(getpass, "getuser", _no_login)
    running(store, server, seconds=0)
    redis = connect(server.url)
    MessageStore(redis, "bot-1").adopt("action", "AAAAAA", Place("C1", "1.1"))
    with pytest.raises(InvalidInput, match="The audit trail needs your name") as refused:
        admin.end(config, "AAAAAA", "unknown", "it hangs")
    assert refused.value.field == "--by"
    for change in (admin.repost, admin.drop):
        with pytest.raises(InvalidInput, match="The audit trail needs your name"):
            change(config, "action:AAAAAA", "it hangs")
        change(config, "action:AAAAAA", "it hangs", by=" Ana\nDiaz")
    with pytest.raises(InvalidInput, match="at most 80 characters"):
        admin.end(config, "AAAAAA", "unknown", "it hangs", by="a" * 81)
    main(["admin", "end", "AAAAAA", "--config", str(config), "--reason", "it hangs", "--by", "Ana"])
    log = AuditLog(redis)
    AuditPump(redis, CODEC, log).pump()
    names = [each.who.partition(", as ")[0] for each in log.read() if "operator" in each.who]
    assert sorted(names) == ["Ana", "Ana Diaz", "Ana Diaz"]


def _no_login() -> str:
    raise OSError


def test_a_message_that_a_newer_bot_wrote_is_left_alone(
    server: Valkey, store: ActionStore, config: Path
) -> None:
    redis = connect(server.url)
    MessageStore(redis, "bot-1").adopt("action", "AAAAAA", Place("C1", "1.1"))
    redis.hset("gateway-bot:{messages}:record:action:AAAAAA", "format", 99)
    for change in (admin.repost, admin.drop):
        with pytest.raises(Unreadable, match="AAAAAA cannot be read by this version"):
            change(config, "action:AAAAAA", "why not")


def test_what_is_done_to_a_message_is_on_record(
    server: Valkey, store: ActionStore, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    redis = connect(server.url)
    messages = MessageStore(redis, "bot-1")
    messages.adopt("action", "AAAAAA", Place("C1", "1.1"))
    record = messages.take("action", "AAAAAA")
    assert record is not None
    messages.release(messages.refused(record, "d1"), 3600, failed=True)
    assert admin.messages(config) == 0
    title, line = capsys.readouterr().out.splitlines()
    assert title.split() == ["MESSAGE", "SINCE", "WHY"]
    assert line.startswith("action:AAAAAA")
    admin.repost(config, "action:AAAAAA", "the view is mended")
    assert messages.due(5).members == (("action", "AAAAAA"),)
    capsys.readouterr()
    admin.messages(config)
    assert len(capsys.readouterr().out.splitlines()) == 1
    admin.drop(config, "action:AAAAAA", "nobody reads it")
    admin.messages(config)
    assert "(operator): nobody reads it" in capsys.readouterr().out
    assert [(e.event, e.subject, e.detail) for e in AuditLog(redis).read()] == [
        ("message dropped", "message-action:AAAAAA", "nobody reads it"),
        ("message tried again", "message-action:AAAAAA", "the view is mended"),
    ]
    with pytest.raises(NotFound, match="There is no message action:ZZZZZZ"):
        admin.drop(config, "action:ZZZZZZ", "why not")


def test_the_holder_of_each_lease_is_listed(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with RunningCluster(tmp_path / "west", namespaces=("dev",), with_kubelet=False) as west:
        container = {"name": "gateway", "image": f"{DEFAULT_REPOSITORY}:2.11.1"}
        for name in (REF.name, "edge-2"):
            deployment = {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": name, "namespace": "dev"},
                "spec": {
                    "replicas": 0,
                    "selector": {"matchLabels": {"app": name}},
                    "template": {
                        "metadata": {"labels": {"app": name}},
                        "spec": {"containers": [container]},
                    },
                },
            }
            west.wait(west.cluster.apply([deployment]))
        settings = yaml.safe_load(config.read_text())
        settings["clusters"] = [{"name": "west", "kubeconfig": str(west.kubeconfig())}]
        config.write_text(yaml.safe_dump(settings))
        cluster = connect_cluster("west", kubeconfig=west.kubeconfig())
        Fences({"west": cluster}).take(REF, "AAAAAA", "bot-1", 7, 600)
        cluster.close()
        assert admin.leases(config) == 0
        _, held, free = capsys.readouterr().out.splitlines()
        assert held.split()[:4] == ["west/dev/edge-1", "bot-1", "AAAAAA", "7"]
        assert free.split() == ["west/dev/edge-2", "never", "taken"]
