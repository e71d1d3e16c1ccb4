"""A middlebox forgets the connections of the bot's watches and tells nobody."""

import time
from pathlib import Path

from deploy.deadline import Deadline
from deploy.health.cache import ClusterCache
from deploy.kube.cluster import connect
from tests.support.control_plane import ControlPlane
from tests.support.kube_api import MERGE, KubeApi
from tests.support.silent_proxy import behind_proxy
from tests.support.waiting import until

_NAMESPACE = "middlebox"
_DEPLOYMENTS = f"/apis/apps/v1/namespaces/{_NAMESPACE}/deployments"


def test_a_change_behind_a_watch_that_died_without_a_word_is_known_within_a_minute(
    whole_plane: ControlPlane, tmp_path: Path
) -> None:
    api = KubeApi(whole_plane.kubeconfig, whole_plane.context)
    api.create("/api/v1/namespaces", {"metadata": {"name": _NAMESPACE}})
    labels = {"app": "edge-1"}
    container = {"name": "edge-1", "image": "mcr.microsoft.com/azure-api-management/gateway:2.11.1"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    api.create(_DEPLOYMENTS, {"metadata": {"name": "edge-1"}, "spec": spec})
    with behind_proxy(whole_plane.kubeconfig, tmp_path) as (proxy, kubeconfig):
        cluster = connect("west", kubeconfig=kubeconfig, context=whole_plane.context)
        cache = ClusterCache(cluster)
        try:
            assert _replicas(cache) == 0
            _scale(api, 1)
            until(lambda: _replicas(cache) == 1, "a change while the watch is whole")
            proxy.forget()
            began = time.monotonic()
            _scale(api, 2)
            until(lambda: _replicas(cache) == 2, "the change", 90)
            assert time.monotonic() - began < 60
        finally:
            cache.stop(Deadline.after(5))
            cluster.close()
    api.request("DELETE", f"/api/v1/namespaces/{_NAMESPACE}")


def _scale(api: KubeApi, replicas: int) -> None:
    api.request("PATCH", f"{_DEPLOYMENTS}/edge-1", {"spec": {"replicas": replicas}}, MERGE)


def _replicas(cache: ClusterCache) -> int:
    (found,) = [g for g in cache.read().gateways if g.ref.namespace == _NAMESPACE]
    return int(found.deployment["spec"]["replicas"])
