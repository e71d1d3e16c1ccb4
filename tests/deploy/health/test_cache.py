"""One cluster's gateways in memory: what is kept, what is asked for, and how old it may be."""

import base64
import json
import pickle
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.sandbox.rights import rights
from deploy.deadline import Deadline
from deploy.errors import NotFound, Refused, Unavailable
from deploy.gateway import GatewayRef
from deploy.health.cache import ClusterCache
from deploy.health.watched_kind import is_absent
from deploy.kube.cluster import Cluster, connect
from deploy.kube.connection import Connection
from deploy.kube.transport import connect_with_kubeconfig
from deploy.waits import Waits
from tests.support.gateway_bed import TIMEOUTS, end_watches
from tests.support.running_cluster import RunningCluster
from tests.support.waiting import until

REF = GatewayRef("west", "dev", "edge-1")
SIGNATURE = "c2lnbmF0dXJlLW9mLWEtdG9rZW4="
TOKEN = f"edge-1&203001010000&{SIGNATURE}"
Manifest = dict[str, Any]


def secret(name: str, *, token: str = TOKEN, own: bool = True) -> Manifest:
    labels = {"app.kubernetes.io/managed-by": "gateway-bot"} if own else {}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": f"{name}-token", "namespace": "dev", "labels": labels},
        "data": {"value": base64.b64encode(f"GatewayKey {token}".encode()).decode()},
        **({"immutable": True} if own else {}),
    }


def gateway(name: str, *, replicas: int = 0, image: str = "") -> Manifest:
    labels = {"app": name}
    reference = {"secretKeyRef": {"name": f"{name}-token", "key": "value"}}
    container = {
        "name": name,
        "image": image or "mcr.microsoft.com/azure-api-management/gateway:2.11.1",
        "env": [
            {"name": "config.service.auth", "valueFrom": reference},
            {"name": "password", "value": "a-plain-secret"},
        ],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "dev", "annotations": {"note": "a-long-note"}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def install(running: RunningCluster, *objects: Manifest) -> None:
    running.wait(running.cluster.apply(list(objects)))


def grant(running: RunningCluster, *namespaces: str) -> None:
    """Give the user `bot` the rights that the documentation recommends."""
    for item in rights(namespaces):
        for subject in item.get("subjects", ()):
            subject["name"] = "bot"
        install(running, item)


class Counting:
    """A connection that notes what is asked."""

    def __init__(self, inner: Connection) -> None:
        self._inner = inner
        self.asked: list[tuple[str, str]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def request(self, method: str, path: str, **options: Any) -> bytes:
        verb = "list" if "limit" in (options.get("query") or {}) else method.lower()
        self.asked.append((verb, path))
        return self._inner.request(method, path, **options)

    def read(self, path: str, **options: Any) -> Any:
        self.asked.append(("list", path))
        return self._inner.read(path, **options)


@pytest.fixture
def cache(cluster: Cluster) -> Iterator[ClusterCache]:
    found = ClusterCache(cluster, silence=10)
    yield found
    found.stop(Deadline.after(5))


def counted(running: RunningCluster, user: str = "admin") -> tuple[ClusterCache, Counting]:
    path = running.kubeconfig(user)
    connection = Counting(connect_with_kubeconfig("west", path, None, TIMEOUTS, Waits()))
    return ClusterCache(Cluster("west", connection)), connection


def test_what_changes_is_known_without_asking(running: RunningCluster, cache: ClusterCache) -> None:
    install(running, secret("edge-1"), gateway("edge-1"))
    found = cache.read().find(REF)
    assert found is not None
    assert found.token is not None
    assert found.token.facts is not None
    assert found.token.facts.gateway == "edge-1"
    install(running, gateway("edge-1", replicas=2))
    until(lambda: len((cache.read().find(REF) or found).pods) == 2, "two pods")
    running.request("DELETE", "/apis/apps/v1/namespaces/dev/deployments/edge-1")
    until(lambda: cache.read().gateways == (), "its end")


def test_no_token_no_environment_and_no_bookkeeping_is_kept(
    running: RunningCluster, cache: ClusterCache
) -> None:
    install(running, secret("edge-1"), gateway("edge-1", replicas=1))
    until(lambda: (g := cache.read().find(REF)) and g.pods, "a pod")
    kept = pickle.dumps([cache.read(), cache._kinds["Pod", None].items, cache._tokens._known])
    watched = json.dumps([k.watch._known for k in cache._kinds.values()]).encode()
    for word in (SIGNATURE, base64.b64encode(TOKEN.encode()).decode()[:20], "a-plain-secret"):
        assert word.encode() not in kept + watched
    for word in ("managedFields", "a-long-note"):
        assert word.encode() not in kept + watched


def test_of_other_deployments_and_pods_only_names_are_kept(
    running: RunningCluster, cache: ClusterCache
) -> None:
    other = gateway("shop", replicas=1, image="example.com/shop:1")
    other["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "x", "value": "y"}]
    install(running, other)
    assert cache.read().gateways == ()
    until(lambda: cache._kinds["Pod", None].watch._known, "the pod")
    for kind in cache._kinds.values():
        assert kind.items == {}
        assert all(set(item) == {"metadata"} for item in kind.watch._known.values())


def test_with_the_recommended_rights_each_secret_is_read_once_where_its_gateway_runs(
    running: RunningCluster,
) -> None:
    grant(running, "dev")
    names = [f"edge-{n}" for n in range(5)]
    for name in names:
        install(running, secret(name), gateway(name))
    cache, connection = counted(running, "bot")
    try:
        assert all(g.token and g.token.facts for g in cache.read().gateways)
        asked = [f"{verb} {path.rpartition('/')[2]}" for verb, path in connection.asked]
        others = ["list rollouts", "list secrets", "list statefulsets"]
        lists = ["list daemonsets", "list deployments", "list pods", *others]
        assert sorted(a for a in asked if a.startswith("list")) == lists
        reads = [f"get {name}-token" for name in names]
        assert sorted(a for a in asked if a.startswith("get")) == reads
        connection.asked.clear()
        cache.read()
        assert connection.asked == []
    finally:
        cache.stop(Deadline.after(5))


def missing(cache: ClusterCache, name: str = "edge-1") -> bool:
    found = cache.read().find(GatewayRef("west", "dev", name))
    assert found is not None
    assert found.token is not None
    return found.token.missing


def test_a_secret_that_comes_after_its_deployment_is_known_within_seconds(
    running: RunningCluster, cache: ClusterCache
) -> None:
    install(running, gateway("edge-1"))
    assert missing(cache)
    install(running, secret("edge-1"))
    until(lambda: not missing(cache), "the Secret")


@pytest.mark.parametrize("count", [1, 5])
def test_an_immutable_secret_that_somebody_deletes_is_missing_and_the_others_are_not(
    running: RunningCluster, count: int
) -> None:
    names = [f"edge-{n}" for n in range(count + 1)]
    grant(running, "dev")
    for name in names:
        install(running, secret(name), gateway(name))
    cache = ClusterCache(counted(running, "bot")[0].cluster, again=0.3)
    try:
        assert not any(missing(cache, name) for name in names)
        running.request("DELETE", "/api/v1/namespaces/dev/secrets/edge-1-token")
        until(lambda: missing(cache), "that it is missing")
        assert [name for name in names if missing(cache, name)] == ["edge-1"]
    finally:
        cache.stop(Deadline.after(5))


def test_a_secret_that_cannot_be_read_for_a_while_keeps_what_cannot_change(
    running: RunningCluster,
) -> None:
    grant(running, "dev")
    install(running, secret("edge-1"), gateway("edge-1"))
    cache, connection = counted(running, "bot")
    cache = ClusterCache(cache.cluster, again=0.2)
    try:
        assert not missing(cache)
        running.request(
            "DELETE", "/apis/rbac.authorization.k8s.io/v1/namespaces/dev/roles/gateway-bot"
        )
        asked = len(connection.asked)
        until(lambda: len(connection.asked) >= asked + 4, "it to be read again")
        found = cache.read().find(REF)
        assert found is not None
        assert found.token is not None
        assert found.token.facts is not None
    finally:
        cache.stop(Deadline.after(5))


def test_a_secret_that_may_not_be_read_leaves_its_token_unknown_with_the_reason(
    running: RunningCluster,
) -> None:
    grant(running)
    install(running, secret("edge-1"), gateway("edge-1"))
    cache, _ = counted(running, "bot")
    try:
        (found,) = cache.read().gateways
        assert found.token is not None
        assert found.token.facts is None
        assert "not allowed to" in found.token.error
    finally:
        cache.stop(Deadline.after(5))


def test_who_may_not_look_is_told_so(running: RunningCluster) -> None:
    cache, _ = counted(running, "bot")
    with pytest.raises(Refused, match="is not allowed to list deployments"):
        cache.read()
    cache.stop(Deadline.after(5))


def test_what_was_known_stays_with_its_age_while_the_cluster_is_away(
    running: RunningCluster, cache: ClusterCache
) -> None:
    install(running, secret("edge-1"), gateway("edge-1"))
    assert cache.read().stale == ""
    running.call(lambda: running.cluster.faults.set("api_down", True))
    # One that is open still may hear something, and what is known is of a later moment then.
    watches = [cache._kinds[kind, None].watch for kind in ("Deployment", "Pod")]
    until(lambda: cache.read().stale and not any(w.connected for w in watches), "the loss")
    snapshot = cache.read()
    assert snapshot.find(REF) is not None
    assert snapshot.as_of <= time.time()
    as_of = snapshot.as_of
    assert cache.read().as_of == as_of
    running.call(lambda: running.cluster.faults.set("api_down", False))
    install(running, gateway("edge-2"))
    until(lambda: len((s := cache.read()).gateways) == 2 and not s.stale, "the recovery")


def test_the_very_next_read_after_a_connection_broke_says_that_it_is_away(
    running: RunningCluster, cache: ClusterCache
) -> None:
    install(running, gateway("edge-1"))
    cache.read()
    # What was listed a moment ago is true; its watch is opened after that.
    until(lambda: all(cache._kinds[k, None].watch.connected for k in ("Deployment", "Pod")), "them")
    running.call(lambda: running.cluster.faults.set("api_down", True))
    until(lambda: not cache._kinds["Pod", None].watch.connected, "the end of the watch")
    assert "does not answer" in cache.read().stale


def test_a_cluster_that_never_answered_is_unavailable_within_the_time_given(
    tmp_path: Path, running: RunningCluster
) -> None:
    running.call(lambda: running.cluster.faults.set("api_slow_ms", 8_000))
    cluster = connect("west", kubeconfig=running.kubeconfig(), timeouts=TIMEOUTS)
    cache = ClusterCache(cluster)
    began = time.monotonic()
    with pytest.raises(Unavailable, match="has not answered"):
        cache.read(wait=0.3)
    assert time.monotonic() - began < 7
    running.call(lambda: running.cluster.faults.set("api_slow_ms", 0))
    cache.stop(Deadline.after(5))


def test_history_that_is_gone_is_listed_anew_and_nothing_stays_that_is_gone(
    running: RunningCluster, cache: ClusterCache
) -> None:
    install(running, gateway("edge-1"), gateway("edge-2"))
    assert len(cache.read().gateways) == 2
    running.call(lambda: running.cluster.faults.set("api_down", True))
    end_watches(running)
    until(lambda: cache.read().stale, "the loss")
    running.call(lambda: running.cluster.faults.set("api_down", False))
    running.request("DELETE", "/apis/apps/v1/namespaces/dev/deployments/edge-1")
    running.call(running.cluster.compact)

    def caught_up() -> bool:
        snapshot = cache.read()
        return [g.ref.name for g in snapshot.gateways] == ["edge-2"] and snapshot.stale == ""

    until(caught_up, "the catching up")


def test_the_course_of_a_gateways_pods_is_remembered(
    running: RunningCluster, cache: ClusterCache
) -> None:
    install(running, gateway("edge-1"))
    cache.read()
    install(running, gateway("edge-1", replicas=2))

    def course() -> list[tuple[int, int]]:
        found = cache.read().find(REF)
        return [(count.ready, count.desired) for count in found.replicas] if found else []

    until(lambda: course()[-1:] == [(2, 2)], "two ready pods")
    assert course()[0] != (2, 2)


def by_settings(name: str, kind: str = "Deployment") -> Manifest:
    """A gateway that only its ConfigMap shows to be one."""
    made = gateway(name, image="registry.example.com/apim/gw:2.11.1")
    container = made["spec"]["template"]["spec"]["containers"][0]
    container["env"] = []
    container["envFrom"] = [{"configMapRef": {"name": f"{name}-env"}}]
    return {**made, "kind": kind}


def settings_of(name: str, **data: str) -> Manifest:
    metadata = {"name": f"{name}-env", "namespace": "dev"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def test_foreign_deployments_cost_one_list_of_config_maps_and_no_request_each(
    running: RunningCluster,
) -> None:
    grant(running, "dev")
    for number in range(20):
        install(running, by_settings(f"shop-{number}"), settings_of(f"shop-{number}", color="red"))
    cache, connection = counted(running, "bot")
    try:
        assert cache.read().gateways == ()
        asked = [f"{verb} {path.rpartition('/')[2]}" for verb, path in connection.asked]
        others = ["list pods", "list rollouts", "list statefulsets"]
        lists = ["list configmaps", "list daemonsets", "list deployments", *others]
        assert sorted(asked) == lists
        endpoint = {"config.service.endpoint": "contoso.configuration.azure-api.net"}
        install(running, settings_of("shop-7", **endpoint))
        until(lambda: [g.ref.name for g in cache.read().gateways] == ["shop-7"], "the gateway")
        # A watch told it; how it signs in is read from its own settings, and nobody else's.
        more = {path.rpartition("/")[2] for _, path in connection.asked[len(lists) :]}
        assert more <= {"shop-7-env"}
    finally:
        cache.stop(Deadline.after(5))


def test_settings_that_may_not_be_read_leave_it_open_by_name_whether_it_is_a_gateway(
    running: RunningCluster,
) -> None:
    grant(running, "dev")
    forbid(running, "configmaps")
    install(running, by_settings("mirrored"), secret("edge-1"), gateway("edge-1"))
    cache, _ = counted(running, "bot")
    try:
        snapshot = cache.read()
        assert [g.ref.name for g in snapshot.gateways] == ["edge-1"]
        assert snapshot.undecided == (GatewayRef("west", "dev", "mirrored"),)
        (said,) = snapshot.unseen
        assert "is not allowed to list configmaps" in said
        assert "These may be gateways: west/dev/mirrored." in said
    finally:
        cache.stop(Deadline.after(5))


def test_a_stateful_set_is_seen_by_its_pods_where_its_object_may_not_be_read(
    running: RunningCluster,
) -> None:
    grant(running, "dev")
    install(running, secret("edge-1"), {**gateway("edge-1", replicas=2), "kind": "StatefulSet"})
    cache, _ = counted(running, "bot")
    try:
        until(lambda: (g := cache.read().find(REF)) and len(g.pods) == 2, "two pods")
        found = cache.read().find(REF)
        assert found is not None
        assert found.token is not None
        assert found.token.facts is not None
        assert cache.read().unseen == ()
    finally:
        cache.stop(Deadline.after(5))
    forbid(running, "statefulsets")
    blind, _ = counted(running, "bot")
    try:
        until(lambda: (g := blind.read().find(REF)) and g.token and g.token.facts, "its token")
        (said,) = blind.read().unseen
        assert "is not allowed to list statefulsets" in said
        assert "shown only while it has pods" in said
    finally:
        blind.stop(Deadline.after(5))


def test_a_kind_that_is_not_installed_is_not_missed_without_the_right_to_it(
    running: RunningCluster,
) -> None:
    grant(running, "dev")
    forbid(running, "rollouts")
    install(running, secret("edge-1"), gateway("edge-1"))
    cache, connection = counted(running, "bot")
    try:
        assert cache.read().unseen == ()
        assert ("get", "/apis/argoproj.io/v1alpha1") in connection.asked
    finally:
        cache.stop(Deadline.after(5))


def forbid(running: RunningCluster, resource: str) -> None:
    """`bot` may not read all of that resource."""
    (role,) = [item for item in rights([]) if item["kind"] == "ClusterRole"]
    for rule in role["rules"]:
        rule["resources"] = [each for each in rule["resources"] if each != resource]
    role["rules"] = [rule for rule in role["rules"] if rule["resources"]]
    install(running, role)


def test_a_kind_that_is_not_found_for_a_moment_takes_away_no_gateway(
    running: RunningCluster, cache: ClusterCache
) -> None:
    item = gateway("edge-1")
    item["kind"], item["spec"]["serviceName"] = "StatefulSet", "edge-1"
    install(running, item)
    until(lambda: cache.read().find(REF), "the StatefulSet")
    gone = NotFound("not found")
    cache._failed("StatefulSet", None, gone, absent=is_absent(cache.cluster, "StatefulSet", gone))
    assert cache.read(wait=0).find(REF) is not None
