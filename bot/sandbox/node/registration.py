"""Node objects and their Leases: what makes the API server believe in these machines."""

import asyncio
import datetime
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from bot.sandbox.node.api import MERGE, Api, ApiError, ApiUnreachableError, Json
from bot.sandbox.node.events import now_text

_log = logging.getLogger(__name__)
LEASE_SECONDS = 40
RENEW_SECONDS = 10.0
_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
_HEALTHY = {
    "MemoryPressure": (
        "False",
        "KubeletHasSufficientMemory",
        "kubelet has sufficient memory available",
    ),
    "DiskPressure": ("False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    "PIDPressure": ("False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    "Ready": ("True", "KubeletReady", "kubelet is posting ready status"),
}


@dataclass(frozen=True)
class NodeInfo:
    """One node to announce; its kubelet server listens at `address` and `port`."""

    name: str
    zone: str
    address: str
    port: int
    own_labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Json, ...] = ()

    def labels(self) -> dict[str, str]:
        """The labels a kubelet and its cloud give a node."""
        return {
            "kubernetes.io/hostname": self.name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": "amd64",
            "topology.kubernetes.io/region": "sandbox",
            "topology.kubernetes.io/zone": self.zone,
            **self.own_labels,
        }

    def manifest(self) -> Json:
        """The Node object at registration."""
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": self.name, "labels": self.labels()},
            "spec": {"taints": list(self.taints)} if self.taints else {},
            "status": self.status(now_text()),
        }

    def status(self, now: str) -> Json:
        """NodeStatus of a healthy machine."""
        resources = {"cpu": "16", "memory": "64Gi", "pods": "110", "ephemeral-storage": "200Gi"}
        return {
            "capacity": resources,
            "allocatable": resources,
            "addresses": [
                {"type": "InternalIP", "address": self.address},
                {"type": "Hostname", "address": self.name},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self.port}},
            "nodeInfo": {
                "architecture": "amd64",
                "bootID": "",
                "containerRuntimeVersion": "containerd://2.2.0",
                "kernelVersion": "6.12.0",
                "kubeProxyVersion": "",
                "kubeletVersion": "v1.36.0",
                "machineID": "",
                "operatingSystem": "linux",
                "osImage": "gateway-bot demo node",
                "systemUUID": "",
            },
        }


class Registration:
    """Keeps one Node and its Lease alive."""

    def __init__(self, api: Api, info: NodeInfo) -> None:
        self._api = api
        self._info = info
        self._since = now_text()
        self._path = f"/api/v1/nodes/{info.name}"
        self._labelled = False

    async def run(self) -> None:
        """Register, then renew until cancelled."""
        pause = 0.0
        while True:
            await asyncio.sleep(pause)
            try:
                await self.renew()
                pause = RENEW_SECONDS
            except (ApiError, ApiUnreachableError) as problem:
                _log.info("node %s: %s", self._info.name, problem)
                pause = min(RENEW_SECONDS, pause * 2 if 0 < pause < RENEW_SECONDS else 0.5)

    async def renew(self) -> None:
        """Write the node's status and its lease once, making what is not there."""
        status = {**self._info.status(now_text()), "conditions": self._conditions()}
        try:
            await self._api.patch(f"{self._path}/status", {"status": status})
            if not self._labelled:
                labels = {"metadata": {"labels": self._info.labels()}}
                await self._api.patch(self._path, labels, MERGE)
        except ApiError as problem:
            if problem.status != 404:
                raise
            await self._api.post("/api/v1/nodes", self._info.manifest())
            await self._api.patch(f"{self._path}/status", {"status": status})
        self._labelled = True
        await self._renew_lease()

    async def _renew_lease(self) -> None:
        moment = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        name = self._info.name
        spec = {
            "holderIdentity": name,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": moment,
        }
        try:
            await self._api.patch(f"{_LEASES}/{name}", {"spec": spec}, MERGE)
        except ApiError as problem:
            if problem.status != 404:
                raise
            lease = {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": name, "namespace": "kube-node-lease"},
                "spec": spec,
            }
            try:
                await self._api.post(_LEASES, lease)
            except ApiError as refused:
                # A control plane makes this namespace soon after its own start: next time.
                _log.info("lease of %s: %s", name, refused)

    def _conditions(self) -> list[Json]:
        now = now_text()
        return [
            {
                "type": kind,
                "status": status,
                "reason": reason,
                "message": message,
                "lastHeartbeatTime": now,
                "lastTransitionTime": self._since,
            }
            for kind, (status, reason, message) in _HEALTHY.items()
        ]
