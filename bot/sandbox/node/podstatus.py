"""PodStatus from what the node knows of a pod's containers. Pure: no clock, no network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bot.sandbox.node.api import Json


@dataclass(frozen=True)
class ContainerRecord:
    """One container as the node sees it; `state` and `last_state` as in ContainerStatus."""

    name: str
    image: str
    image_id: str = ""
    container_id: str = ""
    state: Mapping[str, Any] = field(default_factory=dict)
    last_state: Mapping[str, Any] = field(default_factory=dict)
    restart_count: int = 0
    ready: bool = False
    started: bool = False

    @property
    def running(self) -> bool:
        """Whether the container runs now."""
        return "running" in self.state

    @property
    def exit_code(self) -> int | None:
        """The exit code if it has terminated."""
        terminated = self.state.get("terminated")
        return None if terminated is None else int(terminated["exitCode"])

    def as_status(self) -> Json:
        """The ContainerStatus of the API."""
        return {
            "name": self.name,
            "image": self.image,
            "imageID": self.image_id,
            **({"containerID": self.container_id} if self.container_id else {}),
            "state": dict(self.state),
            "lastState": dict(self.last_state),
            "restartCount": self.restart_count,
            "ready": self.ready,
            "started": self.started,
        }


@dataclass(frozen=True)
class PodFacts:
    """What besides containers makes up a status."""

    host_ip: str
    start_time: str
    pod_ip: str | None
    initialized: bool


def build(
    pod: Json,
    facts: PodFacts,
    containers: Sequence[ContainerRecord],
    init_containers: Sequence[ContainerRecord],
    now: str,
) -> Json:
    """The status to write. Conditions keep their transition time while they do not change."""
    phase = _phase(pod, containers)
    status: Json = {
        "phase": phase,
        "startTime": facts.start_time,
        "hostIP": facts.host_ip,
        "hostIPs": [{"ip": facts.host_ip}],
        "qosClass": (pod.get("status") or {}).get("qosClass") or qos_class(pod),
        "conditions": _conditions(pod, facts, phase, containers, now),
        "containerStatuses": [record.as_status() for record in containers],
    }
    if "generation" in pod["metadata"]:
        status["observedGeneration"] = pod["metadata"]["generation"]
    if facts.pod_ip is not None:
        status |= {"podIP": facts.pod_ip, "podIPs": [{"ip": facts.pod_ip}]}
    if init_containers:
        status["initContainerStatuses"] = [record.as_status() for record in init_containers]
    return status


def qos_class(pod: Json) -> str:
    """Guaranteed, Burstable or BestEffort by the pod's requests and limits."""
    resources = [
        c.get("resources") or {}
        for c in (*pod["spec"]["containers"], *(pod["spec"].get("initContainers") or ()))
    ]
    if not any(r.get("requests") or r.get("limits") for r in resources):
        return "BestEffort"
    for each in resources:
        limits = each.get("limits") or {}
        requests = {**limits, **(each.get("requests") or {})}
        for name in ("cpu", "memory"):
            if name not in limits or str(requests[name]) != str(limits[name]):
                return "Burstable"
    return "Guaranteed"


def _phase(pod: Json, containers: Sequence[ContainerRecord]) -> str:
    so_far = str((pod.get("status") or {}).get("phase") or "")
    if so_far in ("Succeeded", "Failed"):
        # As a kubelet has it: whoever evicts a pod writes this, and its containers do not change it again.
        return so_far
    codes = [record.exit_code for record in containers]
    policy = pod["spec"].get("restartPolicy", "Always")
    finished = all(code is not None for code in codes)
    if finished and (policy != "Always" or "deletionTimestamp" in pod["metadata"]):
        if all(code == 0 for code in codes):
            return "Succeeded"
        if policy != "OnFailure" or "deletionTimestamp" in pod["metadata"]:
            return "Failed"
    begun = any(
        record.running or record.restart_count or record.last_state for record in containers
    )
    return "Running" if begun or any(code is not None for code in codes) else "Pending"


def _conditions(
    pod: Json, facts: PodFacts, phase: str, containers: Sequence[ContainerRecord], now: str
) -> list[Json]:
    before = {c["type"]: c for c in (pod.get("status") or {}).get("conditions") or []}
    unready = [record.name for record in containers if not record.ready]
    why: tuple[str, str] | None = None
    if phase == "Succeeded":
        why = ("PodCompleted", "")
    elif unready:
        why = ("ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]")
    gates = [
        gate["conditionType"]
        for gate in pod["spec"].get("readinessGates") or []
        if (before.get(gate["conditionType"]) or {}).get("status") != "True"
    ]
    ready_why = why
    if why is None and gates:
        text = f'corresponding condition of pod readiness gate "{gates[0]}" does not exist.'
        ready_why = ("ReadinessGatesNotReady", text)
    init_why = None
    if not facts.initialized:
        names = " ".join(c["name"] for c in pod["spec"].get("initContainers") or [])
        init_why = ("ContainersNotInitialized", f"containers with incomplete status: [{names}]")
    wanted: list[tuple[str, bool, tuple[str, str] | None]] = [
        ("PodReadyToStartContainers", facts.pod_ip is not None, None),
        ("Initialized", facts.initialized, init_why),
        ("Ready", ready_why is None, ready_why),
        ("ContainersReady", why is None, why),
        ("PodScheduled", True, None),
    ]
    return [_condition(before.get(kind), kind, holds, why, now) for kind, holds, why in wanted]


def _condition(
    before: Json | None, kind: str, holds: bool, why: tuple[str, str] | None, now: str
) -> Json:
    status = "True" if holds else "False"
    since = now
    if before is not None and before.get("status") == status:
        since = before.get("lastTransitionTime") or now
    reason, message = why or (None, None)
    # null takes an older reason away: in a strategic merge an absent key would keep it.
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message or None,
        "lastProbeTime": None,
        "lastTransitionTime": since,
    }
