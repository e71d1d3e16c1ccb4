"""`gateway-bot admin pause`, `resume` and `list`: on record, and seen by every bot at once."""

import json
from pathlib import Path

import pytest
import yaml

from bot.__main__ import main
from bot.sandbox.valkey import Valkey
from bot.settings_file import SettingsFile, read
from deploy.access import Environment
from deploy.actions import reader
from deploy.actions.audit import AuditLog
from deploy.actions.connection import connect
from deploy.actions.pauses import CLUSTER, Pauses
from deploy.actions.store import ActionStore
from deploy.gateway import GatewayRef
from handlers.messages.home_tabs import HomeReaders
from handlers.messages.pauses_shown import report_ended
from handlers.views.history import trail
from tests.bot.test_admin import config, running, server, store
from tests.support.actions import REQUESTS, ask, confirm

__all__ = ["config", "server", "store"]
SOON = "2099-01-01T00:00Z"


@pytest.fixture
def named(config: Path) -> list[str]:
    """The arguments that every command takes."""
    settings = yaml.safe_load(config.read_text())
    settings["clusters"] = [
        {"name": "west", "context": "west"},
        {"name": "east", "context": "east"},
    ]
    settings["environments"] = [{"name": "development", "clusters": ["*"]}]
    config.write_text(yaml.safe_dump(settings))
    return ["--config", str(config)]


def test_a_pause_is_listed_with_what_waits_for_it_until_it_is_resumed(
    store: ActionStore, server: Valkey, named: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    running(store, server)
    for name, cluster in (("BBBBBB", "west"), ("CCCCCC", "east")):
        ask(store, name, ref=GatewayRef(cluster, "dev", "edge-2"))
        confirm(store, name)
    west = ["--cluster", "west", *named, "--by", "Ana"]
    assert main(["admin", "pause", *west, "--reason", "kernel upgrade", "--until", SOON]) == 0
    said = capsys.readouterr().out
    assert "Cluster west is paused until 2099-01-01 00:00 UTC. No action starts there." in said
    assert "Automatic token rotation continues." in said
    assert "BBBBBB  deploy west/dev/edge-2 waits" in said
    assert "AAAAAA  deploy west/dev/edge-1 is running and continues to its end" in said
    assert "CCCCCC" not in said
    assert "admin resume --cluster west" in said
    assert main(["admin", "list", *named]) == 0
    title, row = capsys.readouterr().out.splitlines()
    assert title.split() == ["PAUSED", "SINCE", "UNTIL", "WAITING", "BY", "REASON"]
    assert row.startswith("cluster west ")
    assert "  1        Ana, as " in row
    assert row.endswith("kernel upgrade")
    assert main(["admin", "resume", *west, "--reason", "done"]) == 0
    assert "BBBBBB  deploy west/dev/edge-2 starts" in capsys.readouterr().out
    main(["admin", "list", *named])
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert main(["admin", "resume", *west]) == 1
    assert "Cluster west is not paused." in capsys.readouterr().err


def test_the_settings_are_read_once_for_each_command(
    store: ActionStore, server: Valkey, named: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    texts: list[str] = []

    def counted(text: str) -> SettingsFile:
        texts.append(text)
        return read(text)

    monkeypatch.setattr("bot.settings.read", counted)
    where = ["--cluster", "west", *named, "--by", "Ana"]
    for command in (
        ["pause", *where, "--reason", "upgrade"],
        ["list", *named],
        ["resume", *where],
    ):
        texts.clear()
        assert main(["admin", *command]) == 0
        assert len(texts) == 1, command


def test_pause_and_resume_are_in_the_audit_trail_with_who_and_why(
    store: ActionStore, server: Valkey, named: list[str]
) -> None:
    where = ["--environment", "development", *named, "--by", "Ana"]
    main(["admin", "pause", *where, "--reason", "migration", "--until", SOON])
    main(["admin", "resume", *where, "--reason", "it is done"])
    entries = AuditLog(connect(server.url)).read()
    assert [(e.event, e.subject) for e in entries] == [
        ("resumed", "pause-environment-development"),
        ("paused", "pause-environment-development"),
    ]
    shown = json.dumps(trail(entries).blocks)
    for word in (
        "environment development: *paused*",
        "by Ana, as ",
        "migration (until 2099-",
        "done",
    ):
        assert word in shown


def test_messages_and_home_tabs_that_show_a_pause_are_behind_at_once(
    store: ActionStore, server: Valkey, named: list[str]
) -> None:
    redis = connect(server.url)
    ask(store, "AAAAAA")
    for key in redis.scan_iter("*owed*"):
        redis.delete(key)
    HomeReaders(redis).opened("U1")
    for command in (["pause", "--reason", "upgrade"], ["resume"]):
        main(["admin", command[0], "--cluster", "west", *command[1:], *named, "--by", "Ana"])
        marked = redis.zrange("gateway-bot:{messages}:owed", 0, -1)
        assert set(marked) == {"action:AAAAAA", "home:U1"}
        redis.delete("gateway-bot:{messages}:owed")


def test_what_another_pause_still_holds_does_not_start(
    store: ActionStore, server: Valkey, named: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    ask(store, "AAAAAA")
    confirm(store, "AAAAAA")
    by = [*named, "--by", "Ana"]
    main(["admin", "pause", "--cluster", "west", "--reason", "x", *by])
    main(["admin", "pause", "--environment", "development", "--reason", "y", *by])
    capsys.readouterr()
    main(["admin", "resume", "--cluster", "west", *by])
    assert "waits: environment development is paused" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--cluster", "wets", "--reason", "x"], "Did you mean west?"),
        (["--environment", "qa", "--reason", "x"], "They have development."),
        (["--cluster", "west", "--reason", " "], "A reason is required."),
        (["--cluster", "west", "--reason", "x", "--until", "2020-01-01"], "is over"),
        (["--cluster", "west", "--reason", "x", "--until", "999999w"], "after the year 9999"),
        (
            ["--cluster", "west", "--reason", "x", "--until", "later"],
            "or 2h for two hours from now",
        ),
    ],
)
def test_what_cannot_be_paused_is_refused_and_nothing_is_paused(
    store: ActionStore,
    server: Valkey,
    named: list[str],
    capsys: pytest.CaptureFixture[str],
    given: list[str],
    said: str,
) -> None:
    assert main(["admin", "pause", *given, *named, "--by", "Ana"]) == 1
    assert said in capsys.readouterr().err
    assert Pauses(connect(server.url)).all() == ()


def test_what_the_settings_no_longer_have_can_be_resumed(
    store: ActionStore, server: Valkey, named: list[str]
) -> None:
    Pauses(connect(server.url)).begin(CLUSTER, "gone", reason="x", by="y")
    assert main(["admin", "resume", "--cluster", "gone", *named, "--by", "Ana"]) == 0


def test_a_length_of_time_ends_a_pause_that_long_from_now(
    store: ActionStore, server: Valkey, named: list[str]
) -> None:
    main(
        [
            "admin",
            "pause",
            "--cluster",
            "west",
            "--reason",
            "x",
            "--until",
            "2h",
            *named,
            "--by",
            "A",
        ]
    )
    (found,) = Pauses(connect(server.url)).all()
    assert found.since is not None
    assert found.until is not None
    assert 7100 < found.until - found.since < 7300


@pytest.mark.parametrize("command", ["pause", "resume"])
def test_what_no_replica_of_redis_has_confirmed_is_said_and_fails(
    store: ActionStore,
    server: Valkey,
    named: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
) -> None:
    reason = ["--reason", "x", *named, "--by", "Ana"]
    if command == "resume":
        main(["admin", "pause", "--cluster", "west", *reason])
    monkeypatch.setattr(Pauses, "replicated", lambda self: False)
    assert main(["admin", command, "--cluster", "west", *reason]) == 1
    told = capsys.readouterr()
    assert f"Cluster west is {command}d." in told.out
    assert "No replica of Redis has confirmed this" in told.err
    assert "gateway-bot admin list" in told.err


def test_of_very_many_plans_all_are_shown_anew_when_a_pause_begins_or_ends(
    store: ActionStore, server: Valkey, named: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    redis = connect(server.url)
    monkeypatch.setattr(reader, "_OPEN_LIMIT", 2)
    names = [letter * 6 for letter in "ABCDE"]
    for number, name in enumerate(names):
        ask(store, name, ref=GatewayRef("west", "dev", f"edge-{number}"))
        confirm(store, name)
    owed, every = "gateway-bot:{messages}:owed", {f"action:{name}" for name in names}
    redis.delete(owed)
    main(["admin", "pause", "--cluster", "west", *named, "--reason", "x"])
    assert set(redis.zrange(owed, 0, -1)) == every
    redis.delete(owed)
    pauses = Pauses(redis)
    pauses.begin(CLUSTER, "west", reason="x", by="Ana", until=store.now() - 1)
    report_ended(pauses, store, HomeReaders(redis), ())
    assert set(redis.zrange(owed, 0, -1)) == every


def test_plans_and_home_tabs_are_shown_anew_once_a_pause_has_ended_automatically(
    store: ActionStore, server: Valkey
) -> None:
    redis = connect(server.url)
    pauses, readers = Pauses(redis), HomeReaders(redis)
    everywhere = (Environment("development", clusters=("*",)),)
    ask(store, "AAAAAA")
    ask(store, "BBBBBB", ref=GatewayRef("east", "dev", "edge-1"))
    ask(
        store,
        "CCCCCC",
        ref=GatewayRef("east", "dev", "edge-2"),
        kind="regenerate-key",
        request=REQUESTS["regenerate-key"],
    )
    readers.opened("U1")
    pauses.begin(CLUSTER, "west", reason="x", by="Ana", until=store.now() + 3600)
    owed = "gateway-bot:{messages}:owed"
    redis.delete(owed)
    report_ended(pauses, store, readers, everywhere)
    assert redis.zrange(owed, 0, -1) == []
    pauses.begin(CLUSTER, "west", reason="x", by="Ana", until=store.now() - 1)
    report_ended(pauses, store, readers, everywhere)
    # A new key concerns every place of its gateway, which only a bot can look up.
    assert set(redis.zrange(owed, 0, -1)) == {"action:AAAAAA", "action:CCCCCC", "home:U1"}
    redis.delete(owed)
    report_ended(pauses, store, readers, everywhere)
    assert redis.zrange(owed, 0, -1) == []
