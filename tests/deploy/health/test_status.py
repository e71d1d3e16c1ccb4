"""What runs on a cluster, whoever put it there, and what it says of its link to Azure."""

import base64
import datetime
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.actions.action import State
from deploy.deadline import Deadline
from deploy.errors import InvalidInput, NotFound
from deploy.expiry.scanner import scans_of
from deploy.gateway import GatewayRef
from deploy.health.cache import ClusterCache
from deploy.health.fleet import rows_of
from deploy.health.levels import Levels
from deploy.health.status import GatewayDetail, GatewaySummary, gateway_detail, resolve, summaries
from deploy.kube.cluster import Cluster
from deploy.kube.connection import Connection
from deploy.kube.transport import connect_with_kubeconfig
from deploy.plans.planning import Planner
from deploy.rollouts.applying import Applier
from deploy.rollouts.deployer import Deployer
from deploy.rollouts.minting import Minter
from deploy.waits import Waits
from tests.support import managed
from tests.support.actions import replanning
from tests.support.custody import LocalCustody
from tests.support.gateway_bed import (
    HOST,
    INSTANCE,
    REF,
    SPEC,
    TIMEOUTS,
    GatewayBed,
    Mint,
    RecordingRun,
    action_for,
    gateway_bed,
)
from tests.support.waiting import until

Manifest = dict[str, Any]


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[GatewayBed]:
    with gateway_bed(tmp_path) as ready:
        yield ready


@pytest.fixture
def cache(bed: GatewayBed) -> Iterator[ClusterCache]:
    found = ClusterCache(bed.cluster)
    yield found
    found.stop(Deadline.after(5))


def gateways(cache: ClusterCache) -> tuple[GatewaySummary, ...]:
    return summaries(cache.read(), time.time())


def deploy(bed: GatewayBed) -> None:
    planner = Planner({"west": bed.cluster}.__getitem__, list, instances={"contoso": INSTANCE})
    minter = Minter(Mint(), {"contoso": INSTANCE}, LocalCustody())
    clusters = {"west": bed.cluster}
    deployer = Deployer(Applier(clusters, minter), replanning(planner, clusters))
    plan = planner.plan(SPEC, "ABC234")
    assert deployer.execute(action_for(plan), RecordingRun()).state is State.SUCCEEDED


def portal(name: str, token: str, *, replicas: int = 1, image: str = "") -> list[Manifest]:
    """What the Azure portal's YAML and its command for the Secret make."""
    labels = {"app": name}
    secret = {"secretKeyRef": {"name": f"{name}-token", "key": "value"}}
    container = {
        "name": name,
        "image": image or "mcr.microsoft.com/azure-api-management/gateway:v2",
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/status-0123456789abcdef", "port": "http"}},
        "env": [{"name": "config.service.auth", "valueFrom": secret}],
        "envFrom": [{"configMapRef": {"name": f"{name}-env"}}],
    }
    return [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": f"{name}-token", "namespace": "dev"},
            "type": "Opaque",
            "data": {"value": base64.b64encode(f"GatewayKey {token}".encode()).decode()},
        },
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": f"{name}-env", "namespace": "dev", "labels": labels},
            "data": {"config.service.endpoint": HOST},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": "dev", "labels": labels},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            },
        },
    ]


def install(bed: GatewayBed, objects: list[Manifest]) -> None:
    bed.running.wait(bed.running.cluster.apply(objects))


def in_days(days: float) -> str:
    moment = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
    return f"{moment:%Y%m%d%H%M}"


def the_gateway(cache: ClusterCache, name: str) -> GatewaySummary:
    return until(
        lambda: next((s for s in gateways(cache) if s.ref.name == name), None), f"gateway {name}"
    )


def test_a_gateway_this_bot_deployed_is_listed_with_its_token(
    bed: GatewayBed, cache: ClusterCache
) -> None:
    deploy(bed)
    (summary,) = gateways(cache)
    assert (summary.ref, summary.gateway, summary.tag) == (REF, "edge-1", "2.11.1")
    assert (summary.desired, summary.ready, summary.updated) == (2, 2, 2)
    assert summary.managed_by == "gateway-bot"
    assert summary.token_source == "annotation"
    assert summary.token_expires_at is not None
    assert summary.attention == ()


def test_a_gateway_of_the_portals_yaml_is_found_with_what_its_token_tells(
    bed: GatewayBed, cache: ClusterCache
) -> None:
    install(bed, portal("legacy-9", f"legacy-9&{in_days(6)}&c2lnbmF0dXJl"))
    until(lambda: the_gateway(cache, "legacy-9").ready == 1, "readiness")
    summary = the_gateway(cache, "legacy-9")
    assert (summary.gateway, summary.tag, summary.managed_by) == ("legacy-9", "v2", "portal YAML")
    assert summary.token_source == "token"
    assert summary.attention == ("Its token expires in 5 days.",)


def test_a_gateway_from_a_private_registry_is_found_by_its_settings(
    bed: GatewayBed, cache: ClusterCache
) -> None:
    objects = portal("hidden", "x", image="registry.contoso.net/team/apim:1.0")
    container = objects[2]["spec"]["template"]["spec"]["containers"][0]
    del container["env"]
    install(bed, objects)
    assert the_gateway(cache, "hidden").token_source == "unknown"


def test_other_deployments_are_not_gateways(bed: GatewayBed, cache: ClusterCache) -> None:
    objects = portal("shop", "x", image="example/shop:1.0")
    objects[1]["data"] = {"color": "blue"}
    del objects[2]["spec"]["template"]["spec"]["containers"][0]["env"]
    install(bed, objects)
    assert gateways(cache) == ()


class Counting:
    """A connection that notes which collections are listed."""

    def __init__(self, inner: Connection) -> None:
        self._inner = inner
        self.listed: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def request(self, method: str, path: str, **options: Any) -> bytes:
        if "limit" in (options.get("query") or {}):
            self.listed.append(path)
        return self._inner.request(method, path, **options)

    def read(self, path: str, **options: Any) -> Any:
        self.listed.append(path)
        return self._inner.read(path, **options)


def test_the_table_takes_one_list_of_a_kind_when_cold_and_none_when_warm(bed: GatewayBed) -> None:
    deploy(bed)
    for name in ("legacy-6", "legacy-7", "legacy-8", "legacy-9"):
        objects = portal(name, "x", image="registry.contoso.net/apim:1.0")
        if name == "legacy-9":
            del objects[2]["spec"]["template"]["spec"]["containers"][0]["env"]
        install(bed, objects)
    connection = Counting(
        connect_with_kubeconfig("west", bed.running.kubeconfig(), None, TIMEOUTS, Waits())
    )
    cache = ClusterCache(Cluster("west", connection))
    try:
        assert len(gateways(cache)) == 5
        others = ["daemonsets", "deployments", "statefulsets"]
        cold = [
            *(f"/api/v1/{plural}" for plural in ("configmaps", "pods", "secrets")),
            *(f"/apis/apps/v1/{plural}" for plural in others),
            "/apis/argoproj.io/v1alpha1/rollouts",
        ]
        assert sorted(connection.listed) == cold
        assert len(gateways(cache)) == 5
        assert len(connection.listed) == len(cold)
    finally:
        cache.stop(Deadline.after(5))


def test_a_gateway_in_depth_shows_pods_services_events_and_token(
    bed: GatewayBed, cache: ClusterCache
) -> None:
    deploy(bed)

    def started() -> bool:
        return "Started" in {event.reason for event in gateway_detail(cache, REF).events}

    until(started, "the events of the pods")
    detail = gateway_detail(cache, REF)
    assert len(detail.pods) == 2
    assert all(
        pod.progress.ready and pod.progress.state == "Running" and pod.progress.node
        for pod in detail.pods
    )
    assert {pod.token_secret for pod in detail.pods} == {"edge-1-token-abc234"}
    assert [pod.heartbeat.level for pod in detail.pods if pod.heartbeat] == ["no trouble seen"] * 2
    assert [action.action for action in detail.actions] == ["ABC234"]
    assert detail.instance == "contoso"
    names = {service.name: service for service in detail.services}
    assert names["edge-1-live-traffic"].ports == "80/TCP, 443/TCP"
    assert names["edge-1-instance-discovery"].cluster_ip == "None"
    assert detail.summary.token_secret == "edge-1-token-abc234"
    assert detail.unread == ()
    assert {c.type for c in detail.conditions} == {"Available", "Progressing"}
    bed.cluster.delete("Secret", "dev", "edge-1-token-abc234")
    gone = gateway_detail(cache, REF).summary
    told = (
        "Its token is missing: there is no Secret edge-1-token-abc234. A pod that starts now cannot run.",
    )
    assert gone.attention == told
    assert the_gateway(cache, "edge-1").attention == told
    assert gone.token_expires_at is None


@pytest.mark.parametrize(
    ("marks", "writer", "said"),
    [
        (managed.FLUX[0], "kustomize-controller", "Flux (Kustomization flux-system/edge)"),
        (managed.ARGO_CD[2], "argocd-controller", "Argo CD (application edge)"),
        (managed.HELM[0], "helm", "Helm (release prod/edge)"),
        (managed.PERHAPS_HELM[0], "helm", "perhaps Helm"),
        (managed.LIKE_ARGO_CD[1], "kubectl-client-side-apply", "None"),
    ],
)
def test_a_gateway_in_depth_says_who_manages_it(
    bed: GatewayBed, cache: ClusterCache, marks: managed.Marks, writer: str, said: str
) -> None:
    install(bed, portal("legacy-9", "x"))
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "legacy-9",
            "namespace": "dev",
            "labels": marks.get("labels", {}),
            "annotations": marks.get("annotations", {}),
        },
        "spec": {"replicas": 1},
    }
    bed.cluster.apply(body, manager=writer, force=True)
    assert str(beat(cache, "legacy-9").manager) == said


def test_a_gateway_in_depth_names_the_jobs_of_others_that_rotate_its_token(
    bed: GatewayBed, cache: ClusterCache
) -> None:
    deploy(bed)
    container = {"name": "rotate", "image": "example/apimrotate:1", "args": ["contoso", "edge-1"]}
    pod = {"restartPolicy": "Never", "containers": [container]}
    job = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "rotate", "namespace": "dev"},
        "spec": {
            "schedule": "0 2 1,15 * *",
            "jobTemplate": {"spec": {"template": {"spec": pod}}},
        },
    }
    bed.cluster.create(job)
    assert [str(each) for each in beat(cache).rotators] == ["CronJob dev/rotate"]


def beat(cache: ClusterCache, name: str = "edge-1") -> GatewayDetail:
    return gateway_detail(cache, GatewayRef("west", "dev", name))


def level(cache: ClusterCache, wanted: str) -> Callable[[], bool]:
    return lambda: beat(cache).heartbeat.level == wanted


def test_a_healthy_gateway_shows_no_trouble_and_claims_no_more(
    bed: GatewayBed, cache: ClusterCache
) -> None:
    deploy(bed)
    heartbeat = beat(cache).heartbeat
    assert heartbeat.level == "no trouble seen"
    assert "no link warning" in heartbeat.evidence


def test_a_refused_token_is_denied_with_the_gateways_own_words(
    bed: GatewayBed, cache: ClusterCache
) -> None:
    deploy(bed)
    bed.configuration.status = 401
    until(level(cache, "denied"), "the refusal")
    heartbeat = beat(cache).heartbeat
    assert "StatusCode: Unauthorized" in heartbeat.evidence
    assert heartbeat.since is not None
    assert time.time() - 60 < heartbeat.since <= time.time()
    assert heartbeat.refusal is not None
    assert heartbeat.refusal.proven
    # What a look in depth sees, the table, the warnings and the incidents know.
    levels = Levels({"west": cache})
    gateway_detail(cache, REF, judged=levels.judged)
    (scan,) = scans_of({"west": cache}, levels.last)
    assert scan.refused.keys() == {REF}
    (summary,) = scan.gateways
    assert summary.attention == ("Azure refuses its token.",)
    (row,) = rows_of(gateways(cache), {REF: levels.last(cache.read().gateways[0])}, (), ())
    assert row.summary.renewable


def test_a_broken_name_service_is_cut_off(bed: GatewayBed, cache: ClusterCache) -> None:
    deploy(bed)
    bed.nodes("dns_broken", True)
    until(level(cache, "cut off"), "the cut")


def test_logs_that_may_not_be_read_leave_it_unknown(bed: GatewayBed, cache: ClusterCache) -> None:
    deploy(bed)
    bed.api("deny_logs", True)
    heartbeat = beat(cache).heartbeat
    assert heartbeat.level == "unknown"
    assert "its log cannot be read" in heartbeat.evidence


def test_a_secret_changed_under_a_running_pod_is_a_stale_token(
    bed: GatewayBed, cache: ClusterCache
) -> None:
    objects = portal("legacy-9", f"legacy-9&{in_days(20)}&c2lnbmF0dXJl")
    install(bed, objects)
    until(lambda: the_gateway(cache, "legacy-9").ready == 1, "readiness")

    def renewed() -> bool:
        # Kubernetes writes whole seconds: the token must change in a later one than the start.
        token = f"GatewayKey legacy-9&{in_days(30)}&{time.time_ns()}"
        objects[0]["data"] = {"value": base64.b64encode(token.encode()).decode()}
        bed.running.apply("/api/v1/namespaces/dev/secrets/legacy-9-token", objects[0])
        return beat(cache, "legacy-9").heartbeat.level == "stale token"

    until(renewed, "the stale token")
    assert (
        "before the token in its Secret was changed" in beat(cache, "legacy-9").heartbeat.evidence
    )


def test_a_token_past_its_expiry_is_never_healthy(bed: GatewayBed, cache: ClusterCache) -> None:
    install(bed, portal("legacy-9", f"legacy-9&{in_days(-2)}&c2lnbmF0dXJl"))
    until(lambda: the_gateway(cache, "legacy-9").ready == 1, "readiness")
    assert the_gateway(cache, "legacy-9").attention == ("Its token has expired.",)
    assert beat(cache, "legacy-9").heartbeat.level == "stale token"


def test_a_gateway_without_pods_is_unknown(bed: GatewayBed, cache: ClusterCache) -> None:
    install(bed, portal("legacy-9", "x", replicas=0))
    heartbeat = beat(cache, "legacy-9").heartbeat
    assert (heartbeat.level, heartbeat.evidence) == (
        "unknown",
        "there is no pod that could talk to Azure",
    )


def test_what_does_not_run_is_not_found(bed: GatewayBed, cache: ClusterCache) -> None:
    with pytest.raises(NotFound, match="No gateway “edge-1” runs in west/dev"):
        gateway_detail(cache, REF)


def summary(where: str, gateway: str = "") -> GatewaySummary:
    return GatewaySummary(
        ref=GatewayRef.parse(where),
        gateway=gateway,
        tag="2.11.1",
        desired=1,
        ready=1,
        updated=1,
        available=1,
        created_at=0.0,
        managed_by="gateway-bot",
    )


FLEET = [
    summary("west/dev/edge-1", "Edge-1"),
    summary("east/dev/edge-1", "Edge-1"),
    summary("east/prod/store-7", "Store"),
]


@pytest.mark.parametrize(
    "name", ["store-7", "prod/store-7", "east/prod/store-7", "STORE-7 ", "Store"]
)
def test_an_unambiguous_name_is_enough(name: str) -> None:
    assert str(resolve(name, FLEET)) == "east/prod/store-7"


def test_a_place_is_never_what_a_gateway_in_another_place_says_that_it_is_called() -> None:
    posing = summary("west/dev/mine", "east/prod/store-7")
    with pytest.raises(NotFound):
        resolve("east/prod/store-7", [posing])


def test_an_ambiguous_name_lists_what_it_can_mean() -> None:
    with pytest.raises(InvalidInput, match="east/dev/edge-1, west/dev/edge-1"):
        resolve("edge-1", FLEET)


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(NotFound, match="Did you mean store-7"):
        resolve("stor-7", FLEET)
    with pytest.raises(NotFound):
        resolve("", [])


def test_a_name_that_a_silent_cluster_may_know_is_not_said_to_run_nowhere() -> None:
    with pytest.raises(NotFound) as caught:
        resolve("edge-9", FLEET, ("west",))
    assert "runs on the clusters" not in caught.value.happened
    assert "It may run on west" in caught.value.meaning
