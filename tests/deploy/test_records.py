"""What yesterday's bot wrote is read, and what tomorrow's writes is left alone, on a real Valkey."""

import hashlib
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bot.sandbox.valkey import Valkey
from deploy.actions.audit import AuditLog
from deploy.actions.codec import Unreadable
from deploy.actions.connection import connect
from deploy.expiry.autopilot import try_of
from deploy.expiry.azure_events import AzureEvents
from deploy.expiry.event_grid import TokenEvent
from deploy.expiry.scanner import Rules, Scan, Scanner
from deploy.expiry.thresholds import DEFAULT
from deploy.expiry.tracked import ExpiryFacts, facts_to_mapping
from deploy.expiry.tracker import Tracker
from deploy.gateway import GatewayRef
from deploy.health.incident_store import IncidentStore
from deploy.health.incidents import Member, MemberChange, WatchedIncident
from deploy.health.live_messages import LiveMessages
from deploy.health.status import GatewaySummary
from tests.support.records import REF, held, of_version, recorded, restore
from tests.support.redis_servers import started
from tests.support.windows import windows_of

CHANNEL = "C0ALERTS"
OTHER = GatewayRef("west", "dev", "edge-2")
SERVICE = "contoso"
SUBJECT = f"west:{CHANNEL}"

WARNINGS = f"gateway-bot:{{w:{REF}}}:gw"
WARNINGS_DUE = "gateway-bot:{warnings}:due"
WATCH = f"gateway-bot:{{watch:{SUBJECT}}}"
LIVE = "gateway-bot:watch:{live:command:1.2.abe}"
AUDIT, AUDIT_HEAD = "gateway-bot:{audit}:log", "gateway-bot:{audit}:head"
WINDOW = "gateway-bot:{w:DJ952N}"
AZURE = f"gateway-bot:{{azure:{SERVICE}/edge-1}}"
INSTANCE = "edge-1-7f9c-abcde"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path_factory.mktemp("redis"))


@pytest.fixture
def client(server: Valkey) -> Any:
    return connect(server.url)


@pytest.fixture
def left_alone(client: Any, caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[str], None]]:
    """Notes what a key holds; in the end it holds the same, and that was reported once."""
    noted: dict[str, Any] = {}
    yield lambda key: noted.update({key: held(client, key)})
    assert noted
    assert {key: held(client, key) for key in noted} == noted
    said = [r.getMessage() for r in caplog.get_records("call") if r.levelno >= logging.WARNING]
    assert len(said) == 1, said
    assert "a newer one wrote it" in said[0]


def facts(ref: GatewayRef, expires_at: float) -> ExpiryFacts:
    return ExpiryFacts(ref, ref.name, "development", expires_at, "annotation", DEFAULT, (CHANNEL,))


def summary(ref: GatewayRef, expires_at: float) -> GatewaySummary:
    return GatewaySummary(
        ref, ref.name, "2.11.1", 1, 1, 1, 1, 0.0, "gateway-bot",
        token_source="annotation", token_expires_at=expires_at,
    )  # fmt: skip


def test_warnings_of_before_versions_are_read_and_go_on_as_they_were(client: Any) -> None:
    restore(client, "warnings")
    tracker = Tracker(client, "one")
    found = tracker.find(REF)
    assert found is not None
    assert facts_to_mapping(found.facts) == facts_to_mapping(facts(REF, 0.0))
    assert (found.episode, found.version, found.warned) == (1, 4, 259_200.0)
    assert [e.event for e in found.entries] == ["warning", "azure near", "snoozed"]
    assert (found.snoozed_by, found.snoozed_why) == ("U0ANA", "replaced on Friday")
    assert found.places() == (CHANNEL,)
    assert found.unrotated == "A rule forbids it: The tag is not pinned."
    assert [t.ref for t in tracker.listing()] == [REF]
    assert found.facts.expires_at is not None
    tracker.note(facts(REF, found.facts.expires_at))
    again = tracker.find(REF)
    assert again is not None
    assert (again.version, again.entries) == (found.version, found.entries)
    assert client.hget(WARNINGS, "format") == "2"


def test_warnings_of_a_newer_bot_are_left_alone_and_keep_nothing_from_the_others(
    client: Any, left_alone: Callable[[str], None]
) -> None:
    restore(client, "warnings")
    tracker = Tracker(client, "one")
    soon = float(client.time()[0]) + 86_400.0
    of_version(client, WARNINGS, 3)
    client.zadd(WARNINGS_DUE, {str(REF): 0})
    left_alone(WARNINGS)
    left_alone(f"gateway-bot:{{w:{REF}}}:log")
    scanner = Scanner(
        tracker,
        lambda: [Scan("west", [summary(REF, soon), summary(OTHER, soon)], whole=True)],
        lambda ref: Rules("development", DEFAULT, (CHANNEL,)),
        ["west"],
    )
    assert scanner.scan()
    assert tracker.tick() == 1
    register = tracker.register()
    assert ([t.ref for t in register.tracked], register.unreadable) == ([OTHER], (REF,))
    assert [t.ref for t in tracker.named("edge-1")] == []
    marked = client.zrange("gateway-bot:{messages}:owed", 0, -1)
    assert [name.partition("#")[0] for name in marked] == [f"expiry:{CHANNEL}|{OTHER}"]
    assert [key.partition("#")[0] for key in tracker.versions()] == [f"{CHANNEL}|{OTHER}"]
    asked: list[Callable[[], object]] = [
        lambda: tracker.find(REF),
        lambda: tracker.gone(REF),
        lambda: tracker.unrotated(REF, "x"),
        lambda: tracker.azure(REF, expired=True, expires_at=soon, instance="x"),
        lambda: tracker.snooze(REF, by="U1", why="x", seconds=60, request_id="r"),
    ]
    for each in asked:
        with pytest.raises(Unreadable, match="The record of the token of west/dev/edge-1"):
            each()
    assert REF in tracker.known()


def test_a_bot_that_reads_all_warnings_has_the_next_turn_at_scanning_and_at_what_is_due(
    client: Any,
) -> None:
    restore(client, "warnings")
    of_version(client, WARNINGS, 3)
    client.zadd(WARNINGS_DUE, {str(REF): 0})
    older, newer = Tracker(client, "older"), Tracker(client, "newer")
    scans = [Scan("west", [summary(REF, 1.0)], whole=True)]
    rules = Rules("development", DEFAULT, (CHANNEL,))
    assert Scanner(older, lambda: scans, lambda ref: rules, ["west"]).scan()
    assert newer.hold("warnings-scan", 60)
    assert older.tick() == 0
    of_version(client, WARNINGS, 2)
    assert newer.tick() == 1


def test_a_damaged_record_of_a_token_is_named_and_hides_nothing_else(client: Any) -> None:
    restore(client, "warnings")
    tracker = Tracker(client, "one")
    tracker.note(facts(OTHER, float(client.time()[0]) + 86_400.0))
    client.hset(WARNINGS, "body", "{")
    client.zadd(WARNINGS_DUE, {str(REF): 0})
    assert tracker.tick() == 1
    assert tracker.register().unreadable == (REF,)
    assert [t.ref for t in tracker.listing()] == [OTHER]


def test_incidents_of_before_versions_are_read(client: Any) -> None:
    restore(client, "incidents")
    watch = IncidentStore(client, "bot-1").take(SUBJECT)
    assert watch is not None
    (incident,) = watch.incidents
    assert list(incident.open_members) == ["west/dev/edge-1"]
    assert incident.members["west/dev/edge-2"] == Member(
        {"below minimum": "0 of 2 pods are available, 1 must be"}, 1760000005.0, 1760000060.0
    )
    assert incident.changes[0] == MemberChange("better", "west/dev/edge-2", {}, 3)
    assert (incident.version, incident.node) == (3, "node-1")
    assert set(watch.seen) == {"west/dev/edge-1 cut off", "west/dev/edge-2 below minimum"}
    store = IncidentStore(client, "bot-1")
    assert store.save(SUBJECT, watch, watch.incidents)
    assert client.hget(WATCH, "format") == "2"
    assert store.take(SUBJECT) == watch
    assert store.find(SUBJECT, incident.id) == incident


def test_incidents_of_a_newer_bot_are_left_to_it(
    client: Any, left_alone: Callable[[str], None]
) -> None:
    restore(client, "incidents")
    of_version(client, WATCH, 3)
    client.hset(WATCH, "until", 0)
    left_alone(WATCH)
    store = IncidentStore(client, "bot-1")
    assert store.take(SUBJECT) is None
    assert store.take(SUBJECT) is None
    assert not store.save(SUBJECT, WatchedIncident())
    assert store.watched(["west"]) == {}
    store.release(SUBJECT)


def test_incidents_that_are_damaged_are_watched_anew_and_said_once(
    client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    restore(client, "incidents")
    client.hset(WATCH, "watch", '{"seen": {}, "gone": {}, "incidents": [{"colour": "red"}]}')
    store = IncidentStore(client, "bot-1")
    assert [store.take(SUBJECT), store.take(SUBJECT)] == [WatchedIncident(), WatchedIncident()]
    assert [r.levelname for r in caplog.records] == ["ERROR"]


def live_messages(client: Any, owner: str) -> LiveMessages:
    return LiveMessages(client, owner, "watch")


def test_a_live_message_of_a_newer_bot_is_left_to_it(
    client: Any, left_alone: Callable[[str], None]
) -> None:
    client.flushall()
    store, key, nothing = live_messages(client, "bot-1"), "command:1.2.abe", {"text": "x"}
    newer = store.begin(key, {"id": key}, 60, nothing)
    assert newer is not None
    client.hset(LIVE, mapping={"until": 0, "format": 2})
    left_alone(LIVE)
    store.begin("r2", {"id": "r2"}, 60, nothing)
    client.hset("gateway-bot:watch:{live:r2}", "until", 0)
    assert [orphan.id for orphan in store.orphans(())] == ["r2"]
    assert store.orphans(("r2",)) == []
    assert store.begin(key, {}, 60, nothing) is None
    assert store.hold(key) == ("lost", "")
    store.show(key, {"text": "y"})
    store.end(newer, {"text": "y"}, "over")
    with pytest.raises(Unreadable, match="This message cannot be read"):
        store.stop(key, "U0ANA")
    with pytest.raises(Unreadable, match=f"The record of the message {key} cannot be read"):
        store.find(key)


def test_what_was_put_on_record_before_versions_is_read_and_the_chain_goes_on(client: Any) -> None:
    restore(client, "audit")
    trail = AuditLog(client)
    assert trail.verify() == (3, [])
    first, second, third = trail.read()[::-1]
    assert (first.event, second.event, second.who) == ("pending", "approved", "U0ANA")
    assert (second.action, second.kind, second.ref) == ("7K3MAB", "scale", str(REF))
    assert (third.event, third.who, third.action) == ("window opened", "U0BEN", "")
    trail.append("running", "one", "", ref=REF, subject="7K3MAB", kind="scale", version=3, at=1.0)
    assert trail.verify() == (4, [])
    assert [entry.event for entry in trail.read(limit=2)] == ["running", "window opened"]
    (_, newest), *_ = client.xrevrange(AUDIT, count=1)
    assert json.loads(newest["entry"])["version"] == 1


@pytest.mark.parametrize("more", [{"version": 2, "place": {}}, {"version": 2, "who": None}])
def test_what_a_newer_bot_put_on_record_is_left_alone_and_hides_nothing_else(
    client: Any, left_alone: Callable[[str], None], more: dict[str, Any]
) -> None:
    restore(client, "audit")
    trail = AuditLog(client)
    (_, newest), *_ = client.xrevrange(AUDIT, count=1)
    entry = json.loads(newest["entry"]) | {"n": 4, "prev": newest["hash"]} | more
    text = json.dumps(entry)
    written = hashlib.sha256(text.encode()).hexdigest()
    client.xadd(AUDIT, {"entry": text, "hash": written})
    client.hset(AUDIT_HEAD, mapping={"n": 4, "hash": written})
    left_alone(AUDIT)
    for _ in range(2):
        assert [each.event for each in trail.of(str(REF))][::-1] == [
            "pending", "approved", "window opened",
        ]  # fmt: skip
        assert len(trail.read(limit=1)) == 1
    assert trail.verify() == (4, [])


def test_a_field_that_is_not_known_and_a_damaged_entry_break_no_list(
    client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    restore(client, "audit")
    trail = AuditLog(client)
    (_, newest), *_ = client.xrevrange(AUDIT, count=1)
    known = json.loads(newest["entry"]) | {"more": "x"}
    for number, text in enumerate((json.dumps(known), "[]", "{", '{"version": "x"}', "{}")):
        client.xadd(AUDIT, {"entry": text, "hash": str(number)})
    assert [each.event for each in trail.read()] == [
        "window opened", "window opened", "approved", "pending",
    ]  # fmt: skip
    assert len([r for r in caplog.records if "it is damaged" in r.getMessage()]) == 4


def test_a_window_of_before_versions_is_read(client: Any) -> None:
    restore(client, "window")
    number = client.hget(WINDOW, "number")
    window = windows_of(client).at(f"DJ952N-{number}")
    assert window is not None
    assert (window.ref, window.requester, window.by) == (REF, "U0ANA", "U0BEN")
    assert (window.reason, window.made_by) == ("restoring the link", "command:1.2.abf")
    assert window.channel == ""
    assert window.until - window.opened_at == 1800


@pytest.mark.parametrize("ended", [True, False])
def test_a_window_of_a_newer_bot_opens_nothing_and_is_left_alone(
    client: Any, left_alone: Callable[[str], None], *, ended: bool
) -> None:
    client.flushall()
    windows = windows_of(client)
    newer = windows.open(
        REF, "U0ANA", by="U0BEN", reason="x", seconds=600, channel="C1", request_id="r1"
    )
    if ended:
        windows.close(newer.key, by="U0BEN")
    of_version(client, f"gateway-bot:{{w:{newer.id}}}", 3)
    left_alone(f"gateway-bot:{{w:{newer.id}}}")
    other = windows.open(
        OTHER, "U0ANA", by="U0BEN", reason="x", seconds=60, channel="C1", request_id="r"
    )
    assert [window.id for window in windows.open_for("U0ANA")] == [other.id]
    assert windows.find(REF, "U0ANA") is None
    assert windows.versions() == {other.key: 1}
    windows.close(other.key, by="U0BEN")
    assert [window.id for window in windows.ended()] == [other.id]
    assert client.zscore("gateway-bot:{windows}", newer.id) is not None
    asked: list[Callable[[], object]] = [
        lambda: windows.at(newer.key),
        lambda: windows.close(newer.key, by="U0BEN"),
        lambda: windows.latest(REF, "U0ANA"),
        lambda: windows.open(
            REF, "U0ANA", by="U0BEN", reason="x", seconds=60, channel="C1", request_id="r2"
        ),
    ]
    for each in asked:
        with pytest.raises(Unreadable, match=f"The approval window {newer.id} cannot be read"):
            each()


def test_a_newer_window_that_ended_is_due_for_another_bot_at_once(client: Any) -> None:
    restore(client, "window")
    client.hset(WINDOW, mapping={"until": 1, "format": 3})
    client.zadd("gateway-bot:{windows}", {"DJ952N": 1})
    windows = windows_of(client)
    assert windows.ended() == []
    of_version(client, WINDOW, 1)
    assert [window.id for window in windows.ended()] == ["DJ952N"]


def test_what_was_rotated_automatically_before_versions_is_read() -> None:
    kept = recorded("automatic_rotation")["gateway-bot:{automatic:development}"]["value"]
    tried = try_of(REF, kept[f"try:{REF}"])
    assert (tried.action, tried.number) == ("7K3MAB", 2)
    assert (tried.expires_at, tried.at) == (1_760_600_000.0, 1_760_000_050.0)


def test_what_azure_said_before_versions_is_read(client: Any) -> None:
    restore(client, "azure_events")
    (event,) = AzureEvents(client).about(SERVICE, "edge-1")
    assert (event.instance, event.expired) == (INSTANCE, False)
    assert (event.expires_at, event.at) == (1_760_600_000.0, 1_760_000_060.0)


def test_what_a_newer_bot_keeps_of_azure_is_left_alone(
    client: Any, left_alone: Callable[[str], None]
) -> None:
    restore(client, "azure_events")
    kept = json.loads(client.hget(AZURE, INSTANCE)) | {"version": 2, "slot": "a"}
    client.hset(AZURE, INSTANCE, json.dumps(kept))
    left_alone(AZURE)
    events = AzureEvents(client)
    assert events.about(SERVICE, "edge-1") == ()
    later = TokenEvent("e2", SERVICE, "edge-1", INSTANCE, True, 1_760_600_000.0, 1_760_700_000.0)
    assert not events.take(later)
    assert events.known() == ((SERVICE, "edge-1"),)
