"""The lies test: each thing is broken, and no status stays green or blue without evidence.

On the sandbox's cluster and, with `make test-cluster`, on a real control plane. What each case was
shown as, and why, is printed at the end.
"""

import base64
import contextlib
import datetime
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.sandbox.node.addresses import LOOPBACK, ROUTED
from deploy.deadline import Deadline
from deploy.gateway import GatewayRef
from deploy.health.cache import ClusterCache
from deploy.health.heartbeat import Heartbeat
from deploy.health.levels import Levels
from deploy.health.status import gateway_detail, summaries
from deploy.kube.cluster import connect
from deploy.kube.connection import Timeouts
from deploy.rollouts.verdicts import serving
from tests.cluster import shapes
from tests.cluster.conftest import GATEWAY, Target, joined
from tests.conftest import EVIDENCE
from tests.support import managed
from tests.support.control_plane import ControlPlane
from tests.support.kube_api import STRATEGIC, Obj
from tests.support.node_bed import gateway_container
from tests.support.silent_proxy import SilentProxy, behind_proxy
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("needs_controllers", "asked_for")

TIMEOUTS = Timeouts(connect=2.0, read=10.0, repeat=0.3)
_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_GOOD = ("connected", "no trouble seen")


@pytest.fixture
def asked_for(request: pytest.FixtureRequest, target: Target) -> None:
    """A real control plane takes minutes for all of it, so that `make test` leaves it out."""
    if target.sandbox is None and request.config.getoption("--control-plane") != "required":
        pytest.skip("`make test-cluster` runs this")


@pytest.fixture
def whole_run(request: pytest.FixtureRequest) -> None:
    """For what takes too long for `make test`."""
    if request.config.getoption("--control-plane") != "required":
        pytest.skip("`make test-cluster` runs this")


def token(days: float = 20, gateway: str = "edge-1") -> str:
    """A token's text whose expiry is that far away."""
    moment = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
    return f"GatewayKey {gateway}&{moment:%Y%m%d%H%M}&c2lnbmF0dXJlLW9mLWEtdG9rZW4="


@dataclass
class Bed:
    """One gateway on a cluster, and the bot's own way of looking at it."""

    target: Target
    ns: str
    proxy: SilentProxy
    kubeconfig: Path
    stack: contextlib.ExitStack
    placed: Obj = field(default_factory=dict)
    name: str = "edge-1"
    labels: Obj = field(default_factory=lambda: {"app": "edge-1"})
    pod: Obj = field(default_factory=dict)
    """What others put into its pods: their containers stand before the gateway's own."""
    ready: int | None = 1
    cache: ClusterCache | None = None
    levels: Levels | None = None

    @property
    def ref(self) -> GatewayRef:
        return GatewayRef("west", self.ns, self.name)

    @property
    def path(self) -> str:
        """Of its Deployment."""
        return f"/apis/apps/v1/namespaces/{self.ns}/deployments/{self.name}"

    def look_as(self, kubeconfig: Path) -> None:
        """Look with these credentials from now on."""
        context = yaml.safe_load(kubeconfig.read_text())["current-context"]
        cluster = connect("west", kubeconfig=kubeconfig, context=context, timeouts=TIMEOUTS)
        self.cache = ClusterCache(cluster)
        self.levels = Levels({"west": self.cache})
        self.stack.callback(cluster.close)
        self.stack.callback(self.cache.stop, Deadline.after(60))

    def edit(self, **fields: Any) -> None:
        """Change the Deployment's spec by hand, whatever controllers write in the same moment."""
        answer = self.target.api.request("PATCH", self.path, {"spec": fields}, STRATEGIC)
        assert answer.status == 200, answer.body

    def image(self, image: str) -> Obj:
        """A pod template's change to another image of the gateway's container."""
        live = self.target.api.get(self.path)
        name = live["spec"]["template"]["spec"]["containers"][0]["name"]
        return {"spec": {"containers": [{"name": name, "image": image}]}}

    def fault(self, name: str, value: Any, mended: Any) -> None:
        """Break the nodes until the test is over."""
        self.target.fault(name, value)
        self.stack.callback(self.target.fault, name, mended)

    def endpoint(self, status: int) -> None:
        """What the configuration endpoint answers until the test is over."""
        self.target.configuration.status = status
        self.stack.callback(setattr, self.target.configuration, "status", 200)

    def deploy(self, text: str = "", **settings: str) -> None:
        """A gateway of one pod as the portal's YAML has it, as ready as it can be."""
        api, core = self.target.api, f"/api/v1/namespaces/{self.ns}"
        data = {"value": base64.b64encode((text or token()).encode()).decode()}
        api.create(f"{core}/secrets", {"metadata": {"name": "edge-1-token"}, "data": data})
        container = gateway_container(settings={"gateway.name": "edge-1", **settings})
        container["readinessProbe"] |= {"failureThreshold": 1}
        spec = {**self.pod, **(self.placed or self.target.placed)}
        spec["containers"] = [*self.pod.get("containers", ()), container]
        body = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": self.name},
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": self.labels},
                "template": {"metadata": {"labels": self.labels}, "spec": spec},
            },
        }
        api.apply(self.path, body)
        until(
            lambda: api.get(self.path).get("status", {}).get("readyReplicas") == self.ready,
            "the ready pods",
            seconds=120,
        )

    def in_depth(self) -> Heartbeat:
        """What `status edge-1` shows."""
        assert self.cache is not None
        return gateway_detail(self.cache, self.ref).heartbeat

    def is_shown_good(self) -> None:
        """Wait until the bot has seen that it is well."""
        until(lambda: self.in_depth().level in _GOOD, "a gateway that is shown to be well")

    def in_the_table(self) -> Heartbeat:
        """What `status` shows in its row."""
        assert self.cache is not None
        assert self.levels is not None
        found = self.cache.read().find(self.ref)
        assert found is not None
        return self.levels.look([found])[self.ref].heartbeat

    def attention(self) -> str:
        """What the row says to look at."""
        assert self.cache is not None
        (found,) = [s for s in summaries(self.cache.read(), 0) if s.ref == self.ref]
        return " ".join(found.attention)


@pytest.fixture
def bed(target: Target, ns: str, tmp_path: Path) -> Iterator[Bed]:
    """Everything works: nothing is deployed yet."""
    config = yaml.safe_load(target.kubeconfig.read_text())
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump({**config, "current-context": target.context}))
    with contextlib.ExitStack() as stack:
        proxy, through = stack.enter_context(behind_proxy(path, tmp_path))
        made = Bed(target, ns, proxy, through, stack)
        made.look_as(through)
        yield made


def nothing(bed: Bed) -> None:
    bed.deploy()


def debug(bed: Bed) -> None:
    bed.deploy(**{"telemetry.logs.std.level": "debug"})


def node_fault(name: str, value: Any = True, mended: Any = False) -> Callable[[Bed], None]:
    def strike(bed: Bed) -> None:
        bed.deploy()
        bed.is_shown_good()
        bed.fault(name, value, mended)

    return strike


def endpoint(status: int, text: str = "") -> Callable[[Bed], None]:
    def strike(bed: Bed) -> None:
        bed.deploy(text)
        bed.endpoint(status)

    return strike


def expired_and_still_served(bed: Bed) -> None:
    bed.deploy(token(-1))


def slow_api(bed: Bed) -> None:
    bed.deploy()
    bed.is_shown_good()
    bed.proxy.delay = 7.0
    bed.stack.callback(setattr, bed.proxy, "delay", 0.0)


def api_gone(bed: Bed) -> None:
    bed.deploy()
    bed.is_shown_good()
    bed.proxy.close()


def logs_refused(bed: Bed) -> None:
    """A service account with every right of the bot but this one."""
    bed.deploy()
    api = bed.target.api
    accounts = f"/api/v1/namespaces/{bed.ns}/serviceaccounts"
    api.create(accounts, {"metadata": {"name": "blind"}})
    rules = [
        {"apiGroups": ["", "apps"], "resources": ["*"], "verbs": ["list", "watch"]},
        {"apiGroups": [""], "resources": ["pods/proxy", "secrets", "configmaps"], "verbs": ["get"]},
    ]
    name = f"blind-{bed.ns}"
    api.create(f"{_RBAC}/clusterroles", {"metadata": {"name": name}, "rules": rules})
    bed.stack.callback(api.request, "DELETE", f"{_RBAC}/clusterroles/{name}")
    subject = {"kind": "ServiceAccount", "name": "blind", "namespace": bed.ns}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
    binding = {"metadata": {"name": name}, "roleRef": reference, "subjects": [subject]}
    api.create(f"{_RBAC}/clusterrolebindings", binding)
    bed.stack.callback(api.request, "DELETE", f"{_RBAC}/clusterrolebindings/{name}")
    asked = api.request("POST", f"{accounts}/blind/token", {"spec": {"expirationSeconds": 600}})
    config = yaml.safe_load(bed.kubeconfig.read_text())
    config["users"] = [
        {"name": user["name"], "user": {"token": asked.body["status"]["token"]}}
        for user in config["users"]
    ]
    path = bed.kubeconfig.with_name("kubeconfig-blind")
    path.write_text(yaml.safe_dump(config))
    bed.look_as(path)
    assert bed.cache is not None
    cluster = bed.cache.cluster
    # An API server knows of a new binding a moment after it has taken it.
    until(lambda: cluster.can_i("list", "apps", "deployments", None), "its rights")


def node_lost(bed: Bed) -> None:
    """A node of its own, which falls silent as in a power cut."""
    plane = ControlPlane(bed.target.kubeconfig, bed.target.context)
    network = LOOPBACK if bed.target.sandbox else ROUTED
    directory = bed.kubeconfig.parent / "other"
    directory.mkdir()
    other = bed.stack.enter_context(joined(plane, directory, network))
    bed.placed = other.placed
    bed.deploy()
    other.silence()


def logs_off(bed: Bed) -> None:
    bed.deploy(**{"telemetry.logs.std": "none"})


def only_errors_logged(bed: Bed) -> None:
    bed.deploy(**{"telemetry.logs.std.level": "error"})


def chatty(bed: Bed) -> None:
    bed.deploy()
    bed.fault("chatter", 3000.0, 0.0)


@dataclass(frozen=True)
class Case:
    """What is broken, what it has to be shown as, and words of the evidence."""

    name: str
    strike: Callable[[Bed], None]
    level: str
    evidence: str
    slow: bool = False


CASES = (
    Case("nothing is broken (level info)", nothing, "no trouble seen", "no link warning"),
    Case("nothing is broken (level debug)", debug, "connected", "configuration poll"),
    Case("link lost", node_fault("link_lost"), "cut off", "canceled"),
    Case("DNS broken", node_fault("dns_broken"), "cut off", "Name or service not known"),
    Case("configuration endpoint 503", endpoint(503), "cut off", "answers ServiceUnavailable"),
    Case("token revoked", endpoint(401), "denied", "Unauthorized"),
    Case("token expired", endpoint(401, token(-1)), "denied", "Unauthorized"),
    Case("token expired, still served", expired_and_still_served, "stale token", "expired on"),
    Case("wrong gateway", endpoint(403, token(gateway="store-7")), "denied", "Forbidden"),
    Case("pod frozen", node_fault("frozen"), "unknown", "not", slow=True),
    Case("status path 503", node_fault("not_ready"), "unknown", "not"),
    Case("crash loop", node_fault("crash_loop", "all", "none"), "unknown", "not ready"),
    Case("API server slow", slow_api, "unknown", "its log cannot be read", slow=True),
    Case("API server gone", api_gone, "unknown", "its log cannot be read"),
    Case("log access refused", logs_refused, "unknown", "not allowed"),
    Case("node lost", node_lost, "unknown", "its log cannot be read"),
    Case("logs switched off", logs_off, "unknown", "telemetry.logs.std is none"),
    Case("only errors logged", only_errors_logged, "unknown", "level is error"),
    Case("more logged than can be read", chatty, "unknown", "only the last"),
    *(Case(*row) for row in shapes.TABLE),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_no_status_stays_green_without_evidence(
    case: Case,
    bed: Bed,
    request: pytest.FixtureRequest,
    record_property: Callable[[str, object], None],
) -> None:
    if case.slow and request.config.getoption("--control-plane") != "required":
        pytest.skip("`make test-cluster` runs this")
    case.strike(bed)
    for where, look in (("in depth", bed.in_depth), ("in the table", bed.in_the_table)):
        seen: list[Heartbeat] = []

        def shown(look: Callable[[], Heartbeat] = look, seen: list[Heartbeat] = seen) -> bool:
            seen.append(look())
            return seen[-1].level == case.level and case.evidence in seen[-1].evidence

        with contextlib.suppress(AssertionError):
            until(shown, seconds=120)
        assert (seen[-1].level, case.evidence in seen[-1].evidence) == (case.level, True), (
            f"{where} it is {seen[-1].level}: {seen[-1].evidence}"
        )
        if case.level not in _GOOD:
            assert look().level not in _GOOD, f"green again {where}"
    record_property(
        EVIDENCE,
        f"{bed.target.name:8} {case.name:32} {seen[-1].level:16} {seen[-1].evidence[:120]}",
    )


def test_a_token_of_another_gateway_is_named_before_azure_is_asked(bed: Bed) -> None:
    bed.deploy(token(gateway="store-7"))
    said = "belongs to gateway store-7, not to edge-1"
    until(lambda: said in bed.attention(), "the other gateway's name")


def test_the_cluster_that_went_away_is_said_with_the_age_of_what_is_shown(bed: Bed) -> None:
    bed.deploy()
    assert bed.cache is not None
    cache = bed.cache
    bed.is_shown_good()
    assert cache.read().stale == ""
    bed.proxy.close()
    until(lambda: bool(cache.read().stale), "the loss")
    detail = gateway_detail(cache, bed.ref)
    assert detail.summary.stale
    assert detail.heartbeat.level == "unknown"


@pytest.mark.parametrize(
    ("marks", "writer", "said"),
    [
        (managed.ARGO_CD[0], "argocd-controller", "Argo CD (application edge)"),
        (managed.ARGO_CD[2], "argocd-controller", "Argo CD (application edge)"),
        (managed.FLUX[0], "kustomize-controller", "Flux (Kustomization flux-system/edge)"),
        (managed.FLUX[2], "helm-controller", "Flux (HelmRelease flux-system/edge)"),
        (managed.HELM[0], "helm", "Helm (release prod/edge)"),
        (managed.AZURE_ARC[0], "helm", "Azure Arc (extension edge)"),
        (managed.PERHAPS_HELM[0], "kubectl", "perhaps Helm"),
        (managed.PERHAPS_FLUX[0], "kubectl", "perhaps Flux (Kustomization flux-system/edge)"),
        (managed.LIKE_ARGO_CD[1], "kubectl", "None"),
        (managed.LIKE_ARGO_CD[3], "kubectl", "None"),
    ],
)
def test_who_manages_a_gateway_is_told_by_what_the_api_server_keeps(
    bed: Bed, marks: managed.Marks, writer: str, said: str
) -> None:
    bed.deploy()
    shape = managed.live("Deployment", marks, name=bed.name, namespace=bed.ns)["metadata"]
    metadata = {"name": bed.name, "labels": shape["labels"], "annotations": shape["annotations"]}
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {"replicas": 1},
    }
    bed.target.api.apply(bed.path, body, manager=writer)
    assert bed.cache is not None
    assert str(gateway_detail(bed.cache, bed.ref).manager) == said


@pytest.mark.usefixtures("whole_run")
def test_an_init_container_that_crashes_is_shown_as_kubectl_shows_it(bed: Bed) -> None:
    """The API server prints the table for kubectl: its STATUS is what must be shown."""
    shapes.crashing_init_container(bed)
    pods, table = (
        f"/api/v1/namespaces/{bed.ns}/pods",
        "application/json;as=Table;v=v1;g=meta.k8s.io",
    )

    def alike() -> bool:
        answer = bed.target.api.request("GET", pods, accept=table).body
        column = [each["name"] for each in answer["columnDefinitions"]].index("Status")
        printed = [row["cells"][column] for row in answer["rows"]]
        assert bed.cache is not None
        seen = [pod.progress for pod in gateway_detail(bed.cache, bed.ref).pods]
        told = [pod.trouble for pod in seen]
        return (
            printed == [pod.state for pod in seen] == ["Init:CrashLoopBackOff"]
            and "istio-init" in told[0]
            and seen[0].restarts > 0
        )

    until(alike, "kubectl's word for it", seconds=120)


@pytest.mark.usefixtures("whole_run")
def test_a_pod_that_ended_is_listed_apart(bed: Bed) -> None:
    shapes.evicted(bed)
    assert bed.cache is not None
    cache = bed.cache

    def apart() -> bool:
        detail = gateway_detail(cache, bed.ref)
        living = [pod.progress.ready for pod in detail.pods]
        return [pod.state for pod in detail.ended] == ["Evicted"] and living == [True]

    until(apart, "the evicted pod apart from the one that serves", seconds=120)
    until(lambda: bed.attention() == "", "nothing to look at", seconds=120)


@pytest.mark.usefixtures("whole_run")
@pytest.mark.parametrize("tag", ["2.10.0", "0.0.0"])
def test_a_rollout_of_an_adopted_release_says_what_became_of_it(bed: Bed, tag: str) -> None:
    shapes.helm_release(bed)
    bed.edit(template=bed.image(f"{GATEWAY}:{tag}"))
    if tag == "0.0.0":
        progress = shapes.followed(bed, lambda p: bool(p.trouble) and p.serving == 1)
        assert not progress.complete
        assert len(progress.pods) == 2
        assert "Image" in progress.trouble[0]
        assert "1 pod of the previous version" in serving(progress)
    else:
        progress = shapes.followed(bed, lambda p: p.complete)
        assert progress.complete, progress.trouble
        assert (progress.ready, progress.old) == (1, 0)


@pytest.mark.usefixtures("whole_run")
def test_a_rollout_of_a_paused_deployment_is_not_called_done(bed: Bed) -> None:
    bed.deploy()
    bed.edit(paused=True, template=bed.image(f"{GATEWAY}:2.10.0"))
    progress = shapes.followed(bed, lambda p: bool(p.trouble))
    assert not progress.complete
    assert progress.trouble == (
        ("The Deployment is paused, so Kubernetes does not replace its pods."),
    )
    assert (progress.serving, progress.ready) == (1, 0)
