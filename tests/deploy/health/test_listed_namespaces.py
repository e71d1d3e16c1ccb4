"""Where namespaces are listed: one view of them, one that refuses spoils only itself, and no request
leaves them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.deadline import Deadline
from deploy.errors import InvalidInput, NotGranted
from deploy.expiry.scanner import scans_of
from deploy.gateway import GatewayRef
from deploy.governance.sightings import Sightings
from deploy.health import cache as cache_module
from deploy.health.cache import ClusterCache
from deploy.health.heartbeat import Heartbeat
from deploy.health.levels import Seen
from deploy.kube.cluster import Cluster
from deploy.kube.rights import IN_NAMESPACE, role
from deploy.kube.transport import connect_with_kubeconfig
from deploy.waits import Waits
from tests.deploy.health.test_cache import Counting, gateway, install, secret
from tests.support.gateway_bed import TIMEOUTS
from tests.support.running_cluster import RunningCluster
from tests.support.waiting import until

LISTED = ("dev", "prod", "closed", "later")


def inside(namespace: str, item: dict[str, Any]) -> dict[str, Any]:
    return {**item, "metadata": {**item["metadata"], "namespace": namespace}}


def bind(running: RunningCluster, namespace: str, *, pods: bool = True) -> None:
    """Give the user `bot` the Role for listed namespaces, or all of it but that it reads `pods`."""
    rights = [each for each in IN_NAMESPACE if pods or each.resources != ("pods",)]
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "gateway-bot"}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "bot"}
    install(
        running,
        role(namespace, rights),
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "gateway-bot", "namespace": namespace},
            "roleRef": reference,
            "subjects": [subject],
        },
    )


@pytest.fixture
def running(tmp_path: Path) -> Iterator[RunningCluster]:
    with RunningCluster(tmp_path, namespaces=("dev", "prod", "closed", "other")) as cluster:
        for namespace in ("dev", "prod", "closed", "other"):
            install(cluster, inside(namespace, secret("edge-1")))
            install(cluster, inside(namespace, gateway("edge-1", replicas=1)))
        bind(cluster, "dev")
        bind(cluster, "prod")
        yield cluster


@pytest.fixture
def connection(running: RunningCluster) -> Counting:
    path = running.kubeconfig("bot")
    return Counting(connect_with_kubeconfig("west", path, None, TIMEOUTS, Waits()))


@pytest.fixture
def cluster(connection: Counting) -> Iterator[Cluster]:
    made = Cluster("west", connection, namespaces=LISTED)
    yield made
    made.close()


@pytest.fixture
def cache(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[ClusterCache]:
    monkeypatch.setattr(cache_module, "_AGAIN_AFTER_REFUSAL", 0.2)
    found = ClusterCache(cluster)
    yield found
    found.stop(Deadline.after(5))


def shown(cache: ClusterCache) -> set[str]:
    return {str(gateway.ref) for gateway in cache.read().gateways}


def test_several_namespaces_are_one_view_and_one_that_refuses_spoils_only_itself(
    running: RunningCluster, cache: ClusterCache
) -> None:
    until(lambda: shown(cache) == {"west/dev/edge-1", "west/prod/edge-1"}, "both")
    until(lambda: set(cache.read().unread) == {"closed", "later"}, "what refuses")
    snapshot = cache.read()
    assert (snapshot.stale, snapshot.pods_unread) == ("", "")
    for namespace in ("closed", "later"):
        refusal = (
            f"is not allowed to list deployments.apps in namespace “{namespace}” on cluster “west”"
        )
        assert any(refusal in each and "are not shown" in each for each in snapshot.unseen)
    bind(running, "closed")
    until(lambda: set(cache.read().unread) == {"later"}, "the one that was closed")
    until(lambda: "west/closed/edge-1" in shown(cache), "its gateway")


def test_a_cluster_is_lost_only_where_none_of_its_namespaces_is_watched(
    running: RunningCluster, cache: ClusterCache
) -> None:
    cache.start()
    until(
        lambda: {name for name, _ in cache.standing.unread} == {"closed", "later"}, "the refusals"
    )
    standing = cache.standing
    assert standing.lost == ""
    assert standing.heard_at > 0
    assert all("is not allowed to list" in why for _, why in standing.unread)
    running.call(lambda: running.cluster.faults.set("api_down", True))
    until(lambda: cache.standing.lost, "the end of the cluster")
    assert len(cache.standing.unread) == 4


def test_a_namespace_whose_pods_cannot_be_read_is_neither_seen_whole_nor_are_its_gateways_gone(
    running: RunningCluster, cache: ClusterCache
) -> None:
    bind(running, "closed", pods=False)
    until(lambda: "west/closed/edge-1" in shown(cache), "its gateway")
    until(lambda: cache.read().blind == {"closed", "later"}, "what cannot be read")
    assert set(cache.read().unread) == {"later"}
    whole = {each.cluster: each.whole for each in Sightings({"west": cache}, {}).now(5)}
    assert whole == {
        "west/dev": True, "west/prod": True, "west/closed": False, "west/later": False,
    }  # fmt: skip
    (scan,) = scans_of({"west": cache}, lambda _: Seen(Heartbeat("unknown", ""), 0.0))
    assert scan.blind == {"closed", "later"}
    bind(running, "closed")
    until(lambda: cache.read().blind == {"later"}, "the pods")


def test_no_request_leaves_the_listed_namespaces(
    cache: ClusterCache, cluster: Cluster, connection: Counting
) -> None:
    until(lambda: set(cache.read().unread) == {"closed", "later"}, "what refuses")
    assert cluster.namespaces() == tuple(sorted(LISTED))
    assert len(cluster.everywhere("CronJob").unseen) == 3
    wide = [path for _, path in connection.asked if "/namespaces/" not in path]
    assert [path for path in wide if not path.startswith("/apis/argoproj.io/")] == []
    assert not any("/other" in path for _, path in connection.asked)


def test_a_namespace_is_itself_by_its_own_uid_and_one_outside_the_list_is_not_asked_about(
    running: RunningCluster, cluster: Cluster
) -> None:
    live = running.get("/api/v1/namespaces/dev")["metadata"]["uid"]
    assert cluster.uid("dev") == live != cluster.uid("prod")
    cluster.check_namespace("dev")
    with pytest.raises(NotGranted, match=r"“later” does not exist .* or the bot has no Role in it"):
        cluster.check_namespace("later")
    with pytest.raises(InvalidInput, match=r"“other” .* is not one of the namespaces") as refused:
        cluster.check_namespace("other")
    assert "namespaces dev, prod, closed, later" in refused.value.meaning


def test_nothing_listed_that_may_be_read_is_said_with_the_role_to_bind(
    running: RunningCluster, connection: Counting
) -> None:
    made = Cluster("west", connection, namespaces=("closed",))
    found = ClusterCache(made)
    try:
        with pytest.raises(NotGranted, match="in namespace “closed”") as refused:
            found.read()
        assert "Bind the Role for listed namespaces" in refused.value.remedy
    finally:
        found.stop(Deadline.after(5))


def test_what_was_seen_of_a_namespace_stays_while_its_role_is_gone_and_the_rest_is_current(
    running: RunningCluster, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "_AGAIN_AFTER_REFUSAL", 0.2)
    found = ClusterCache(cluster)
    try:
        until(lambda: shown(found) == {"west/dev/edge-1", "west/prod/edge-1"}, "both")
        path = "/apis/rbac.authorization.k8s.io/v1/namespaces/prod/rolebindings/gateway-bot"
        running.request("DELETE", path)
        # As after the minute for which rights may seem gone.
        gone = NotGranted("The bot is not allowed to list deployments.apps in namespace “prod”.")
        found._failed("Deployment", "prod", gone)
        until(lambda: "prod" in found.read().unread, "that it refuses")
        snapshot = found.read()
        assert snapshot.stale == ""
        assert snapshot.find(GatewayRef("west", "prod", "edge-1")) is not None
        assert any("Gateways there are shown as they were last seen" in s for s in snapshot.unseen)
    finally:
        found.stop(Deadline.after(5))
