"""What a scan brings into the tracker: every gateway, by its environment's rules."""

import dataclasses
import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from bot.sandbox.valkey import Valkey
from deploy.actions.connection import connect
from deploy.expiry.scanner import Rules, Scan, Scanner, facts_of
from deploy.expiry.tracker import Tracker
from deploy.gateway import GatewayRef
from deploy.health.attention import BROKEN, SOON, Attention, Sign
from deploy.health.status import GatewaySummary
from deploy.kube.places import Places
from handlers.views import expiry as view
from handlers.views import renewals
from tests.support.redis_servers import started

NOW = 1_800_000_000.0
REF = GatewayRef("west", "dev", "edge-1")
RULES = Rules("development", (7 * 86_400.0, 0.0), ("C0ALERTS",))


def summary(ref: GatewayRef = REF, source: str = "annotation") -> GatewaySummary:
    known = source in ("annotation", "token")
    return GatewaySummary(
        ref, ref.name, "2.11.1", 1, 1, 1, 1, 0.0, "gateway-bot",
        token_source=source, token_expires_at=NOW if known else None,
    )  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path_factory.mktemp("redis"))


class Bed:
    """A Redis, and what the clusters say."""

    def __init__(self, server: Valkey) -> None:
        self.redis = connect(server.url)
        self.redis.flushall()
        self.scans: Sequence[Scan] = ()
        self.clusters = ["west", "east"]

    def bot(self, name: str) -> Scanner:
        return Scanner(
            Tracker(self.redis, name), lambda: self.scans, lambda ref: RULES, self.clusters
        )

    def known(self) -> list[str]:
        return sorted(ref.name for ref in Tracker(self.redis, "look").known())


@pytest.fixture
def bed(server: Valkey) -> Bed:
    return Bed(server)


def test_an_expiry_is_known_by_annotation_text_or_an_apps_noted_day_and_else_unknown() -> None:
    assert facts_of(summary(source="annotation"), RULES).expires_at == NOW
    assert facts_of(summary(source="token"), RULES).source == "token"
    unknown = facts_of(summary(source="unknown"), RULES)
    assert (unknown.source, unknown.expires_at) == ("unknown", None)
    assert unknown.why
    assert facts_of(summary(source="none"), RULES).source == "none"
    noted = facts_of(summary(source="none"), RULES, NOW + 5)
    assert (noted.source, noted.expires_at) == ("credential", NOW + 5)
    assert facts_of(summary(source="token"), RULES, NOW + 5).expires_at == NOW


def test_what_is_wrong_with_a_token_is_noted_by_its_sign_whatever_the_words() -> None:
    aging = Attention(SOON, Sign.TOKEN_EXPIRES, "Its token is good for 5 days.")
    foreign = Attention(BROKEN, Sign.TOKEN_OF_ANOTHER, "Another gateway's token is in use.")
    found = dataclasses.replace(summary(), findings=(aging, foreign))
    assert facts_of(found, RULES).why == "Another gateway's token is in use."
    assert facts_of(dataclasses.replace(summary(), findings=(aging,)), RULES).why == ""


def test_a_refused_or_missing_token_is_noted_before_any_other_doubt() -> None:
    refused = Attention(BROKEN, Sign.TOKEN_REFUSED, "Azure refuses its token.")
    missing = Attention(BROKEN, Sign.TOKEN_MISSING, "Its token is missing.")
    foreign = Attention(BROKEN, Sign.TOKEN_OF_ANOTHER, "Another gateway's token is in use.")
    found = dataclasses.replace(summary(), findings=(foreign, refused))
    noted = facts_of(found, RULES, refused_since=NOW - 60)
    assert (noted.why, noted.refused_since) == ("Azure refuses its token.", NOW - 60)
    gone = dataclasses.replace(summary(), findings=(foreign, refused, missing))
    assert facts_of(gone, RULES).why == "Its token is missing."


def test_one_bot_of_several_scans_and_another_goes_on_where_it_ended(bed: Bed) -> None:
    bed.scans = [Scan("west", [summary()], whole=True)]
    one, two = bed.bot("one"), bed.bot("two")
    assert one.scan()
    assert not two.scan()
    one.release()
    assert two.scan()
    assert bed.known() == ["edge-1"]


def test_what_is_gone_is_forgotten_only_when_all_of_its_cluster_was_seen(bed: Bed) -> None:
    other = dataclasses.replace(summary(), ref=GatewayRef("west", "dev", "edge-2"))
    bot = bed.bot("one")
    bed.scans = [Scan("west", [summary(), other], whole=True)]
    bot.scan()
    bed.scans = [Scan("west", [summary()], whole=False)]
    bot.scan()
    assert bed.known() == ["edge-1", "edge-2"]
    bed.scans = []
    bot.scan()
    assert bed.known() == ["edge-1", "edge-2"]
    bed.scans = [Scan("west", [summary()], whole=True), Scan("east", [], whole=True)]
    bot.scan()
    assert bed.known() == ["edge-1"]
    bed.scans = [Scan("west", [summary(), other], whole=True)]
    bot.scan()
    assert bed.known() == ["edge-1", "edge-2"]


def test_a_cluster_that_left_the_settings_is_warned_of_no_more(bed: Bed) -> None:
    east = dataclasses.replace(summary(), ref=GatewayRef("east", "dev", "edge-2"))
    bed.scans = [Scan("west", [summary()], whole=True), Scan("east", [east], whole=True)]
    bed.bot("one").scan()
    tracker = Tracker(bed.redis, "one")
    seconds, _ = bed.redis.time()
    tracker.note(dataclasses.replace(facts_of(east, RULES), expires_at=seconds + 3600.0))
    tracker.tick()
    bed.scans, bed.clusters = [Scan("west", [summary()], whole=True)], ["west"]
    bed.bot("one").scan()
    assert bed.known() == ["edge-1"]
    ended = tracker.find(east.ref)
    assert ended is not None
    assert (ended.over, ended.places()) == ("unwatched", ("C0ALERTS",))
    assert "this bot no longer looks at" in view.message(ended)[0]


def test_a_namespace_that_refuses_loses_no_gateway_and_one_that_left_the_list_is_unwatched(
    bed: Bed,
) -> None:
    closed = dataclasses.replace(summary(), ref=GatewayRef("west", "closed", "edge-2"))
    left = dataclasses.replace(summary(), ref=GatewayRef("west", "left", "edge-3"))
    bed.scans = [Scan("west", [summary(), closed, left], whole=True)]
    bed.bot("one").scan()
    tracker = Tracker(bed.redis, "one")
    seconds, _ = bed.redis.time()
    tracker.note(dataclasses.replace(facts_of(left, RULES), expires_at=seconds + 3600.0))
    tracker.tick()
    places = Places("west", ("dev", "closed"))
    bed.scans = [Scan("west", [summary()], whole=True, places=places, blind=("closed",))]
    bed.bot("one").scan()
    assert bed.known() == ["edge-1", "edge-2"]
    ended = tracker.find(left.ref)
    assert ended is not None
    assert ended.over == "unwatched"


@pytest.mark.parametrize(
    ("changes", "renewal", "click", "command"),
    [
        ({}, "rotate", renewals.ROTATE, ""),
        ({"managed_by": "Helm"}, "manage", renewals.MANAGE, "/gateway manage-token"),
        ({"managed_by": "Helm", "token_kept": True}, "rotate", renewals.ROTATE, ""),
        ({"managed_by": "Helm", "kind": "StatefulSet"}, "rotate", "", ""),
    ],
)
def test_a_warning_offers_what_renews_the_token_of_whoever_deploys_it(
    bed: Bed, changes: dict[str, Any], renewal: str, click: str, command: str
) -> None:
    tracker = Tracker(bed.redis, "one")
    seconds, _ = bed.redis.time()
    soon = dataclasses.replace(summary(), token_expires_at=seconds + 86_400.0, **changes)
    facts = facts_of(soon, RULES)
    assert facts.renewal == renewal
    tracker.note(facts)
    while tracker.tick():
        pass
    tracked = tracker.find(REF)
    assert tracked is not None
    assert tracked.facts.renewal == renewal
    _, blocks = view.message(tracked)
    offered = [each["action_id"] for each in blocks[-1]["elements"] if "action_id" in each]
    assert [each for each in offered if each in (renewals.ROTATE, renewals.MANAGE)] == [
        click
    ] * bool(click)
    _, listed = view.listing([tracked], float(seconds))
    assert (f"{command} {REF}" in json.dumps(listed)) is bool(command)
