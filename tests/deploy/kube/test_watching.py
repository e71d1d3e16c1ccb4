"""Watches, through everything that interrupts them."""

import contextlib
import queue
import random
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.errors import Refused, Unavailable
from deploy.health.cache import SILENCE
from deploy.kube.cluster import Cluster, connect
from deploy.kube.connection import Timeouts
from deploy.kube.watching import Change, Event, Watch, server_seconds
from deploy.retry import HELD_SECONDS
from tests.support.gateway_bed import end_watches
from tests.support.running_cluster import RunningCluster
from tests.support.silent_proxy import SilentProxy, behind_proxy
from tests.support.waiting import until


class Heard:
    """Events of a watch, as they come."""

    def __init__(self, watch: Watch) -> None:
        self._events: queue.Queue[Event] = queue.Queue()
        self.watch = watch
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self) -> None:
        for event in self.watch:
            self._events.put(event)

    def until(self, change: Change, name: str = "") -> list[tuple[Change, str]]:
        """Everything up to the event waited for."""
        seen = []
        while True:
            kind, item = self._events.get(timeout=60)
            seen.append((kind, (item.get("metadata") or {}).get("name", "")))
            if seen[-1] == (change, name):
                return seen


@contextlib.contextmanager
def heard(cluster: Cluster, silence: float = 300) -> Iterator[Heard]:
    watch = cluster.watch("ConfigMap", "dev", label_selector="app=x", silence=silence)
    listener = Heard(watch)
    try:
        yield listener
    finally:
        watch.close()
        listener.thread.join(30)
        assert not listener.thread.is_alive()


def config_map(name: str, value: str = "1") -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "dev", "labels": {"app": "x"}},
        "data": {"a": value},
    }


def test_a_watch_tells_what_is_there_and_then_what_changes(cluster: Cluster) -> None:
    cluster.apply(config_map("one"))
    with heard(cluster) as events:
        assert events.until(Change.SYNCED) == [(Change.ADDED, "one"), (Change.SYNCED, "")]
        cluster.apply(config_map("two"))
        cluster.apply(config_map("one", "2"))
        cluster.delete("ConfigMap", "dev", "two")
        assert events.until(Change.DELETED, "two") == [
            (Change.ADDED, "two"),
            (Change.MODIFIED, "one"),
            (Change.DELETED, "two"),
        ]


def test_closing_ends_a_watch_that_waits_at_once(cluster: Cluster) -> None:
    with heard(cluster) as events:
        events.until(Change.SYNCED)
        until(lambda: events.watch.connected, "the watch")


def test_an_outage_is_told_and_what_changed_meanwhile_is_caught_up(
    cluster: Cluster, running: RunningCluster
) -> None:
    cluster.apply(config_map("one"))
    with heard(cluster) as events:
        events.until(Change.SYNCED)
        running.call(lambda: running.cluster.faults.set("api_down", True))
        end_watches(running)
        events.until(Change.LOST)
        running.call(lambda: running.cluster.faults.set("api_down", False))
        cluster.apply(config_map("two"))
        assert (Change.SYNCED, "") in events.until(Change.ADDED, "two")


def test_history_that_is_gone_is_listed_anew(cluster: Cluster, running: RunningCluster) -> None:
    cluster.apply(config_map("one"))
    cluster.apply(config_map("two"))
    with heard(cluster) as events:
        events.until(Change.SYNCED)
        running.call(lambda: running.cluster.faults.set("api_down", True))
        end_watches(running)
        events.until(Change.LOST)
        running.call(lambda: running.cluster.faults.set("api_down", False))
        cluster.delete("ConfigMap", "dev", "one")
        running.call(running.cluster.compact)
        told = events.until(Change.DELETED, "one")
        assert told.count((Change.ADDED, "two")) == 0


def test_a_connection_that_a_middlebox_forgot_is_noticed_after_the_agreed_silence(
    cluster: Cluster, running: RunningCluster, tmp_path: Path
) -> None:
    silence = 2.0
    with behind_proxy(running.kubeconfig(), tmp_path) as (proxy, kubeconfig):
        behind = connect("west", kubeconfig=kubeconfig)
        with heard(behind, silence=silence) as events:
            events.until(Change.SYNCED)
            proxy.forget()
            began = time.monotonic()
            cluster.apply(config_map("unseen"))
            # It goes on where it was: nothing is listed, so nothing but the news is told.
            assert events.until(Change.ADDED, "unseen") == [(Change.ADDED, "unseen")]
            assert time.monotonic() - began < silence + 30
        behind.close()


def test_a_watch_that_went_silent_tells_of_the_idle_connections(
    cluster: Cluster, running: RunningCluster, tmp_path: Path
) -> None:
    with behind_proxy(running.kubeconfig(), tmp_path) as (proxy, kubeconfig):
        behind = connect("west", kubeconfig=kubeconfig, timeouts=IMPATIENT)
        with heard(behind, silence=2.0) as events:
            events.until(Change.SYNCED)
            until(lambda: events.watch.connected, "the watch")
            idle_connections(behind, proxy, 5)
            proxy.forget()
            cluster.apply(config_map("unseen"))
            events.until(Change.ADDED, "unseen")
            assert all_at_once(behind, proxy, 4) == ["dev"] * 4
        behind.close()


def test_a_pod_that_logs_nothing_tells_nothing_of_connections(
    running: RunningCluster, tmp_path: Path
) -> None:
    with behind_proxy(running.kubeconfig(), tmp_path) as (proxy, kubeconfig):
        behind = connect("west", kubeconfig=kubeconfig)
        idle_connections(behind, proxy, 5)
        before = proxy.accepted
        proxy.hold()
        # Its answer does not come either, so what is waited for is the same.
        with pytest.raises(Unavailable):
            behind.follow_log("dev", "edge-1-a", "gateway", silence=0.5)
        proxy.resume()
        assert all_at_once(behind, proxy, 4) == ["dev"] * 4
        assert proxy.accepted <= before + 1, "those that were open are used again"
        behind.close()


IMPATIENT = Timeouts(read=1.5, repeat=0.1)
"""So short that nothing is asked again."""


def all_at_once(behind: Cluster, proxy: SilentProxy, count: int) -> list[str]:
    """What each of so many requests at one time reads."""
    proxy.delay = 0.1
    asked = behind.at_once([lambda: behind.get("Namespace", None, "dev")] * count)
    return [each["metadata"]["name"] for each in asked if each]


def idle_connections(behind: Cluster, proxy: SilentProxy, count: int) -> None:
    """Leave so many open that nobody uses, as requests at one time do."""
    before = proxy.accepted
    proxy.hold()
    asking = [
        threading.Thread(target=behind.get, args=("Namespace", None, "dev")) for _ in range(count)
    ]
    for each in asking:
        each.start()
    until(lambda: proxy.accepted == before + count, "their connections")
    proxy.resume()
    for each in asking:
        each.join(60)


@given(st.floats(1, 600), st.integers())
def test_the_server_ends_each_watch_before_its_silence_counts_as_death(
    silence: float, seed: int
) -> None:
    random.seed(seed)
    assert 1 <= server_seconds(silence) <= max(1, silence * 0.8)


def test_a_cache_notices_a_dead_connection_within_a_minute() -> None:
    longest_pause_before_the_next_watch = 0.2
    assert SILENCE + longest_pause_before_the_next_watch < 60


def test_watches_that_the_server_cuts_go_on(cluster: Cluster, running: RunningCluster) -> None:
    running.call(lambda: running.cluster.faults.set("watch_drop", True))
    with heard(cluster) as events:
        events.until(Change.SYNCED)
        for n in range(3):
            cluster.apply(config_map(f"map-{n}"))
            events.until(Change.ADDED, f"map-{n}")
            end_watches(running)


def test_a_watch_that_is_not_allowed_says_so(running: RunningCluster) -> None:
    nobody = connect("west", kubeconfig=running.kubeconfig("bot"))
    with pytest.raises(Refused, match="is not allowed to list configmaps"):
        next(iter(nobody.watch("ConfigMap", "dev")))


RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces/dev"


def may_watch(
    running: RunningCluster, *, granted: bool, verbs: Sequence[str] = ("list", "watch")
) -> None:
    """Bind the bot to a role that may do that to ConfigMaps, or to one without rules."""
    group = "rbac.authorization.k8s.io"
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": list(verbs)}
    role = {
        "apiVersion": f"{group}/v1",
        "kind": "Role",
        "metadata": {"name": "watcher", "namespace": "dev"},
        "rules": [rule] if granted else [],
    }
    running.apply(f"{RBAC}/roles/watcher", role)
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "watcher", "namespace": "dev"},
        "roleRef": {"apiGroup": group, "kind": "Role", "name": "watcher"},
        "subjects": [{"kind": "User", "name": "bot", "apiGroup": group}],
    }
    running.apply(f"{RBAC}/rolebindings/watcher", binding)


def test_a_right_that_is_gone_for_a_moment_ends_no_watch(running: RunningCluster) -> None:
    may_watch(running, granted=True)
    bot = connect("west", kubeconfig=running.kubeconfig("bot"))
    with heard(bot) as events:
        until(lambda: events.watch.connected, "the watch")
        may_watch(running, granted=False)

        def ended() -> bool:
            end_watches(running)
            return not events.watch.connected

        until(ended, "its end")
        events.until(Change.LOST)
        may_watch(running, granted=True)
        events.until(Change.SYNCED)


def test_a_right_that_is_gone_between_the_list_and_its_watch_ends_no_watch(
    running: RunningCluster,
) -> None:
    may_watch(running, granted=True)
    watch = connect("west", kubeconfig=running.kubeconfig("bot")).watch("ConfigMap", "dev")
    read: list[Change] = []

    def follow() -> None:
        for change, _ in watch:
            read.append(change)
            if change is Change.SYNCED and read.count(change) == 1:
                # The watch is opened only when the next event is asked for.
                may_watch(running, granted=False)

    reading = threading.Thread(target=follow, daemon=True)
    reading.start()
    try:
        until(lambda: Change.LOST in read or not reading.is_alive(), "the loss")
        may_watch(running, granted=True)
        until(lambda: watch.connected or not reading.is_alive(), "the watch")
        assert reading.is_alive()
    finally:
        watch.close()
        reading.join(60)


def test_a_right_to_list_without_a_right_to_watch_ends_the_watch_at_once(
    running: RunningCluster,
) -> None:
    may_watch(running, granted=True, verbs=["list"])
    began = time.monotonic()
    with pytest.raises(Refused, match="is not allowed to watch configmaps"):
        for _ in connect("west", kubeconfig=running.kubeconfig("bot")).watch("ConfigMap", "dev"):
            pass
    assert time.monotonic() - began < HELD_SECONDS / 2


def test_a_right_that_stays_away_ends_the_watch(running: RunningCluster) -> None:
    may_watch(running, granted=True)
    watch = Watch(
        connect("west", kubeconfig=running.kubeconfig("bot")), "ConfigMap", "dev", held=0.5
    )
    refusals: list[str] = []

    def read() -> None:
        try:
            for _ in watch:
                pass
        except Refused as error:
            refusals.append(error.happened)

    reading = threading.Thread(target=read, daemon=True)
    reading.start()
    until(lambda: watch.connected, "the watch")
    may_watch(running, granted=False)
    end_watches(running)
    reading.join(60)
    assert refusals
    assert "The bot is not allowed to" in refusals[0]
