"""When gateways get worse or better: what counts, what belongs together, and what is told once."""

import dataclasses
import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.access import Environment, environment_of
from deploy.actions.connection import connect
from deploy.gateway import GatewayRef
from deploy.health.cache import CachedGateway
from deploy.health.heartbeat import Heartbeat, PodHeartbeat, Refusal
from deploy.health.incident_codec import watch_from_mapping, watch_to_mapping
from deploy.health.incident_store import IncidentStore
from deploy.health.incidents import (
    BELOW_MINIMUM,
    CRASH_LOOP,
    CUT_OFF,
    DENIED,
    DOWN,
    LASTS,
    OVER,
    TOGETHER,
    Health,
    Incident,
    Member,
    MemberChange,
    WatchedIncident,
    health_of,
    minimum_of,
    step,
)
from deploy.health.levels import Seen
from deploy.observed.token_facts import TokenFacts
from deploy.tokens.token import SecretFacts
from handlers.views import incidents as view
from tests.support.redis_servers import started
from tests.support.shown import check_blocks

NOW = 1_800_000_000.0
TICK = 10.0


def health(name: str, *troubles: str, seen: bool = True, node: str = "") -> Health:
    return Health(
        GatewayRef("west", "dev", name),
        {trouble: f"{trouble} it is" for trouble in troubles},
        seen,
        frozenset({node} - {""}),
    )


class Channel:
    """A watch of one cluster, and a channel that is told everything at once."""

    def __init__(self) -> None:
        self.watch = WatchedIncident()
        self.now = NOW
        self.posted: list[str] = []
        self.updated = 0
        self.shown: dict[str, int] = {}
        self.replies: list[str] = []

    def look(
        self,
        *healths: Health,
        seconds: float = TICK,
        away: str = "",
        unread: str = "",
        blind: str = "",
    ) -> None:
        """Look every ten seconds for so long; of the namespace `unread` nothing is known, of the one
        that is `blind` not everything."""
        for _ in range(max(1, round(seconds / TICK))):
            self.now += TICK
            told = None if away else healths
            self.watch = step(self.watch, "west", told, away, self.now, (unread,), (blind,))
            stored = json.loads(json.dumps(watch_to_mapping(self.watch)))
            self.watch = watch_from_mapping(stored)
            for incident in self.watch.incidents:
                self._show(incident)

    def _show(self, incident: Incident) -> None:
        shown = self.shown.get(incident.id, -1)
        if shown < incident.version:
            text, blocks = view.message(incident)
            check_blocks(blocks)
            if shown < 0:
                self.posted.append(text)
            else:
                self.updated += 1
                self.last = text
        new = [change for change in incident.changes if change.version > shown]
        if new:
            self.replies += view.replies(new).splitlines()
        self.shown[incident.id] = incident.version


@pytest.fixture
def channel() -> Channel:
    return Channel()


def test_a_trouble_that_lasts_is_told_once_and_its_end_in_the_same_message(
    channel: Channel,
) -> None:
    channel.look(health("edge-1"), seconds=60)
    channel.look(health("edge-1", CUT_OFF), seconds=600)
    assert channel.posted == ["edge-1 on west/dev is cut off from Azure"]
    channel.look(health("edge-1"), seconds=60)
    assert len(channel.posted) == 1
    assert re.fullmatch(
        r"Resolved: edge-1 on west/dev was cut off from Azure for (less than a|\d+) minutes?",
        channel.last,
    )
    assert channel.replies == ["✅ `west/dev/edge-1` recovered."]


def test_nothing_of_a_namespace_that_cannot_be_read_is_over_or_new(channel: Channel) -> None:
    channel.look(health("edge-1", CUT_OFF), seconds=600)
    channel.look(unread="dev", seconds=600)
    channel.look(health("edge-2", CUT_OFF), unread="dev", seconds=600)
    assert channel.posted == ["edge-1 on west/dev is cut off from Azure"]
    assert channel.replies == []
    channel.look(health("edge-1"), seconds=60)
    assert channel.replies == ["✅ `west/dev/edge-1` recovered."]


def test_nothing_of_a_namespace_whose_pods_cannot_be_read_is_over_and_what_is_seen_is_new(
    channel: Channel,
) -> None:
    channel.look(health("edge-1", CRASH_LOOP), seconds=600)
    channel.look(health("edge-1"), blind="dev", seconds=600)
    channel.look(blind="dev", seconds=600)
    assert channel.replies == []
    channel.look(health("edge-2", DOWN), blind="dev", seconds=600)
    assert len(channel.posted) == 2
    channel.look(health("edge-1"), health("edge-2", DOWN), seconds=60)
    assert channel.replies == ["✅ `west/dev/edge-1` recovered."]


@pytest.mark.parametrize(("times", "looks"), [(0, 3), (1, 3), (2, 1)])
def test_a_token_that_azure_refuses_again_is_told_of_as_soon_as_its_log_shows_for_how_long(
    channel: Channel, times: int, looks: int
) -> None:
    """One refusal may be of every gateway of the instance, which only the next look shows."""
    deployment = {
        "metadata": {"name": "edge-1", "namespace": "dev"},
        "spec": {"replicas": 0, "template": {"spec": {"containers": [{"name": "edge-1"}]}}},
    }
    refusal = Refusal(True, "Azure refuses its token", NOW - LASTS, "a token", times)
    beat = Heartbeat("denied", "Azure refuses the gateway", NOW - LASTS, refusal=refusal)
    gateway = CachedGateway(GatewayRef("west", "dev", "edge-1"), deployment, (), None)
    refused = health_of(gateway, Seen(beat, NOW))
    for _ in range(looks):
        assert channel.posted == []
        channel.look(refused)
    assert channel.posted == ["edge-1 on west/dev is denied by Azure"]


@pytest.mark.parametrize(
    ("answered", "state"),
    [
        ((False, False), "unable to sign in to Azure"),
        ((True, False), "denied by Azure"),
    ],
)
def test_only_a_gateway_that_azure_answered_is_said_to_be_denied_by_azure(
    channel: Channel, answered: tuple[bool, bool], state: str
) -> None:
    deployment = {
        "metadata": {"name": "edge-1", "namespace": "dev"},
        "spec": {"replicas": 0, "template": {"spec": {"containers": [{"name": "edge-1"}]}}},
    }
    pods = tuple(
        PodHeartbeat(f"edge-1-{number}", "denied", "so", answered=each)
        for number, each in enumerate(answered)
    )
    gateway = CachedGateway(GatewayRef("west", "dev", "edge-1"), deployment, (), None)
    found = health_of(gateway, Seen(Heartbeat("denied", "so", pods=pods), NOW))
    channel.look(found, seconds=LASTS * 2)
    assert channel.posted == [f"edge-1 on west/dev is {state}"]


def test_a_trouble_of_a_moment_is_not_told(channel: Channel) -> None:
    for _ in range(20):
        channel.look(health("edge-1", BELOW_MINIMUM), seconds=LASTS)
        channel.look(health("edge-1"), seconds=OVER + 2 * TICK)
    assert channel.posted == []


def test_a_trouble_that_comes_and_goes_is_one_message(channel: Channel) -> None:
    for _ in range(20):
        channel.look(health("edge-1", CUT_OFF), seconds=40)
        channel.look(health("edge-1"), seconds=OVER + 2 * TICK)
    assert len(channel.posted) == 1


def test_who_was_in_two_incidents_is_told_of_again_in_the_newer_one_alone(
    channel: Channel,
) -> None:
    names = ["a", "b", "c"]
    channel.look(health("a", CUT_OFF), seconds=60)
    channel.look(health("a"), seconds=60)
    channel.look(*(health(n, CUT_OFF) for n in names), seconds=60)
    channel.look(*map(health, names), seconds=60)
    channel.look(*(health(n, CUT_OFF) for n in names), seconds=60)
    lasting = [ref for i in channel.watch.incidents for ref in i.open_members]
    assert sorted(lasting) == [f"west/dev/{n}" for n in names]
    assert len(channel.posted) <= 3


def test_a_link_that_cannot_be_seen_is_not_called_mended(channel: Channel) -> None:
    channel.look(health("edge-1", DENIED), seconds=60)
    channel.look(health("edge-1", seen=False), seconds=600)
    assert channel.updated == 0
    channel.look(health("edge-1"), seconds=60)
    assert channel.last.startswith("Resolved")


def test_what_gets_worse_is_said_in_the_thread(channel: Channel) -> None:
    channel.look(health("edge-1", CUT_OFF), seconds=60)
    channel.look(health("edge-1", CUT_OFF, BELOW_MINIMUM), seconds=60)
    assert len(channel.posted) == 1
    assert "cut off from Azure and short of pods" in channel.last
    assert channel.replies == [":warning: `west/dev/edge-1` below minimum: below minimum it is"]


def test_a_node_that_dies_is_one_message_however_many_gateways_it_takes(channel: Channel) -> None:
    names = [f"edge-{n}" for n in range(50)]
    channel.look(*map(health, names), seconds=30)
    for bad in range(0, 51, 10):
        channel.look(
            *(health(n, BELOW_MINIMUM, node="n1") for n in names[:bad]), *map(health, names[bad:])
        )
    channel.look(*(health(n, BELOW_MINIMUM, node="n1") for n in names), seconds=60)
    assert len(channel.posted) == 1
    assert channel.posted[0].endswith("gateways on node n1 of west are short of pods")
    assert "50 gateways" in channel.last
    channel.look(*map(health, names), seconds=60)
    assert channel.last.startswith("Resolved: 50 gateways")
    assert len(channel.posted) == 1


def test_what_was_told_as_a_node_is_told_as_the_cluster_once_that_does_not_answer(
    channel: Channel,
) -> None:
    lost = [health(f"edge-{n}", BELOW_MINIMUM, node="n1") for n in range(3)]
    channel.look(*lost, seconds=60)
    assert channel.posted == ["3 gateways on node n1 of west are short of pods"]
    channel.look(away="Cluster “west” does not answer.", seconds=60)
    assert channel.last == "Cluster west does not answer"
    channel.look(*lost, seconds=60)
    assert channel.last == "3 gateways on node n1 of west are short of pods"
    assert channel.replies[-1] == "✅ `west` answers again."
    channel.look(*(health(f"edge-{n}") for n in range(3)), seconds=60)
    assert channel.last.startswith("Resolved: Cluster west did not answer for ")
    assert len(channel.posted) == 1


def test_a_single_gateway_that_lost_pods_first_becomes_the_cluster_and_itself_again(
    channel: Channel,
) -> None:
    channel.look(health("edge-1", BELOW_MINIMUM), seconds=60)
    channel.look(away="Cluster “west” does not answer.", seconds=60)
    assert channel.last == "Cluster west does not answer"
    channel.look(health("edge-1", BELOW_MINIMUM), seconds=60)
    assert channel.last == "edge-1 on west/dev is short of pods"
    assert len(channel.posted) == 1


@pytest.mark.parametrize("more", ["another gateway", "the same gateways"])
def test_an_incident_of_a_node_is_of_the_cluster_once_other_nodes_are_lost_too(
    channel: Channel, more: str
) -> None:
    names = [f"edge-{n}" for n in range(3)]
    lost = [health(n, BELOW_MINIMUM, node="n1") for n in names]
    channel.look(*lost, seconds=60)
    # Pods that are made anew leave no trace of the node.
    channel.look(*(health(n, BELOW_MINIMUM) for n in names), seconds=60)
    assert channel.posted == ["3 gateways on node n1 of west are short of pods"]
    if more == "another gateway":
        lost.append(health("edge-9", BELOW_MINIMUM, node="n2"))
    else:
        lost = [dataclasses.replace(h, nodes=frozenset({"n1", "n2"})) for h in lost]
    channel.look(*lost, seconds=60)
    assert channel.last == f"{len(lost)} gateways on west/dev are short of pods"
    assert len(channel.posted) == 1


def test_a_pod_that_starts_in_place_of_another_says_nothing_of_its_node() -> None:
    def pod(node: str, **status: Any) -> dict[str, Any]:
        return {
            "metadata": {"name": f"p-{node}"},
            "spec": {"nodeName": node},
            "status": {"phase": "Running", "containerStatuses": [{"name": "gateway", **status}]},
        }

    deployment = {
        "metadata": {"name": "edge-1", "namespace": "dev"},
        "spec": {"replicas": 2},
        "status": {"availableReplicas": 0},
    }
    pods = [pod("n1", started=True, restartCount=0), pod("n2", started=False, restartCount=0)]
    gateway = CachedGateway(GatewayRef("west", "dev", "edge-1"), deployment, tuple(pods), None)
    assert health_of(gateway, Seen(Heartbeat("unknown", ""), NOW)).nodes == {"n1"}


def other(kind: str, made: str, token: TokenFacts | None = None) -> CachedGateway:
    """A gateway of which no pod is available, whose workload was made at that moment."""
    metadata = {"name": "edge-1", "namespace": "dev", "generation": 1, "creationTimestamp": made}
    spec, status = {"replicas": 2}, {"availableReplicas": 0}
    workload = {"kind": kind, "metadata": metadata, "spec": spec, "status": status}
    return CachedGateway(GatewayRef("west", "dev", "edge-1"), workload, (), token)


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet", "Rollout", "Pod"])
def test_what_runs_in_another_kind_is_down_too_but_not_while_it_starts(kind: str) -> None:
    seen = Seen(Heartbeat("unknown", ""), 1_764_374_400.0)
    old, new = other(kind, "2025-11-28T00:00:00Z"), other(kind, "2025-11-28T23:58:00Z")
    assert list(health_of(old, seen).troubles) == ["down"]
    assert health_of(new, seen).troubles == {}


def test_a_token_that_the_bot_may_not_read_is_warned_of_until_it_can_be_read() -> None:
    seen = Seen(Heartbeat("no trouble seen", ""), 1_764_374_400.0)

    def looked(token: TokenFacts) -> Health:
        return health_of(other("StatefulSet", "2025-11-28T23:58:00Z", token), seen)

    refused = looked(TokenFacts(None, error="The bot is not allowed to get secrets", refused=True))
    assert "the bot cannot warn before its token expires" in refused.troubles["token unreadable"]
    away = looked(TokenFacts(None, error="The cluster does not answer"))
    good = looked(TokenFacts(SecretFacts("s", "edge-1")))
    watch = WatchedIncident()
    for second, health in ((0, refused), (25, refused), (40, away), (90, away)):
        watch = step(watch, "west", [health], "", NOW + second)
    (incident,) = watch.incidents
    assert incident.over_at is None, "that it cannot be read now does not end it"
    for second in (100, 140):
        watch = step(watch, "west", [good], "", NOW + second)
    assert watch.incidents[0].over_at is not None


def without_ready_pods(
    *pods: dict[str, Any], replicas: int, conditions: tuple[dict[str, Any], ...] = ()
) -> CachedGateway:
    """A gateway past its first revision, of which no pod is available."""
    deployment = {
        "metadata": {
            "name": "edge-1",
            "namespace": "dev",
            "annotations": {"deployment.kubernetes.io/revision": "3"},
        },
        "spec": {"replicas": replicas},
        "status": {"availableReplicas": 0, "conditions": list(conditions)},
    }
    return CachedGateway(GatewayRef("west", "dev", "edge-1"), deployment, pods, None)


def test_a_gateway_without_a_pod_is_down_before_anything_else() -> None:
    denied = Seen(Heartbeat("denied", "Azure refuses it"), NOW)
    found = health_of(without_ready_pods(replicas=2), denied)
    assert list(found.troubles) == ["down", "denied"]


def test_what_keeps_the_pods_from_running_is_part_of_the_evidence() -> None:
    waits = {"waiting": {"reason": "ErrImagePull", "message": "edge:2.99.0: not found"}}
    status = {"name": "edge-1", "ready": False, "restartCount": 0, "state": waits}
    pod = {
        "metadata": {"name": "edge-1-x", "namespace": "dev"},
        "spec": {"nodeName": "n1"},
        "status": {"phase": "Pending", "containerStatuses": [status]},
    }
    refused = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: dev"}

    def down(*pods: dict[str, Any], **more: Any) -> str:
        gateway = without_ready_pods(*pods, replicas=1, **more)
        return health_of(gateway, Seen(Heartbeat("unknown", ""), NOW)).troubles["down"]

    counted = "0 of 1 pod is available; the minimum is 1"
    assert down() == counted
    assert down(pod).startswith(f"{counted}. 1 of 1 pod not running: ErrImagePull")
    assert down(conditions=(refused,)).endswith("FailedCreate: exceeded quota: dev")


def test_gateways_that_are_down_on_two_nodes_are_on_neither(channel: Channel) -> None:
    both = dataclasses.replace(health("edge-1", "down"), nodes=frozenset({"n1", "n2"}))
    rest = [health(name, "down", node="n2") for name in ("edge-2", "edge-3")]
    channel.look(both, *rest, seconds=LASTS * 3)
    assert channel.posted == ["3 gateways on west/dev are down"]


def test_a_gateway_that_goes_down_after_it_was_denied_is_said_to_be_down_first(
    channel: Channel,
) -> None:
    channel.look(health("edge-1", DENIED), seconds=LASTS * 2)
    channel.look(health("edge-1", DENIED, "down"), seconds=LASTS * 2)
    assert channel.last == "edge-1 on west/dev is down and denied by Azure"


def test_in_one_incident_what_is_down_comes_first_and_of_that_production() -> None:
    names = {
        "west/dev/a": DENIED,
        "west/dev/b": "down",
        "west/prod/c": BELOW_MINIMUM,
        "west/prod/d": "down",
    }
    members = {ref: Member({trouble: "it is"}, NOW) for ref, trouble in names.items()}
    incident = Incident("i", "west", members, NOW, together=True)
    production = Environment("production", namespaces=("prod",), production=True)
    where = partial(environment_of, environments=(production, Environment("development")))
    text, blocks = view.message(incident, where)
    assert text == (
        "🔶 4 gateways on west (production; development) got worse together, 2 of them are down"
    )
    title, *lines = (block["text"]["text"] for block in blocks if block["type"] == "section")
    assert title.startswith("🔴")
    assert re.findall(r"^• `(west\S+)`", "\n".join(lines), re.MULTILINE) == [
        "west/prod/d",
        "west/dev/b",
        "west/prod/c",
        "west/dev/a",
    ]


def test_gateways_that_get_worse_one_after_another_do_not_flood(channel: Channel) -> None:
    names = [f"edge-{n}" for n in range(30)]
    for bad in range(31):
        channel.look(*(health(n, CUT_OFF) for n in names[:bad]), *map(health, names[bad:]))
    channel.look(*(health(n, CUT_OFF) for n in names), seconds=60)
    assert len(channel.posted) <= 4


def test_what_is_more_than_slack_shows_of_a_message_is_counted() -> None:
    happened = [
        MemberChange("worse", f"west/dev/edge-{n}", {CUT_OFF: "why " * 300}) for n in range(1000)
    ]
    text = view.replies(happened)
    assert len(text) < 4000
    shown = len(text.splitlines()) - 1
    assert text.endswith(f"… and {1000 - shown} more changes; `/gateway status` shows each.")
    assert view.replies(happened[:2]) == "\n".join(map(view.reply, happened[:2]))


def test_changes_have_rising_versions_and_only_the_newest_are_kept(channel: Channel) -> None:
    names = [f"edge-{n}" for n in range(60)]
    for _ in range(10):
        channel.look(*(health(n, CUT_OFF) for n in names), seconds=60)
        channel.look(*map(health, names), seconds=60)
    (incident,) = channel.watch.incidents
    versions = [change.version for change in incident.changes]
    assert versions == sorted(versions)
    assert versions[-1] == incident.version
    assert all(versions.count(version) == 60 for version in set(versions))
    assert len(versions) <= 200


def test_changes_that_an_earlier_version_kept_as_texts_are_read(channel: Channel) -> None:
    channel.look(health("edge-1", CUT_OFF), seconds=60)
    stored = json.loads(json.dumps(watch_to_mapping(channel.watch)))
    (first,) = stored["incidents"]
    del first["changes"]
    first |= {"told": 1, "attempts": 0, "message": None}
    first["replies"] = ["better west", "worse west/dev/edge-1 cut off: it is"]
    (incident,) = watch_from_mapping(stored).incidents
    assert view.replies(incident.changes).splitlines() == [
        "✅ `west` answers again.",
        ":warning: `west/dev/edge-1` got worse.",
    ]


def test_a_cluster_that_is_away_is_one_message_and_no_gateway_is_called_mended(
    channel: Channel,
) -> None:
    channel.look(health("edge-1", CUT_OFF), seconds=60)
    channel.look(away="Cluster “west” does not answer.", seconds=600)
    assert channel.posted[1:] == ["Cluster west does not answer"]
    channel.look(health("edge-1", CUT_OFF), seconds=60)
    assert len(channel.posted) == 2
    assert not any("edge-1" in reply for reply in channel.replies)


def test_a_gateway_that_is_deleted_is_not_called_well(channel: Channel) -> None:
    channel.look(health("edge-1", CUT_OFF), seconds=60)
    channel.look(health("edge-2"), seconds=60)
    assert channel.replies == [
        "`west/dev/edge-1` no longer runs, or another channel is notified of it."
    ]


def test_what_is_over_is_forgotten(channel: Channel) -> None:
    channel.look(health("edge-1", CUT_OFF), seconds=60)
    channel.look(health("edge-1"), seconds=TOGETHER + 100)
    assert channel.watch == WatchedIncident()


HEALTHS = st.lists(
    st.builds(
        health,
        st.sampled_from(["a", "b", "c", "d", "e"]),
        st.sampled_from([CUT_OFF, DENIED, BELOW_MINIMUM]),
        seen=st.booleans(),
    ),
    unique_by=lambda h: h.ref,
)


@given(st.lists(st.tuples(HEALTHS, st.booleans()), max_size=40))
def test_whatever_happens_no_gateway_is_in_two_open_incidents(
    course: list[tuple[list[Health], bool]],
) -> None:
    channel = Channel()
    for healths, away in course:
        channel.look(*healths, away="gone" if away else "", seconds=30)
        lasting = [ref for i in channel.watch.incidents for ref in i.open_members]
        assert len(lasting) == len(set(lasting))


@pytest.mark.parametrize(
    ("replicas", "allowed", "minimum"),
    [(3, 0, 3), (3, 1, 2), (4, "25%", 3), (3, "25%", 3), (1, 1, 1), (2, "100%", 1), (0, 0, 0)],
)
def test_the_minimum_is_what_a_rollout_would_leave(
    replicas: int, allowed: Any, minimum: int
) -> None:
    strategy = {"rollingUpdate": {"maxUnavailable": allowed}}
    assert minimum_of({"spec": {"replicas": replicas, "strategy": strategy}}) == minimum


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Any]:
    for server in started("valkey", tmp_path):
        yield connect(server.url)


def test_of_several_bots_one_watches_and_the_next_goes_on_where_it_ended(redis: Any) -> None:
    first, second = IncidentStore(redis, "one"), IncidentStore(redis, "two")
    assert first.take("west:C1") == WatchedIncident()
    assert second.take("west:C1") is None
    assert second.take("east:C1") == WatchedIncident()
    watch = step(WatchedIncident(), "west", [health("edge-1", CUT_OFF)], "", NOW)
    assert first.save("west:C1", watch)
    assert not second.save("west:C1", WatchedIncident())
    first.release("west:C1")
    assert second.take("west:C1") == watch
    assert not first.save("west:C1", WatchedIncident())
    assert second.take("west:C1") == watch
