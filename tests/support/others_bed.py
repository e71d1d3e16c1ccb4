"""Gateways that others deploy and put back: a chart's releases, agents that reapply, and people."""

import base64
import contextlib
import copy
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from deploy.actions.action import Action, Outcome
from deploy.changes.kinds import Workings
from deploy.kube.cluster import Cluster
from deploy.plans.plan import Plan
from deploy.plans.planning import Planner
from deploy.plans.requests import ManageTokenRequest, RotateRequest
from deploy.rollouts.applying import Applier
from deploy.rollouts.minting import Minter
from deploy.tokens.rotation import Rotation
from tests.support.actions import workings
from tests.support.custody import LocalCustody
from tests.support.gateway_bed import HOST, RecordingRun, action_for
from tests.support.kube_api import APPLY, MERGE, STRATEGIC, KubeApi, Obj
from tests.support.rotation_bed import OBSERVING, RotationBed
from tests.support.waiting import until

AGAIN_SECONDS = 5.0
"""How often an agent reapplies what it has."""
IMAGE = "mcr.microsoft.com/azure-api-management/gateway:2.11.1"
Style = Literal["helm", "argo", "flux", "person", "replaces"]
_STYLES: Mapping[Style, tuple[str, dict[str, str], dict[str, str]]] = {
    "helm": (
        "helm",
        {"app.kubernetes.io/managed-by": "Helm"},
        {"meta.helm.sh/release-name": "edge", "meta.helm.sh/release-namespace": "NS"},
    ),
    "argo": ("argocd-controller", {}, {"argocd.argoproj.io/tracking-id": "edge:apps/KIND:NS/NAME"}),
    "flux": (
        "kustomize-controller",
        {"kustomize.toolkit.fluxcd.io/name": "edge", "kustomize.toolkit.fluxcd.io/namespace": "ns"},
        {},
    ),
    "person": ("kubectl-create", {}, {}),
    "replaces": (
        "argocd-controller",
        {},
        {"argocd.argoproj.io/tracking-id": "edge:apps/KIND:NS/NAME"},
    ),
}
"""Field manager, labels and annotations of each."""


@dataclass
class Owner:
    """Whoever deploys the gateway `name` of a namespace, in one of the ways there are.

    `secret` is what its manifests say that the token is read from, under `key`; `noted` are further
    annotations.
    """

    api: KubeApi
    namespace: str
    name: str
    style: Style
    token: str
    placed: Obj
    secret: str = ""
    key: str = "gateway-key"
    version: int = 1
    noted: dict[str, str] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.secret = self.secret or self.name
        self._before: dict[str, Obj] = {}

    @property
    def manager(self) -> str:
        """The field manager it writes as."""
        return _STYLES[self.style][0]

    def manifests(self) -> list[Obj]:
        """What it declares, shaped as the official chart's."""
        chosen = {"app.kubernetes.io/name": "gateway", "app.kubernetes.io/instance": self.name}
        ref = {"secretKeyRef": {"name": self.secret, "key": self.key}}
        container = {
            "name": "gateway",
            "image": IMAGE,
            "env": [
                {"name": "config.service.auth", "valueFrom": ref},
                {"name": "runtime.deployment.mechanism", "value": "Helm"},
            ],
            "envFrom": [{"configMapRef": {"name": self.name}}],
            "ports": [
                {"name": "http", "containerPort": 8080},
                {"name": "https", "containerPort": 8081},
            ],
            "readinessProbe": {
                "httpGet": {"path": "/status-0123456789abcdef", "port": "http"},
                "periodSeconds": 2,
                # Of a tenth of these seconds: a busy machine makes no pod unready.
                "timeoutSeconds": 20,
                "failureThreshold": 10,
            },
        }
        pods = {
            "containers": [container],
            "terminationGracePeriodSeconds": 10,
            **copy.deepcopy(self.placed),
        }
        deployment = {
            "replicas": 3,
            "progressDeadlineSeconds": 60,
            "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "selector": {"matchLabels": chosen},
            "template": {
                "metadata": {"labels": {**chosen, "version": str(self.version)}},
                "spec": pods,
            },
        }
        text = base64.b64encode(f"GatewayKey {self.token}".encode()).decode()
        service = {
            "selector": chosen,
            "ports": [{"name": "http", "port": 80, "targetPort": "http"}],
        }
        found = [
            self._object("v1", "ConfigMap", data={"config.service.endpoint": HOST}),
            self._object("v1", "Service", spec=service),
            self._object("apps/v1", "Deployment", spec=deployment),
        ]
        if self.secret == self.name:
            found.insert(0, self._object("v1", "Secret", data={self.key: text}))
        return found

    def _object(self, version: str, kind: str, **body: Any) -> Obj:
        _, labels, annotations = _STYLES[self.style]
        names = {"NS": self.namespace, "NAME": self.name, "KIND": kind}
        noted = {**annotations, **self.noted}
        for name, value in noted.items():
            for key, word in names.items():
                value = value.replace(key, word)
            noted[name] = value
        chart = {"helm.sh/chart": "azure-api-management-gateway-1.15.1"}
        metadata = {
            "name": self.name,
            "namespace": self.namespace,
            "labels": {**labels, **(chart if self.style == "helm" else {})},
            "annotations": noted,
        }
        return {"apiVersion": version, "kind": kind, "metadata": metadata, **copy.deepcopy(body)}

    def apply(self) -> None:
        """Bring the cluster to what it declares, in its own way."""
        for manifest in self.manifests():
            self._writes(manifest)

    def upgrade(self) -> None:
        """Another version of its manifests."""
        self.version += 1
        self.apply()

    def _writes(self, manifest: Obj) -> None:
        path, name = _path(manifest), manifest["metadata"]["name"]
        query = f"?fieldManager={self.manager}"
        if self.style in ("argo", "flux"):
            answer = self.api.request("PATCH", f"{path}/{name}{query}&force=true", manifest, APPLY)
        elif self.api.gone(f"{path}/{name}"):
            answer = self.api.request("POST", path + query, manifest)
        elif self.style == "replaces":
            answer = self.api.request("PUT", f"{path}/{name}{query}", manifest)
        else:
            # What Helm sends is what its manifests differ in, and where the live object does.
            answer = self.api.request("PATCH", f"{path}/{name}{query}", manifest, STRATEGIC)
        if answer.status not in (200, 201):
            self.refused.append(f"{manifest['kind']}: {answer.message}")

    @contextlib.contextmanager
    def reapplying(self, seconds: float = AGAIN_SECONDS) -> Iterator[None]:
        """An agent that does it again and again."""
        ended = threading.Event()

        def work() -> None:
            while not ended.wait(seconds):
                self.apply()

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join(30)


@contextlib.contextmanager
def reloader(owner: Owner, secret: str) -> Iterator[None]:
    """Stakater's Reloader: when that Secret changes, the pods' template gets a note of it."""
    ended = threading.Event()
    secrets = f"/api/v1/namespaces/{owner.namespace}/secrets/{secret}"
    path = f"/apis/apps/v1/namespaces/{owner.namespace}/deployments/{owner.name}"
    before = owner.api.get(secrets)["data"]

    def work() -> None:
        known = before
        while not ended.wait(0.2):
            data = owner.api.get(secrets)["data"]
            if data != known:
                known = data
                note = {"reloader.stakater.com/last-reloaded-from": str(hash(str(data)))}
                body = {"spec": {"template": {"metadata": {"annotations": note}}}}
                answer = owner.api.request("PATCH", f"{path}?fieldManager=reloader", body, MERGE)
                assert answer.status == 200, answer.body

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(30)


class OthersBed:
    """The bot beside others' gateways on one cluster."""

    def __init__(self, bed: RotationBed, api: KubeApi, placed: Obj) -> None:
        self.rotation = bed
        self.api = api
        self.cluster = bed.cluster
        self.azure = bed.azure
        self.namespace = bed.ref.namespace
        self._placed = placed
        self._workings = self._on(self.cluster)

    def _on(self, cluster: Cluster) -> Mapping[str, Workings]:
        bed = self.rotation
        planner = Planner({"west": cluster}.__getitem__, list, instances=bed.instances)
        clusters = {"west": cluster}
        applier = Applier(clusters, Minter(bed.arm, bed.instances, LocalCustody()))
        return workings(
            planner=planner, clusters=clusters, instances=bed.instances, applier=applier,
            observing=OBSERVING, environments=(),
        )  # fmt: skip

    def on(self, cluster: Cluster) -> "OthersBed":
        """The same, the bot using that connection."""
        twin = copy.copy(self)
        twin._workings = self._on(cluster)
        return twin

    def owner(self, name: str, style: Style, **more: Any) -> Owner:
        """Somebody who deploys a gateway of that name, with a token of `edge-1`, and it is ready."""
        owner = Owner(
            self.api, self.namespace, name, style, self.azure.token(), self._placed, **more
        )
        owner.apply()
        assert not owner.refused
        self.settled(name)
        return owner

    def settled(self, name: str) -> None:
        """Wait until every pod of it is of the newest version, and ready."""

        def done() -> bool:
            live = self.deployment(name)
            status = live.get("status") or {}
            counts = {status.get(f"{each}Replicas") for each in ("updated", "ready", "available")}
            current = status.get("observedGeneration") == live["metadata"]["generation"]
            return current and counts == {3} and status.get("replicas") == 3

        until(done, f"{name} rolled out", 90)

    def ref(self, name: str) -> Any:
        """Where it runs."""
        from deploy.gateway import GatewayRef

        return GatewayRef("west", self.namespace, name)

    def plan(self, kind: str, request: Any, action_id: str = "") -> Plan:
        """What comes of it."""
        return self._workings[kind].plan(request, action_id or self.rotation.new_id())

    def decided(self, kind: str, request: Any) -> Action:
        """An action that was planned and decided on."""
        new_id = self.rotation.new_id()
        plan = self.plan(kind, request, new_id)
        assert plan.digest, plan.findings
        return action_for(plan, new_id, kind=kind, request=request)

    def run(self, action: Action, run: RecordingRun | None = None) -> Outcome:
        """Carry it out."""
        return self._workings[action.kind].executor.execute(action, run or RecordingRun())

    def looked_again(self, action: Action) -> str:
        """What the second look says of it."""
        return self._workings[action.kind].look_again(action)

    def managing(self, name: str) -> ManageTokenRequest:
        """What `manage-token` asks for."""
        return ManageTokenRequest(self.ref(name), "contoso", "edge-1", Rotation())

    def manage(self, name: str) -> Outcome:
        """`/gateway manage-token`, to its end."""
        return self.run(self.decided("manage-token", self.managing(name)))

    def rotate(self, name: str) -> Outcome:
        """`/gateway rotate`, to its end."""
        return self.run(self.decided("rotate", RotateRequest(self.ref(name), Rotation())))

    def deployment(self, name: str) -> Obj:
        """The live Deployment."""
        return self.api.get(f"/apis/apps/v1/namespaces/{self.namespace}/deployments/{name}")

    def secret(self, name: str) -> Obj:
        """A live Secret."""
        return self.api.get(f"/api/v1/namespaces/{self.namespace}/secrets/{name}")

    def has_secret(self, name: str) -> bool:
        """Whether there is one of that name."""
        return not self.api.gone(f"/api/v1/namespaces/{self.namespace}/secrets/{name}")

    def token(self, secret: str, key: str = "gateway-key") -> str:
        """The text of the token in a Secret."""
        return base64.b64decode(self.secret(secret)["data"][key]).decode()

    def pods(self, name: str) -> dict[str, Obj]:
        """Its pods that are not ending."""
        query = f"?labelSelector=app.kubernetes.io%2Finstance%3D{name}"
        found = self.api.items(f"/api/v1/namespaces/{self.namespace}/pods{query}")
        return {
            each["metadata"]["name"]: each
            for each in found
            if not each["metadata"].get("deletionTimestamp")
        }

    def ours(self, name: str) -> list[Obj]:
        """What managedFields of the Deployment say that the bot owns."""
        managed = self.deployment(name)["metadata"]["managedFields"]
        return [each for each in managed if each["manager"].startswith("gateway-bot")]


def _path(manifest: Obj) -> str:
    root = "/apis/apps/v1" if manifest["apiVersion"] == "apps/v1" else "/api/v1"
    plural = f"{manifest['kind'].lower()}s"
    return f"{root}/namespaces/{manifest['metadata']['namespace']}/{plural}"
