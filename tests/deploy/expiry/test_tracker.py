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
from deploy.expiry.tracked import AZURE_EXPIRED, AZURE_NEAR, ExpiryFacts, MessageKey, Tracked
from deploy.expiry.tracker import Tracker
from deploy.gateway import GatewayRef
from handlers.views import expiry as view
from tests.support.redis_servers import LosingProxy, started

DAY = 86_400.0
REF = GatewayRef("west", "dev", "edge-1")
CHANNEL = "C0ALERTS"
INDEX = "gateway-bot:{messages}:owed"


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


def owed(tracker: Tracker) -> list[str]:
    """The messages that are marked, the most urgent first, and unmarks them."""
    found = [str(name) for name in tracker._client.zrange(INDEX, 0, -1)]
    tracker._client.delete(INDEX)
    return [name.removeprefix("expiry:") for name in found]


def message(tracked: Tracked, channel: str = CHANNEL) -> str:
    return str(MessageKey(channel, tracked.ref, tracked.episode))


def test_a_gateway_far_from_its_expiry_is_tracked_and_not_warned_of(
    server: Valkey, tracker: Tracker
) -> None:
    tracker.note(facts(server, 20 * DAY))
    assert tracker.tick() == 0
    assert found(tracker).entries == ()
    assert owed(tracker) == []
    assert tracker.known() == {REF}


def test_a_gateway_first_seen_late_is_warned_of_once_at_the_tightest_threshold(
    server: Valkey, tracker: Tracker
) -> None:
    tracker.note(facts(server, 2 * DAY))
    assert tracker.tick() == 1
    assert warnings(found(tracker)) == [3 * DAY]
    assert owed(tracker) == [message(found(tracker))]
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
    assert owed(tracker) == [message(found(tracker))]
    proxy.close()


def test_a_renewed_token_ends_the_episode_and_the_next_one_has_a_message_of_its_own(
    server: Valkey, tracker: Tracker
) -> None:
    tracker.note(facts(server, 2 * DAY))
    tracker.tick()
    first = found(tracker)
    assert first.episode == first.facts.expires_at, "so it has the same name if Redis loses it"
    assert owed(tracker) == [message(first)]
    tracker.note(facts(server, 29 * DAY))
    tracked = found(tracker)
    assert (tracked.over, tracked.warned, tracked.episode) == ("renewed", None, first.episode)
    assert owed(tracker) == [message(first)]
    tracker.note(facts(server, DAY / 2))
    tracker.tick()
    again = found(tracker)
    assert (again.over, again.heard) == ("", (CHANNEL,))
    assert again.episode > first.episode
    assert set(owed(tracker)) == {message(first), message(again)}
    before = again.during(first.episode)
    assert (before.over, before.facts.expires_at) == ("renewed", tracked.facts.expires_at)


def test_of_an_episode_that_the_log_no_longer_has_is_known_that_it_is_over(
    server: Valkey, tracker: Tracker
) -> None:
    tracker.note(facts(server, 2 * DAY))
    tracker.tick()
    first = found(tracker).episode
    tracker.note(facts(server, 5 * DAY))
    tracker.tick()
    connect(server.url).ltrim(f"gateway-bot:{{w:{REF}}}:log", -1, -1)
    assert found(tracker).during(first).over == "back"


def test_who_heard_of_an_episode_hears_of_its_end_whatever_the_settings_say_by_then(
    server: Valkey, tracker: Tracker
) -> None:
    told = facts(server, 2 * DAY)
    tracker.note(told)
    tracker.tick()
    tracker.note(dataclasses.replace(told, channels=("C0OTHER",)))
    tracker.note(dataclasses.replace(told, channels=()))
    owed(tracker)
    tracker.note(dataclasses.replace(facts(server, 29 * DAY), channels=("C0LATER",)))
    tracked = found(tracker)
    assert tracked.over == "renewed"
    assert set(owed(tracker)) == {message(tracked), message(tracked, "C0OTHER")} | {
        message(tracked, "C0LATER")
    }


def test_messages_are_marked_only_by_what_changes_what_they_show(
    server: Valkey, tracker: Tracker
) -> None:
    told = facts(server, 2 * DAY)
    tracker.note(told)
    tracker.tick()
    owed(tracker)
    assert told.expires_at is not None
    for _ in range(2):
        tracker.note(told)
        tracker.unrotated(REF, "")
        tracker.azure(REF, expired=False, expires_at=told.expires_at - 7200, instance="pod-1")
    assert owed(tracker) == []
    tracker.azure(REF, expired=False, expires_at=told.expires_at, instance="pod-1")
    assert owed(tracker) == [message(found(tracker))]


def test_the_sweep_looks_at_episodes_that_last_and_at_ended_ones_for_a_while(
    server: Valkey, tracker: Tracker
) -> None:
    tracker.note(facts(server, 20 * DAY, GatewayRef("west", "dev", "edge-9")))
    tracker.note(facts(server, 2 * DAY))
    tracker.tick()
    tracked = found(tracker)
    for _ in range(2):
        assert tracker.versions() == {message(tracked): tracked.version}
    tracker.note(facts(server, 29 * DAY))
    ended = found(tracker)
    for _ in range(2):
        assert tracker.versions() == {message(ended): ended.version}
    episodes = "gateway-bot:{warnings}:episodes"
    client = connect(server.url)
    client.zadd(episodes, {str(REF): 1})
    assert tracker.versions() == {message(ended): ended.version}, "once more after a long pause"
    assert tracker.versions() == {}
    assert client.zcard(episodes) == 0


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
    owed(tracker)
    tracker.gone(other)
    assert found(tracker, other).over == "gone"
    assert owed(tracker) == [message(found(tracker, other))]
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
    crossed = tracker._call("CROSS", REF, str(round(snoozed.facts.expires_at * 1000)), 3 * 3600)
    assert crossed.result == "early"


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
    owed(tracker)
    tracker.unrotated(REF, "A rule forbids it.")
    tracker.unrotated(REF, "A rule forbids it.")
    shown = found(tracker)
    assert shown.unrotated == "A rule forbids it."
    assert owed(tracker) == [message(shown)]
    version = shown.version
    tracker.unrotated(REF, "")
    assert (found(tracker).unrotated, found(tracker).version) == ("", version + 1)
    tracker.unrotated(REF, "A rule forbids it.")
    tracker.note(facts(server, 20 * DAY))
    assert found(tracker).unrotated == ""
    tracker.unrotated(GatewayRef("west", "dev", "gone"), "A rule forbids it.")
    assert tracker.find(GatewayRef("west", "dev", "gone")) is None


def test_a_refusal_is_listed_first_whatever_the_expiry_until_it_is_over(
    server: Valkey, tracker: Tracker
) -> None:
    other = GatewayRef("west", "dev", "edge-2")
    good = facts(server, 29 * DAY)
    tracker.note(facts(server, 5 * DAY, other))
    refused = dataclasses.replace(good, why="Azure refuses its token.", refused_since=1.5)
    tracker.note(refused)
    tracker.unrotated(REF, "A rule forbids it.")
    assert found(tracker).facts == refused
    _, (_, lines) = view.listing(tracker.listing(), redis_now(server))
    first, refusal, second, good_until = lines["text"]["text"].splitlines()
    assert first == ":red_circle: *edge-1* on west/dev"
    assert refusal.startswith("expires <!date^")
    assert "*Azure refuses its token.* Renew it: `/gateway rotate west/dev/edge-1`." in refusal
    assert "Not rotated automatically: A rule forbids it." in refusal
    assert second.endswith("*edge-2* on west/dev")
    assert good_until.startswith("expires <!date^")
    told, blocks = view.digest(tracker.listing(), redis_now(server))
    assert "1 refused by Azure" in told
    assert "edge-1" in str(blocks)
    tracker.note(good)
    assert found(tracker).facts == good


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
    listing = tracker.listing()
    assert [t.ref.name for t in listing] == ["edge-1", "edge-3", "edge-6"]
    assert owed(tracker) == [message(tracked) for tracked in listing]


@pytest.mark.parametrize("how", ["gone", "signs in"])
def test_a_gateway_that_is_back_with_a_token_is_not_over_any_more(
    server: Valkey, tracker: Tracker, how: str
) -> None:
    tracker.note(facts(server, 2 * DAY))
    tracker.tick()
    first = found(tracker).episode
    if how == "gone":
        tracker.gone(REF)
    else:
        tracker.note(dataclasses.replace(facts(server, None), source="none"))
    assert found(tracker).over == how
    owed(tracker)
    tracker.note(facts(server, 29 * DAY))
    assert found(tracker).over == "back"
    assert [t.ref for t in tracker.named("edge-1")] == [REF]
    assert owed(tracker) == [], "the message of before has ended"
    tracker.note(facts(server, 2 * DAY))
    tracker.tick()
    assert found(tracker).over == ""
    assert found(tracker).episode > first


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
