"""What a pod's status says, as `kubectl get pods` words it, and why it does not get ready."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.kube.objects import Manifest
from deploy.masking import mask_secrets
from deploy.times import epoch

_STUCK_WAITING = frozenset(
    {
        "CrashLoopBackOff",
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImageNeverPull",
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "RunContainerError",
    }
)
"""Reasons of a waiting container that do not go away by themselves."""


@dataclass(frozen=True)
class PodProgress:
    """One pod. `state` is kubectl's STATUS column; `trouble` why it does not get ready, if known,
    and `reason` Kubernetes' own word for that.

    `updated` says whether it belongs to the newest ReplicaSet. Times are epoch seconds. `event`
    and `log` are collected only for a rollout that failed: the newest event and the last lines,
    secrets hidden.
    """

    name: str
    state: str
    ready: bool
    restarts: int = 0
    node: str = ""
    created_at: float = 0.0
    started_at: float | None = None
    updated: bool = True
    trouble: str = ""
    reason: str = ""
    last_exit: str = ""
    event: str = ""
    log: str = ""


def pod_progress(pod: Manifest, *, updated: bool = True) -> PodProgress:
    """Read one pod."""
    metadata, status = pod["metadata"], pod.get("status") or {}
    containers: Sequence[Mapping[str, Any]] = status.get("containerStatuses") or ()
    reason, trouble = _trouble_of(pod)
    return PodProgress(
        name=metadata["name"],
        state=state_of(pod),
        ready=is_ready(pod),
        restarts=sum(int(c.get("restartCount", 0)) for c in containers),
        node=(pod.get("spec") or {}).get("nodeName") or "",
        created_at=epoch(metadata.get("creationTimestamp")) or 0.0,
        started_at=_started_at(containers),
        updated=updated,
        trouble=mask_secrets(trouble),
        reason=reason,
        last_exit=_last_exit(containers),
    )


def is_ready(pod: Manifest) -> bool:
    """Whether the pod takes traffic; one that is being deleted does not."""
    if pod["metadata"].get("deletionTimestamp"):
        return False
    return (_condition(pod, "Ready") or {}).get("status") == "True"


def state_of(pod: Manifest) -> str:
    """kubectl's STATUS column (printers/internalversion/printers.go, printPod)."""
    status = pod.get("status") or {}
    state = str(status.get("reason") or status.get("phase") or "Pending")
    for condition in status.get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition.get("reason") == "SchedulingGated":
            state = "SchedulingGated"
    running = False
    for container in reversed(status.get("containerStatuses") or ()):
        now = container.get("state") or {}
        waiting, ended = now.get("waiting") or {}, now.get("terminated") or {}
        if waiting.get("reason"):
            state = waiting["reason"]
        elif ended:
            signal = ended.get("signal")
            code = f"Signal:{signal}" if signal else f"ExitCode:{ended.get('exitCode', 0)}"
            state = ended.get("reason") or code
        elif container.get("ready") and "running" in now:
            running = True
    if state == "Completed" and running:
        state = "Running" if is_ready(pod) else "NotReady"
    if pod["metadata"].get("deletionTimestamp"):
        return "Unknown" if status.get("reason") == "NodeLost" else "Terminating"
    return state


def _trouble_of(pod: Manifest) -> tuple[str, str]:
    """Why the pod is stuck: the cluster's reason and its words; empty while nothing says so."""
    status = pod.get("status") or {}
    if pod["metadata"].get("deletionTimestamp") or is_ready(pod):
        return "", ""
    for container in status.get("containerStatuses") or ():
        waiting = (container.get("state") or {}).get("waiting") or {}
        reason = waiting.get("reason", "")
        if reason in _STUCK_WAITING:
            last = _last_exit((container,))
            previous = f" The previous run ended with {last}." if last else ""
            return reason, _said(reason, waiting.get("message", "")) + previous
        ended = (container.get("state") or {}).get("terminated")
        if ended and (ended.get("exitCode") or ended.get("signal")):
            reason = ended.get("reason") or "Error"
            return reason, _said(reason, ended.get("message") or _exit(ended))
    scheduled = _condition(pod, "PodScheduled") or {}
    if scheduled.get("status") == "False":
        reason = scheduled.get("reason", "Unschedulable")
        return reason, _said(reason, scheduled.get("message", ""))
    if status.get("phase") == "Failed":
        reason = status.get("reason") or "Failed"
        return reason, _said(reason, status.get("message", ""))
    return "", ""


def token_secret_of(pod_spec: Mapping[str, Any]) -> tuple[str, str] | None:
    """Name and key of the Secret the gateway's token comes from; None where there is no such.

    Portal YAML and Helm chart name the key in `config.service.auth`; the documentation's sample of
    2026 takes a whole Secret in with envFrom, under the key `config.service.auth.key`.
    """
    for container in pod_spec.get("containers") or ():
        for variable in container.get("env") or ():
            if variable.get("name") in ("config.service.auth", "config.service.auth.key"):
                source = (variable.get("valueFrom") or {}).get("secretKeyRef")
                if source:
                    return source["name"], source["key"]
    for container in pod_spec.get("containers") or ():
        for source in container.get("envFrom") or ():
            if source.get("secretRef"):
                return source["secretRef"]["name"], "config.service.auth.key"
    return None


def _condition(pod: Manifest, kind: str) -> Mapping[str, Any] | None:
    for condition in (pod.get("status") or {}).get("conditions") or ():
        if condition["type"] == kind:
            found: Mapping[str, Any] = condition
            return found
    return None


def _started_at(containers: Sequence[Mapping[str, Any]]) -> float | None:
    for container in containers:
        running = (container.get("state") or {}).get("running") or {}
        if running:
            return epoch(running.get("startedAt"))
    return None


def _last_exit(containers: Sequence[Mapping[str, Any]]) -> str:
    for container in containers:
        ended = (container.get("lastState") or {}).get("terminated")
        if ended:
            reason = ended.get("reason")
            return f"{_exit(ended)} ({reason})" if reason else _exit(ended)
    return ""


def _exit(ended: Mapping[str, Any]) -> str:
    if ended.get("signal"):
        return f"signal {ended['signal']}"
    return f"exit code {ended.get('exitCode', 0)}"


def _said(reason: str, message: str) -> str:
    message = message.strip()
    text = f"{reason}: {message}" if message else reason
    return text if text.endswith((".", "!")) else f"{text}."
