"""What yesterday's bot wrote is read, and what tomorrow's writes is left alone, on a real Valkey."""

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.sandbox.valkey import Valkey
from deploy.actions.audit import AuditLog
from deploy.actions.codec import Unreadable
from deploy.actions.connection import connect
from deploy.actions.windows import Windows
from deploy.annotations import SPEC_ANNOTATION
from deploy.expiry.autopilot import try_of
from deploy.expiry.azure_events import AzureEvents
from deploy.expiry.event_grid import TokenEvent
from deploy.expiry.notices import Notices, Turn
from deploy.expiry.scanner import Rules, Scan, Scanner
from deploy.expiry.thresholds import DEFAULT
from deploy.expiry.tracked import ExpiryFacts, facts_to_mapping
from deploy.expiry.tracker import Tracker
from deploy.gateway import GatewayRef
from deploy.health.incident_store import IncidentStore
from deploy.health.incidents import Member, MemberChange, WatchedIncident
from deploy.health.live_messages import LiveMessages
from deploy.health.status import GatewaySummary
from deploy.kube.objects import Manifest
from deploy.observed.history import revisions
from deploy.observed.inventory import apim_gateway_of, is_gateway, managed_by, spec_field
from deploy.plans.handover import left_behind
from deploy.rendering.manifests import render
from deploy.rollouts.going_back import version_before
from deploy.specs.annotation import NewerSpec, mapping_from_text, spec_from_text, spec_to_text
from deploy.specs.spec import spec_from_mapping, spec_to_mapping
from tests.support.gateway_bed import SPEC
from tests.support.records import REF, held, of_version, recorded, restore
from tests.support.redis_servers import started

CHANNEL = "C0ALERTS"
OTHER = GatewayRef("west", "dev", "edge-2")
SERVICE = "contoso"
SUBJECT = f"west:{CHANNEL}"

WARNINGS = f"gateway-bot:{{w:{REF}}}:gw"
WARNINGS_DUE = "gateway-bot:{warnings}:due"
WATCH = f"gateway-bot:{{watch:{SUBJECT}}}"
LIVE = "gateway-bot:{live:command:1.2.abe}"
WINDOW = "gateway-bot:{w:DJ952N}"
STOPPED = f"gateway-bot:{{notice:{CHANNEL}:stopped development 1}}"
AZURE = f"gateway-bot:{{azure:{SERVICE}/edge-1}}"
REVISION = "deployment.kubernetes.io/revision"
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
    assert (found.told[CHANNEL].ts, found.told[CHANNEL].version) == ("1760000000.000100", 1)
    assert found.unrotated == "A rule forbids it: The tag is not pinned."
    assert [t.ref for t in tracker.listing()] == [REF]
    assert found.facts.expires_at is not None
    tracker.note(facts(REF, found.facts.expires_at))
    again = tracker.find(REF)
    assert again is not None
    assert (again.version, again.entries) == (found.version, found.entries)
    assert client.hget(WARNINGS, "format") == "1"


def test_warnings_of_a_newer_bot_are_left_alone_and_keep_nothing_from_the_others(
    client: Any, left_alone: Callable[[str], None]
) -> None:
    restore(client, "warnings")
    tracker = Tracker(client, "one")
    soon = float(client.time()[0]) + 86_400.0
    of_version(client, WARNINGS, 2)
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
    assert set(tracker.owed(CHANNEL)) == {REF, OTHER}
    asked: list[Callable[[], object]] = [
        lambda: tracker.find(REF),
        lambda: tracker.gone(REF),
        lambda: tracker.unrotated(REF, "x"),
        lambda: tracker.posting(REF, CHANNEL),
        lambda: tracker.unsent(REF, CHANNEL),
        lambda: tracker.azure(REF, expired=True, expires_at=soon, instance="x"),
        lambda: tracker.snooze(REF, by="U1", why="x", seconds=60, request_id="r"),
        lambda: tracker.sent(REF, CHANNEL, episode=1, ts="2.0", version=9, entry=9),
    ]
    for each in asked:
        with pytest.raises(Unreadable, match="The record of the token of west/dev/edge-1"):
            each()
    tracker.paid(REF, CHANNEL)
    assert REF in tracker.owed(CHANNEL)
    assert REF in tracker.known()


def test_a_bot_that_reads_all_warnings_has_the_next_turn_at_scanning_and_at_what_is_due(
    client: Any,
) -> None:
    restore(client, "warnings")
    of_version(client, WARNINGS, 2)
    client.zadd(WARNINGS_DUE, {str(REF): 0})
    older, newer = Tracker(client, "older"), Tracker(client, "newer")
    scans = [Scan("west", [summary(REF, 1.0)], whole=True)]
    rules = Rules("development", DEFAULT, (CHANNEL,))
    assert Scanner(older, lambda: scans, lambda ref: rules, ["west"]).scan()
    assert newer.hold("warnings-scan", 60)
    assert older.tick() == 0
    of_version(client, WARNINGS, 1)
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
    assert incident.replies[0] == MemberChange("better", "west/dev/edge-2")
    assert incident.message == {"channel": CHANNEL, "ts": "1760000020.000100"}
    assert (incident.version, incident.told, incident.node) == (3, 2, "node-1")
    assert set(watch.seen) == {"west/dev/edge-1 cut off", "west/dev/edge-2 below minimum"}
    assert IncidentStore(client, "bot-1").save(SUBJECT, watch)
    assert client.hget(WATCH, "format") == "1"
    assert IncidentStore(client, "bot-1").take(SUBJECT) == watch


def test_incidents_of_a_newer_bot_are_left_to_it(
    client: Any, left_alone: Callable[[str], None]
) -> None:
    restore(client, "incidents")
    of_version(client, WATCH, 2)
    client.hset(WATCH, "until", 0)
    left_alone(WATCH)
    store = IncidentStore(client, "bot-1")
    assert store.take(SUBJECT) is None
    assert store.take(SUBJECT) is None
    assert not store.save(SUBJECT, WatchedIncident())
    store.release(SUBJECT)


def test_incidents_that_are_damaged_are_watched_anew_and_said_once(
    client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    restore(client, "incidents")
    client.hset(WATCH, "watch", '{"seen": {}, "gone": {}, "incidents": [{"colour": "red"}]}')
    store = IncidentStore(client, "bot-1")
    assert [store.take(SUBJECT), store.take(SUBJECT)] == [WatchedIncident(), WatchedIncident()]
    assert [r.levelname for r in caplog.records] == ["ERROR"]


def test_a_live_message_of_before_versions_is_read(client: Any) -> None:
    restore(client, "live_message")
    client.hset(LIVE, "until", 0)
    (orphan,) = LiveMessages(client, "bot-2").orphans(())
    assert orphan.payload["verb"] == "status"
    assert orphan.payload["options"] == {"watch": True, "minutes": 5}
    assert orphan.place == {"channel": "C0OPS", "ts": "1760000030.000100"}
    assert LiveMessages(client, "bot-2").stop(orphan.id, "U0ANA")


def test_a_live_message_of_a_newer_bot_is_left_to_it(
    client: Any, left_alone: Callable[[str], None]
) -> None:
    restore(client, "live_message")
    client.hset(LIVE, mapping={"until": 0, "format": 2})
    left_alone(LIVE)
    store, key = LiveMessages(client, "bot-1"), "command:1.2.abe"
    store.begin("r2", {"id": "r2"}, 60)
    client.hset("gateway-bot:{live:r2}", "until", 0)
    assert [orphan.id for orphan in store.orphans(())] == ["r2"]
    assert store.orphans(("r2",)) == []
    assert not store.begin(key, {}, 60)
    assert store.hold(key) == ("lost", "")
    store.placed(key, {"channel": "C1", "ts": "1.0"})
    with pytest.raises(Unreadable, match="This message cannot be read"):
        store.stop(key, "U0ANA")


def test_a_window_of_before_versions_is_read(client: Any) -> None:
    restore(client, "window")
    number = client.hget(WINDOW, "number")
    window = Windows(client, AuditLog(client)).at(f"DJ952N-{number}")
    assert window is not None
    assert (window.ref, window.requester, window.by) == (REF, "U0ANA", "U0BEN")
    assert (window.reason, window.made_by) == ("restoring the link", "command:1.2.abf")
    assert window.place == {"channel": "C0OPS", "ts": "1760000040.000100"}
    assert window.until - window.opened_at == 1800


@pytest.mark.parametrize("ended", [True, False])
def test_a_window_of_a_newer_bot_opens_nothing_and_is_left_alone(
    client: Any, left_alone: Callable[[str], None], *, ended: bool
) -> None:
    client.flushall()
    windows = Windows(client, AuditLog(client))
    newer = windows.open(REF, "U0ANA", by="U0BEN", reason="x", seconds=600, request_id="r1")
    if ended:
        windows.close(newer.key, by="U0BEN")
    of_version(client, f"gateway-bot:{{w:{newer.id}}}", 2)
    left_alone(f"gateway-bot:{{w:{newer.id}}}")
    other = windows.open(OTHER, "U0ANA", by="U0BEN", reason="x", seconds=60, request_id="r")
    assert [window.id for window in windows.open_for("U0ANA")] == [other.id]
    assert windows.find(REF, "U0ANA") is None
    assert windows.place_of(newer.key) is None
    windows.close(other.key, by="U0BEN")
    assert [window.id for window in windows.ended()] == [other.id]
    assert client.zscore("gateway-bot:{windows}", newer.id) is not None
    windows.placed(newer, {"channel": "C1", "ts": "1.0"})
    asked: list[Callable[[], object]] = [
        lambda: windows.at(newer.key),
        lambda: windows.is_open(newer.key),
        lambda: windows.close(newer.key, by="U0BEN"),
        lambda: windows.check_readable(REF, "U0ANA"),
        lambda: windows.open(REF, "U0ANA", by="U0BEN", reason="x", seconds=60, request_id="r2"),
    ]
    for each in asked:
        with pytest.raises(Unreadable, match=f"The approval window {newer.id} cannot be read"):
            each()


def test_a_newer_window_that_ended_is_due_for_another_bot_at_once(client: Any) -> None:
    restore(client, "window")
    client.hset(WINDOW, mapping={"until": 1, "format": 2})
    client.zadd("gateway-bot:{windows}", {"DJ952N": 1})
    windows = Windows(client, AuditLog(client))
    assert windows.ended() == []
    of_version(client, WINDOW, 1)
    assert [window.id for window in windows.ended()] == ["DJ952N"]


def test_notices_of_before_versions_are_read(client: Any) -> None:
    restore(client, "notices")
    notices = Notices(client, "bot-1")
    assert notices.begin(f"{CHANNEL}:digest 2026-W20") == "sent"
    turn = notices.begin(f"{CHANNEL}:stopped development 1")
    assert isinstance(turn, Turn)
    assert turn.since == float(recorded("notices")[STOPPED]["value"]["since"])


def test_a_notice_of_a_newer_bot_is_left_to_it(
    client: Any, left_alone: Callable[[str], None]
) -> None:
    restore(client, "notices")
    client.hset(STOPPED, mapping={"until": 0, "format": 2})
    left_alone(STOPPED)
    notices, name = Notices(client, "bot-1"), f"{CHANNEL}:stopped development 1"
    assert [notices.begin(name), notices.begin(name)] == ["held", "held"]
    notices.mark(name)
    notices.end(name, sent=True)


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


def test_specs_of_before_versions_are_read() -> None:
    everything = Path(__file__).parents[1] / "data" / "specs" / "everything.yaml"
    carried = recorded("spec_annotation")
    assert spec_from_text(carried["small"]) == SPEC
    wanted = spec_from_mapping(yaml.safe_load(everything.read_text(encoding="utf-8")))
    assert spec_from_text(carried["everything"]) == wanted


def test_a_spec_of_a_newer_version_is_not_interpreted() -> None:
    newer = json.loads(recorded("spec_annotation")["small"]) | {"version": 2}
    with pytest.raises(NewerSpec):
        mapping_from_text(json.dumps(newer))


def of_a_newer_bot() -> Manifest:
    """A Deployment whose annotation only a newer bot understands."""
    (*_, deployment) = render(SPEC, "edge-1-token-1")
    text = json.dumps(json.loads(spec_to_text(SPEC)) | {"version": 2, "gateway": {"name": "x"}})
    deployment["metadata"]["annotations"] |= {SPEC_ANNOTATION: text, REVISION: "2"}
    deployment["metadata"]["uid"] = "u1"
    return deployment


def replica_set(number: int, text: str) -> Manifest:
    """A revision of it."""
    template = of_a_newer_bot()["spec"]["template"]
    metadata = {
        "name": f"edge-1-{number}",
        "annotations": {REVISION: str(number), SPEC_ANNOTATION: text},
        "ownerReferences": [{"uid": "u1"}],
    }
    return {"metadata": metadata, "spec": {"template": template}, "status": {"readyReplicas": 1}}


def test_a_gateway_of_a_newer_bot_is_known_by_what_else_tells() -> None:
    deployment = of_a_newer_bot()
    assert is_gateway(deployment)
    assert managed_by(deployment) == "gateway-bot"
    assert apim_gateway_of(deployment) == ""
    assert spec_field(deployment, "apim", "instance") == ""
    assert left_behind(deployment, ()) == []


def test_revisions_tell_their_spec_with_a_version_or_without() -> None:
    known = [recorded("spec_annotation")["small"], spec_to_text(SPEC)]
    newer = of_a_newer_bot()["metadata"]["annotations"][SPEC_ANNOTATION]
    sets = [replica_set(number, text) for number, text in enumerate([*known, newer], 1)]
    found = {revision.number: revision for revision in revisions(of_a_newer_bot(), sets)}
    assert found[1].spec == found[2].spec == spec_to_mapping(SPEC)
    assert found[3].spec is None
    deployment = of_a_newer_bot()
    deployment["metadata"]["annotations"][REVISION] = "4"
    before = version_before(deployment, sets, 1)
    assert before is not None
    assert before.spec == SPEC
    assert version_before(deployment, sets, 3) is None
