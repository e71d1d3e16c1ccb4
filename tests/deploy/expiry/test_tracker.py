"""The tracker on a real Valkey: each warning once, by Redis' own clock, and none is lost."""

import dataclasses
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.sandbox.valkey import Valkey
from deploy.actions.connection import connect
from deploy.expiry.thresholds import DEFAULT
from deploy.expiry.tracked import AZURE_EXPIRED, AZURE_NEAR, ExpiryFacts, Tracked
from deploy.expiry.tracker import Tracker
from deploy.gateway import GatewayRef
from tests.support.redis_servers import LosingProxy, started

DAY = 86_400.0
REF = GatewayRef("west", "dev", "edge-1")
CHANNEL = "C0ALERTS"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path_factory.mktemp("redis"))


@pytest.fixture
def tracker(server: Valkey) -> Tracker:
    connect(server.url).flushall()
    return Tracker(connect(server.url), "one")


def redis_now(server: Valkey) -> float:
    seconds, micros = connect(server.url).time()
    return float(seconds + micros / 1e6)


def facts(server: Valkey, left: float | None, ref: GatewayRef = REF) -> ExpiryFacts:
    expires_at = None if left is None else float(round(redis_now(server) + left))
    source = "unknown" if left is None else "annotation"
    return ExpiryFacts(ref, ref.name, "development", expires_at, source, DEFAULT, (CHANNEL,))  # type: ignore[arg-type]  # one of two literals


def found(tracker: Tracker, ref: GatewayRef = REF) -> Tracked:
    tracked = tracker.find(ref)
    assert tracked is not None
    return tracked


def warnings(tracked: Tracked) -> list[float | None]:
    return [entry.threshold for entry in tracked.entries if entry.event == "warning"]


def deliver(tracker: Tracker, ref: GatewayRef = REF, ts: str = "1.0") -> None:
    tracked = found(tracker, ref)
    tracker.posting(ref, CHANNEL)
    tracker.sent(
        ref, CHANNEL, episode=tracked.episode, ts=ts, version=tracked.version,
        entry=tracked.entries[-1].number,
    )  # fmt: skip
    tracker.paid(ref, CHANNEL)


def test_a_gateway_far_from_its_expiry_is_tracked_and_not_warned_of(
    server: Valkey, tracker: Tracker
) -> None:
    tracker.note(facts(server, 20 * DAY))
    assert tracker.tick() == 0
    assert found(tracker).entries == ()
    assert tracker.owed(CHANNEL) == []
    assert tracker.known() == {REF}


def test_a_gateway_first_seen_late_is_warned_of_once_at_the_tightest_threshold(
    server: Valkey, tracker: Tracker
) -> None:
    tracker.note(facts(server, 2 * DAY))
    assert tracker.tick() == 1
    assert warnings(found(tracker)) == [3 * DAY]
    assert tracker.owed(CHANNEL) == [REF]
    assert tracker.tick() == 0
    tracker.note(facts(server, 2 * DAY))


def test_many_bots_that_look_at_the_same_crossing_make_one_warning(
    server: Valkey, tracker: Tracker
) -> None:
    refs = [GatewayRef("west", "dev", f"edge-{n}") for n in range(60)]
    for ref in refs:
        tracker.note(facts(server, 2 * DAY, ref))
    bots = [Tracker(connect(server.url), f"bot-{n}") for n in range(8)]
    # Each looks at everything, as it would after a long stall; only the first look counts.
    threads = [
        threading.Thread(target=lambda bot=bot: [bot._look(ref) for ref in refs]) for bot in bots
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [warnings(found(tracker, ref)) for ref in refs] == [[3 * DAY]] * 60


def test_what_a_bot_took_and_did_not_settle_is_due_again(server: Valkey, tracker: Tracker) -> None:
    tracker.note(facts(server, 2 * DAY))
    client = connect(server.url)
    taken = tracker._take_due(keys=[tracker._due], args=[10, 1])
    assert taken == [str(REF)]
    while not tracker.tick():
        pass
    assert warnings(found(tracker)) == [3 * DAY]
    assert client.zscore(tracker._due, str(REF)) > redis_now(server) * 1000


def test_a_lost_reply_makes_no_second_warning(server: Valkey, tmp_path: Path) -> None:
    connect(server.url).flushall()
    proxy = LosingProxy(server.url, tmp_path)
    tracker = Tracker(connect(proxy.url), "one")
    tracker.note(facts(server, 2 * DAY))
    proxy.match, proxy.lose = b"EVALSHA", 3
    tracker.tick()
    proxy.lose = 0
    tracker._look(REF)
    assert warnings(found(tracker)) == [3 * DAY]
    assert tracker.owed(CHANNEL) == [REF]
    proxy.close()


def test_a_renewed_token_ends_the_episode_and_the_next_one_has_a_message_of_its_own(
    server: Valkey, tracker: Tracker
) -> None:
    tracker.note(facts(server, 2 * DAY))
    tracker.tick()
    deliver(tracker)
    assert tracker.owed(CHANNEL) == []
    tracker.note(facts(server, 29 * DAY))
    tracked = found(tracker)
    assert (tracked.over, tracked.warned, tracked.behind()) == ("renewed", None, (CHANNEL,))
    deliver(tracker)
    tracker.note(facts(server, DAY / 2))
    tracker.tick()
    again = found(tracker)
    assert (again.episode, again.over, again.behind()) == (2, "", (CHANNEL,))
    assert again.told[CHANNEL].episode == 1


def test_a_message_that_does_not_show_its_end_yet_goes_on_where_the_new_token_is_short(
    server: Valkey, tracker: Tracker
) -> None:
    tracker.note(facts(server, 2 * DAY))
    tracker.tick()
    deliver(tracker)
    tracker.note(facts(server, 5 * DAY))
    tracker.tick()
    tracked = found(tracker)
    assert (tracked.episode, tracked.over, warnings(tracked)) == (1, "", [3 * DAY, 7 * DAY])


def test_what_cannot_be_read_now_does_not_unsay_what_was_known(
    server: Valkey, tracker: Tracker
) -> None:
    tracker.note(facts(server, 2 * DAY))
    tracker.tick()
    tracker.note(facts(server, None))
    tracked = found(tracker)
    assert (tracked.over, tracked.facts.source) == ("", "unknown")
    assert tracked.facts.expires_at is not None


def test_a_gateway_that_moved_to_entra_or_is_gone_is_not_warned_of_any_more(
    server: Valkey, tracker: Tracker
) -> None:
    tracker.note(facts(server, 2 * DAY))
    tracker.tick()
    entra = dataclasses.replace(facts(server, None), source="none")
    tracker.note(entra)
    assert found(tracker).over == "signs in"
    other = GatewayRef("west", "dev", "edge-2")
    tracker.note(facts(server, 2 * DAY, other))
    tracker.tick()
    deliver(tracker, other)
    tracker.gone(other)
    assert found(tracker, other).over == "gone"
    assert tracker.owed(CHANNEL) == [REF, other] or tracker.owed(CHANNEL) == [other, REF]
    assert tracker.known() == {REF}
    assert tracker.tick() == 0


def test_a_snooze_silences_until_it_ends_but_never_the_expiry(
    server: Valkey, tracker: Tracker
) -> None:
    tracker.note(facts(server, 2 * DAY))
    tracker.tick()
    snoozed = tracker.snooze(REF, by="U1", why="moved on Monday", seconds=30 * DAY, request_id="r")
    assert snoozed is not None
    assert snoozed.snoozed
    assert snoozed.snoozed_until == snoozed.facts.expires_at
    again = tracker.snooze(REF, by="U1", why="moved on Monday", seconds=DAY, request_id="r")
    assert again is not None
    assert again.snoozed_until == snoozed.snoozed_until
    assert [e.event for e in again.entries] == ["warning", "snoozed"]
    assert snoozed.facts.expires_at is not None
    result, _ = tracker._call("CROSS", REF, str(round(snoozed.facts.expires_at * 1000)), 3 * 3600)
    assert result == "early"


def test_a_gateway_that_was_never_warned_of_cannot_be_snoozed(
    server: Valkey, tracker: Tracker
) -> None:
    tracker.note(facts(server, 20 * DAY))
    assert tracker.snooze(REF, by="U1", why="no", seconds=DAY, request_id="r") is None


def test_azure_tells_an_expiry_that_nothing_else_tells(server: Valkey, tracker: Tracker) -> None:
    tracker.note(facts(server, None))
    expires_at = float(round(redis_now(server) - 60))
    tracker.azure(REF, expired=True, expires_at=expires_at, instance="edge-1-abc")
    assert warnings(found(tracker)) == [0]
    tracker.azure(REF, expired=True, expires_at=expires_at, instance="edge-1-abc")
    tracker.azure(REF, expired=True, expires_at=expires_at, instance="edge-1-def")
    tracker.azure(REF, expired=False, expires_at=expires_at, instance="edge-1-def")
    warning, told = found(tracker).entries
    assert (warning.event, told.event, told.detail) == ("warning", AZURE_EXPIRED, "edge-1-abc")


def test_what_azure_told_an_earlier_version_is_still_read(server: Valkey, tracker: Tracker) -> None:
    tracker.note(facts(server, None))
    tracker.azure(REF, expired=True, expires_at=redis_now(server) - 60, instance="edge-1-abc")
    client = connect(server.url)
    (log,) = client.keys("*:log")
    entry = {**json.loads(client.lindex(log, -1)), "event": "azure", "detail": "expired edge-1-abc"}
    client.lset(log, -1, json.dumps(entry))
    told = found(tracker).entries[-1]
    assert (told.event, told.detail) == (AZURE_EXPIRED, "edge-1-abc")


def test_why_it_is_not_rotated_on_its_own_is_shown_until_it_is_or_has_a_new_token(
    server: Valkey, tracker: Tracker
) -> None:
    tracker.note(facts(server, 2 * DAY))
    tracker.tick()
    deliver(tracker)
    tracker.unrotated(REF, "A rule forbids it.")
    tracker.unrotated(REF, "A rule forbids it.")
    shown = found(tracker)
    assert (shown.unrotated, shown.behind()) == ("A rule forbids it.", (CHANNEL,))
    version = shown.version
    tracker.unrotated(REF, "")
    assert (found(tracker).unrotated, found(tracker).version) == ("", version + 1)
    tracker.unrotated(REF, "A rule forbids it.")
    tracker.note(facts(server, 20 * DAY))
    assert found(tracker).unrotated == ""
    tracker.unrotated(GatewayRef("west", "dev", "gone"), "A rule forbids it.")
    assert tracker.find(GatewayRef("west", "dev", "gone")) is None


def test_the_lease_of_a_job_is_held_by_one_bot_at_a_time(server: Valkey, tracker: Tracker) -> None:
    other = Tracker(connect(server.url), "two")
    assert tracker.hold("scan", 60)
    assert tracker.hold("scan", 60)
    assert not other.hold("scan", 60)
    tracker.let_go("scan")
    assert other.hold("scan", 60)


def test_the_most_urgent_is_told_first_and_the_listing_is_in_that_order(
    server: Valkey, tracker: Tracker
) -> None:
    for left, name in ((6, "edge-6"), (1, "edge-1"), (3, "edge-3")):
        tracker.note(facts(server, left * DAY, GatewayRef("west", "dev", name)))
    tracker.tick()
    assert [ref.name for ref in tracker.owed(CHANNEL)] == ["edge-1", "edge-3", "edge-6"]
    assert [t.ref.name for t in tracker.listing()] == ["edge-1", "edge-3", "edge-6"]
    assert tracker.owing() == [CHANNEL]


@pytest.mark.parametrize("how", ["gone", "signs in"])
def test_a_gateway_that_is_back_with_a_token_is_not_over_any_more(
    server: Valkey, tracker: Tracker, how: str
) -> None:
    tracker.note(facts(server, 2 * DAY))
    tracker.tick()
    deliver(tracker)
    if how == "gone":
        tracker.gone(REF)
    else:
        tracker.note(dataclasses.replace(facts(server, None), source="none"))
    deliver(tracker)
    assert found(tracker).over == how
    tracker.note(facts(server, 29 * DAY))
    assert found(tracker).over == "back"
    assert [t.ref for t in tracker.named("edge-1")] == [REF]
    assert tracker.owed(CHANNEL) == [], "the message of before has ended"
    tracker.note(facts(server, 2 * DAY))
    tracker.tick()
    assert (found(tracker).over, found(tracker).episode) == ("", 2)


def test_tokens_that_were_made_within_a_minute_are_told_of_once_however_often_azure_is_recalled(
    server: Valkey, tracker: Tracker
) -> None:
    told = facts(server, 2 * DAY)
    assert told.expires_at is not None
    tracker.note(told)
    tracker.tick()
    for _ in range(3):
        for number, later in enumerate((-60, 0, 60)):
            expires_at, instance = told.expires_at + later, f"pod-{number}"
            tracker.azure(REF, expired=False, expires_at=expires_at, instance=instance)
    assert [e.event for e in found(tracker).entries] == ["warning", AZURE_NEAR]


def test_a_later_expiry_that_azure_tells_is_a_renewal_where_nothing_else_tells(
    server: Valkey, tracker: Tracker
) -> None:
    tracker.note(facts(server, None))
    now = redis_now(server)
    tracker.azure(REF, expired=False, expires_at=now + 2 * DAY, instance="pod-1")
    assert warnings(found(tracker)) == [3 * DAY]
    tracker.azure(REF, expired=False, expires_at=now + 30 * DAY, instance="pod-2")
    assert found(tracker).over == "renewed"
    assert found(tracker).facts.expires_at == pytest.approx(now + 30 * DAY, abs=1)
    tracker.azure(REF, expired=True, expires_at=now + 2 * DAY, instance="pod-1")
    assert found(tracker).facts.expires_at == pytest.approx(now + 30 * DAY, abs=1)


def test_azure_does_not_unsay_an_expiry_that_the_cluster_tells(
    server: Valkey, tracker: Tracker
) -> None:
    told = facts(server, 2 * DAY)
    tracker.note(told)
    tracker.azure(REF, expired=False, expires_at=redis_now(server) + 30 * DAY, instance="pod-1")
    assert found(tracker).facts.expires_at == told.expires_at
