"""Gateways of others on one of the clusters, and the bot's own way of adopting them there."""

import base64
import contextlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from deploy.access import Environment
from deploy.actions.action import Outcome
from deploy.changes.adopting import adoption_of
from deploy.gateway import GatewayRef
from deploy.kube.cluster import Cluster, connect
from deploy.observed.effective import EffectiveSettings
from deploy.observed.given import read_given
from deploy.observed.inventory import gateway_container
from deploy.plans.adoption import Adoption
from deploy.plans.diff import field_changes
from deploy.plans.plan import Plan
from deploy.plans.planning import Planner
from deploy.plans.requests import DeployRequest
from deploy.rollouts.applying import Applier
from deploy.rollouts.minting import Minter
from deploy.specs.gateway_spec import GatewaySpec
from tests.cluster.conftest import Target
from tests.support.actions import workings
from tests.support.custody import LocalCustody
from tests.support.deploy_verb import deploy_asked
from tests.support.gateway_bed import INSTANCE, PATIENT, Mint, RecordingRun, action_for
from tests.support.kube_api import MERGE, Obj
from tests.support.waiting import until

DATA = Path(__file__).parents[1] / "data"
_WHERE = ("adoption/cases", "adoption/relatives", "settings")
_INSTANCES = {"contoso": INSTANCE}
_APPS, _CORE = "/apis/apps/v1/namespaces/{}", "/api/v1/namespaces/{}"
PATHS = {
    "ConfigMap": f"{_CORE}/configmaps",
    "Secret": f"{_CORE}/secrets",
    "Service": f"{_CORE}/services",
    "ServiceAccount": f"{_CORE}/serviceaccounts",
    "PersistentVolumeClaim": f"{_CORE}/persistentvolumeclaims",
    "Deployment": f"{_APPS}/deployments",
    "PodDisruptionBudget": "/apis/policy/v1/namespaces/{}/poddisruptionbudgets",
    "HorizontalPodAutoscaler": "/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers",
    "CronJob": "/apis/batch/v1/namespaces/{}/cronjobs",
    "Ingress": "/apis/networking.k8s.io/v1/namespaces/{}/ingresses",
}
_SIGNATURE = "c2lnbmF0dXJl"
_KUBECTL = "fieldManager=kubectl-client-side-apply"
_REPOSITORIES = (
    "mcr.microsoft.com/azure-api-management/gateway",
    "registry.contoso.com:5000/mirror/azure-api-management/gateway",
    "registry.example/azure-api-management/gateway",
    "contoso.azurecr.io/cache/azure-api-management/gateway",
)
Objects = Mapping[tuple[str, str], Obj]


@dataclass
class AdoptionBed:
    """A namespace with gateways that `kubectl apply` has installed, one of production or not."""

    target: Target
    ns: str
    cluster: Cluster
    mint: Mint = field(default_factory=Mint)
    production: bool = True

    def ref(self, name: str) -> GatewayRef:
        return GatewayRef("west", self.ns, name)

    def live(self, name: str) -> Obj:
        return self.target.api.get(f"{PATHS['Deployment'].format(self.ns)}/{name}")

    def install(self, *bodies: Obj, ready: bool = True) -> list[str]:
        """Create the objects and what they refer to; the Deployments' names, their pods ready where
        they get so."""
        there = {(body["kind"], body["metadata"]["name"]) for body in bodies}
        for body in bodies:
            if body["kind"] == "Deployment":
                for kind, name, keys in _wanted_by(body):
                    if (kind, name) not in there:
                        there.add((kind, name))
                        self.create(_stand_in(kind, name, keys))
        for body in bodies:
            self.create(body)
        names = [body["metadata"]["name"] for body in bodies if body["kind"] == "Deployment"]
        for name in names if ready else ():
            self.wait(name, least=_least(bodies, name))
        return names

    def create(self, body: Obj) -> None:
        """As `kubectl apply` does."""
        body["metadata"]["namespace"] = self.ns
        if body["kind"] == "Deployment":
            body["spec"]["template"]["spec"] |= self.target.placed
        self.target.api.create(f"{PATHS[body['kind']].format(self.ns)}?{_KUBECTL}", body)

    def scale(self, name: str, replicas: int, manager: str) -> None:
        """As an autoscaler does it that is called so."""
        path = f"{PATHS['Deployment'].format(self.ns)}/{name}/scale?fieldManager={manager}"
        answer = self.target.api.request("PATCH", path, {"spec": {"replicas": replicas}}, MERGE)
        assert answer.status == 200, answer.body

    def wait(self, name: str, *, least: int = 0) -> None:
        """Until every pod that is wanted is available, and so many are wanted."""

        def ready() -> bool:
            live = self.live(name)
            available = live.get("status", {}).get("availableReplicas", 0)
            return bool(available == live["spec"]["replicas"] >= least)

        until(ready, f"ready pods of {name}")

    def adoption(self, name: str, gateway: str = "") -> Adoption:
        """What the bot would adopt."""
        known = lambda instance: ["edge-1", "keda-gw", "demo", name]  # noqa: E731
        return adoption_of(
            self.cluster, self.ref(name), _INSTANCES, known, gateway=gateway or "edge-1"
        )

    @property
    def planner(self) -> Planner:
        return Planner(
            lambda _: self.cluster,
            lambda: ("2.11.1",),
            [Environment("tests", production=self.production)],
            instances=_INSTANCES,
            repositories=_REPOSITORIES,
        )

    def carry_out(self, kind: str, plan: Plan, request: DeployRequest, action_id: str) -> Outcome:
        """Execute a plan that was confirmed."""
        clusters = {"west": self.cluster}
        applier = Applier(clusters, Minter(self.mint, _INSTANCES, LocalCustody()))
        table = workings(planner=self.planner, clusters=clusters, applier=applier)
        action = action_for(plan, action_id, kind=kind, request=request)
        return table[kind].executor.execute(action, RecordingRun())

    def adopt(self, spec: GatewaySpec) -> tuple[Plan, Outcome]:
        """Plan the adoption and carry it out."""
        request = DeployRequest(spec, take_over=True)
        plan = self.planner.plan(spec, "ABC234", take_over=True)
        assert not plan.denied, plan.findings
        return plan, self.carry_out("adopt", plan, request, "ABC234")

    def asked(self, name: str, **options: Any) -> DeployRequest:
        """What `/gateway deploy` asks for, with these options."""
        given = {"name": name, **options}
        tags = ("2.11.1", "2.10.0")
        return deploy_asked(self.cluster, f"west/{self.ns}", gateway="edge-1", tags=tags, **given)

    def deploy(
        self, spec: GatewaySpec, action_id: str, *, counts: bool = False
    ) -> tuple[Plan, Outcome]:
        """Plan a deployment that takes over nothing, and carry it out."""
        plan = self.planner.plan(spec, action_id, counts=counts)
        return plan, self.carry_out("deploy", plan, DeployRequest(spec, counts=counts), action_id)

    def everything(self) -> Objects:
        """Every object of the namespace that people and bots write."""
        return {
            (kind, item["metadata"]["name"]): {"kind": kind, **item}
            for kind, path in PATHS.items()
            for item in self.target.api.items(path.format(self.ns))
            if item["metadata"]["name"] not in ("default", "kube-root-ca.crt")
        }

    def given(self, name: str) -> EffectiveSettings:
        """What the pods that start now are given, also from Secrets."""
        pod = self.live(name)["spec"]["template"]["spec"]
        return read_given(self.cluster, self.ns, pod, secrets=True)

    def given_to_pods(self, name: str, setting: str) -> set[str]:
        """What each pod that is not ending is given."""
        labels = self.live(name)["spec"]["selector"].get("matchLabels") or {}
        chosen = ",".join(f"{key}={value}" for key, value in labels.items())
        pods = self.target.api.items(f"{_CORE.format(self.ns)}/pods?labelSelector={chosen}")
        return {
            read_given(self.cluster, self.ns, pod["spec"]).value(setting)
            for pod in pods
            if not pod["metadata"].get("deletionTimestamp")
        }

    @contextlib.contextmanager
    def sampled(self, name: str) -> Iterator[list[int]]:
        """The available pods, looked at all the time while the block runs."""
        seen: list[int] = []
        ended = threading.Event()

        def look() -> None:
            seen.append(int(self.live(name)["status"].get("availableReplicas", 0)))

        def sample() -> None:
            while not ended.wait(0.02):
                look()

        # The thread may begin after an adoption that starts no pod.
        look()
        thread = threading.Thread(target=sample)
        thread.start()
        try:
            yield seen
        finally:
            ended.set()
            thread.join()


@contextlib.contextmanager
def adoption_bed(target: Target, ns: str) -> Iterator[AdoptionBed]:
    """Nothing is installed yet."""
    cluster = connect(
        "west", kubeconfig=target.kubeconfig, context=target.context, timeouts=PATIENT
    )
    try:
        yield AdoptionBed(target, ns, cluster)
    finally:
        cluster.close()


def case(name: str) -> list[Obj]:
    """The objects of a case, its tokens made up."""
    found = [DATA / where / f"{name}.yaml" for where in _WHERE]
    text = next(path for path in found if path.exists()).read_text()
    text = re.sub(r"@TOKEN:([^@]+)@", rf"\1&203001010000&{_SIGNATURE}", text)
    # Nodes of ours run what is called so.
    text = text.replace("registry.example/apim-gateway", _REPOSITORIES[-1])
    return [body for body in yaml.safe_load_all(text) if body]


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every single value of an object with where it stands, entries of lists by their names."""
    if isinstance(value, dict) and value:
        for key, below in value.items():
            yield from leaves(below, f"{path}.{key}")
    elif isinstance(value, list) and value:
        for number, below in enumerate(value):
            yield from leaves(below, f"{path}[{_entry(below, number)}]")
    else:
        yield path, value


def image_of(live: Obj) -> str:
    """The image that the gateway runs."""
    return str(gateway_container(live["spec"]["template"]["spec"])["image"])


def counters(live: Obj) -> set[str]:
    """Who owns the number of pods."""
    return {
        entry["manager"]
        for entry in live["metadata"]["managedFields"]
        if "f:replicas" in entry["fieldsV1"].get("f:spec", {})
    }


def written(item: Obj) -> Obj:
    """An object without what the API server and controllers keep."""
    kept = ("name", "labels", "annotations", "finalizers", "ownerReferences")
    metadata = {key: each for key, each in item["metadata"].items() if key in kept}
    metadata["annotations"] = {
        key: each
        for key, each in (metadata.get("annotations") or {}).items()
        if not key.startswith("deployment.kubernetes.io/")
    }
    metadata = {key: each for key, each in metadata.items() if each}
    rest = {key: each for key, each in item.items() if key not in ("status", "metadata")}
    return {**rest, "metadata": metadata}


def unlike(kind: str, before: Obj, after: Obj) -> dict[str, tuple[Any, Any]]:
    """What differs between two states of an object, as plans name it."""
    carried = 'metadata.annotations["gateway-bot.io/spec"]'
    return {
        change.path: (change.old, change.new)
        for change in field_changes(kind, before, after)
        if change.path != carried
    }


def _entry(value: Any, number: int) -> str:
    if isinstance(value, dict):
        for key in ("name", "containerPort", "port", "mountPath"):
            if key in value:
                return str(value[key])
        return json.dumps(value, sort_keys=True)
    return str(number)


def _least(bodies: tuple[Obj, ...], name: str) -> int:
    """The least pods that an autoscaler among them keeps; one rests where there are to be none."""
    wanted = {b["metadata"]["name"]: b["spec"] for b in bodies if b["kind"] == "Deployment"}
    if wanted[name].get("replicas") == 0:
        return 0
    scalers = [body["spec"] for body in bodies if body["kind"] == "HorizontalPodAutoscaler"]
    return max(
        (s["minReplicas"] for s in scalers if s["scaleTargetRef"]["name"] == name), default=0
    )


def _wanted_by(deployment: Obj) -> Iterator[tuple[str, str, set[str]]]:
    """Kind, name and keys of what its containers are given."""
    for container in deployment["spec"]["template"]["spec"]["containers"]:
        for source in container.get("envFrom") or ():
            for key, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
                if key in source and not source[key].get("optional"):
                    yield kind, source[key]["name"], set()
        for variable in container.get("env") or ():
            ref = (variable.get("valueFrom") or {}).get("secretKeyRef")
            if ref:
                yield "Secret", ref["name"], {ref["key"]}


def _stand_in(kind: str, name: str, keys: set[str]) -> Obj:
    token = base64.b64encode(f"GatewayKey edge-1&203001010000&{_SIGNATURE}".encode()).decode()
    data = dict.fromkeys(keys, token)
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, "data": data}
