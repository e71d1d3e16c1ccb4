"""What a pod's status says, as `kubectl get pods` words it, and why it does not get ready."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.kube.objects import Manifest
from deploy.masking import mask_secrets
from deploy.observed.effective import effective_settings
from deploy.observed.inventory import gateway_container
from deploy.observed.sign_in import AUTH_KEY, token_origin
from deploy.specs.settings import AUTH
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
"""Reasons of a waiting container that do not go away automatically."""


_PHASES_OF_THE_END = ("Failed", "Succeeded")
ENDING = "Terminating"
"""The state of a pod that is being deleted and has not ended yet."""


@dataclass(frozen=True)
class PodProgress:
    """One pod. `state` is kubectl's STATUS column; `trouble` why it does not get ready, if known,
    and `reason` Kubernetes' own word for that. `container` is the one whose log shows it: the
    one in trouble, else the gateway's.

    `restarts`, `last_exit` and `started_at` are the gateway's container's, `restarts` an init
    container's while that one holds up the rest. `updated` says whether the pod belongs to the
    newest ReplicaSet. Times are epoch seconds. `event` and `log` are collected only for a rollout
    that failed: the newest event and the last lines, secrets hidden.
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
    container: str = ""
    last_exit: str = ""
    event: str = ""
    log: str = ""


def pod_progress(pod: Manifest, *, updated: bool = True) -> PodProgress:
    """Read one pod."""
    metadata, spec = pod["metadata"], pod.get("spec") or {}
    gateway = _gateway(pod)
    held_up = _initializing(pod)
    counted = held_up[1] if held_up else gateway
    trouble = _trouble_of(pod)
    return PodProgress(
        name=metadata["name"],
        state=state_of(pod),
        ready=is_ready(pod),
        restarts=int(counted.get("restartCount", 0)),
        node=spec.get("nodeName") or "",
        created_at=epoch(metadata.get("creationTimestamp")) or 0.0,
        started_at=_started_at(gateway),
        updated=updated,
        trouble=mask_secrets(trouble.text),
        reason=trouble.reason,
        container=trouble.container or str(gateway.get("name", "")),
        last_exit=_last_exit(counted),
    )


def never_started(pod: Manifest) -> bool:
    """Whether the gateway's container has not run even once: there is no log of it."""
    gateway = _gateway(pod)
    state, last = gateway.get("state") or {}, gateway.get("lastState") or {}
    ran = (state.get("running"), state.get("terminated"), last.get("terminated"))
    return all(each is None for each in ran) and not gateway.get("restartCount")


def is_ready(pod: Manifest) -> bool:
    """Whether the pod takes traffic; one that is being deleted does not."""
    if pod["metadata"].get("deletionTimestamp"):
        return False
    return (_condition(pod, "Ready") or {}).get("status") == "True"


def is_over(pod: Manifest) -> bool:
    """Whether it has ended and will not run again, as one that was evicted: Kubernetes has put another
    in its place, and keeps it for whoever wants to know (kubernetes.io, "Pod Lifecycle")."""
    return (pod.get("status") or {}).get("phase") in _PHASES_OF_THE_END


def is_leaving(pod: Manifest) -> bool:
    """Whether none of its containers is started any longer: it is over, or it is being deleted, and a
    kubelet only ends what runs of such a pod (kubernetes/kubernetes, pkg/kubelet/kubelet.go,
    SyncTerminatingPod)."""
    return is_over(pod) or bool(pod["metadata"].get("deletionTimestamp"))


def crashes(pod: Manifest) -> bool:
    """Whether a container of it ends again and again."""
    return state_of(pod).removeprefix("Init:") == "CrashLoopBackOff"


def restarts_of(pod: Manifest) -> int:
    """How often the gateway's container was started anew."""
    return int(_gateway(pod).get("restartCount", 0))


def state_of(pod: Manifest) -> str:
    """kubectl's STATUS column (printers/internalversion/printers.go, printPod)."""
    status = pod.get("status") or {}
    state = str(status.get("reason") or status.get("phase") or "Pending")
    for condition in status.get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition.get("reason") == "SchedulingGated":
            state = "SchedulingGated"
    held_up = _initializing(pod)
    state = held_up[0] if held_up else _of_containers(pod, state)
    if pod["metadata"].get("deletionTimestamp"):
        return "Unknown" if status.get("reason") == "NodeLost" else ENDING
    return state


def _of_containers(pod: Manifest, state: str) -> str:
    running = False
    for container in reversed(_statuses(pod)):
        now = container.get("state") or {}
        waiting, ended = now.get("waiting") or {}, now.get("terminated") or {}
        if waiting.get("reason"):
            state = waiting["reason"]
        elif ended:
            state = _how_ended(ended)
        elif container.get("ready") and "running" in now:
            running = True
    if state == "Completed" and running:
        return "Running" if is_ready(pod) else "NotReady"
    return state


def _initializing(pod: Manifest) -> tuple[str, Mapping[str, Any]] | None:
    """The state of a pod that waits for an init container, and that one's status; None once they
    are done. Sidecars are init containers that are started and keep running."""
    if (_condition(pod, "Initialized") or {}).get("status") == "True":
        return None
    statuses = _statuses(pod, "initContainerStatuses")
    for number, container in enumerate(statuses):
        now = container.get("state") or {}
        waiting, ended = now.get("waiting") or {}, now.get("terminated")
        if ended and not ended.get("exitCode") and not ended.get("signal"):
            continue
        if container.get("started") and "running" in now:
            continue
        if ended:
            return f"Init:{_how_ended(ended)}", container
        if waiting.get("reason") not in (None, "", "PodInitializing"):
            return f"Init:{waiting['reason']}", container
        return f"Init:{number}/{len(statuses)}", container
    return None


@dataclass(frozen=True)
class _Trouble:
    reason: str = ""
    text: str = ""
    container: str = ""


def _trouble_of(pod: Manifest) -> _Trouble:
    """Why the pod is stuck: the cluster's reason and its words; empty while nothing says so."""
    status = pod.get("status") or {}
    if pod["metadata"].get("deletionTimestamp") or is_ready(pod):
        return _Trouble()
    gateway = str(_gateway(pod).get("name", ""))
    held_up = _initializing(pod)
    if held_up:
        troubled = [(f"Init container {held_up[1].get('name', '')}: ", held_up[1])]
    else:
        own_first = sorted(_statuses(pod), key=lambda each: each.get("name", "") != gateway)
        troubled = [
            ("" if each.get("name", "") == gateway else f"Container {each['name']}: ", each)
            for each in own_first
        ]
    for whose, container in troubled:
        reason, said = _of_container(container)
        if reason:
            return _Trouble(reason, f"{whose}{said}", str(container.get("name", "")))
    scheduled = _condition(pod, "PodScheduled") or {}
    if scheduled.get("status") == "False":
        reason = scheduled.get("reason", "Unschedulable")
        return _Trouble(reason, _said(reason, scheduled.get("message", "")))
    if status.get("phase") == "Failed":
        reason = status.get("reason") or "Failed"
        return _Trouble(reason, _said(reason, status.get("message", "")))
    return _Trouble()


def _of_container(container: Mapping[str, Any]) -> tuple[str, str]:
    now = container.get("state") or {}
    waiting, ended = now.get("waiting") or {}, now.get("terminated")
    reason = waiting.get("reason", "")
    if reason in _STUCK_WAITING:
        last = _last_exit(container)
        previous = f" The previous run ended with {last}." if last else ""
        return reason, _said(reason, waiting.get("message", "")) + previous
    if ended and (ended.get("exitCode") or ended.get("signal")):
        reason = ended.get("reason") or "Error"
        return reason, _said(reason, ended.get("message") or _exit(ended))
    return "", ""


def _gateway(pod: Manifest) -> Mapping[str, Any]:
    """The status of the gateway's container; empty while there is none."""
    name = gateway_container(pod.get("spec") or {}).get("name")
    statuses = _statuses(pod)
    first = statuses[0] if statuses and name is None else {}
    return next((each for each in statuses if each.get("name") == name), first)


def _statuses(pod: Manifest, kind: str = "containerStatuses") -> Sequence[Mapping[str, Any]]:
    return (pod.get("status") or {}).get(kind) or ()


def token_secret_of(pod_spec: Mapping[str, Any]) -> tuple[str, str] | None:
    """Name and key of the Secret the gateway's token comes from, as far as the pod's spec alone shows
    it; None where it shows no such.

    Portal YAML and Helm chart name the key in `config.service.auth`; the documentation's sample of
    2026 takes a whole Secret in with envFrom, under the key `config.service.auth.key`. Whether a
    whole Secret holds the token is not sure until it is read (deploy.observed.given).
    """
    named = named_token_secret(pod_spec)
    if named is not None:
        return named
    origin = token_origin(effective_settings(gateway_container(pod_spec), {}))
    return (origin.name, AUTH_KEY) if origin and origin.kind == "Secret" else None


def named_token_secret(pod_spec: Mapping[str, Any]) -> tuple[str, str] | None:
    """The same where a variable names Secret and key: the gateway's own; that of a container beside it
    only where the gateway's shows nothing of how it signs in."""
    own = gateway_container(pod_spec)
    given = effective_settings(own, {})
    alone = given.unread or given.find(AUTH) or given.find(AUTH_KEY)
    for container in (own,) if alone else (own, *(pod_spec.get("containers") or ())):
        origin = token_origin(effective_settings(container, {}))
        if origin is not None and origin.kind == "Secret" and origin.key:
            return origin.name, origin.key
    return None


def _condition(pod: Manifest, kind: str) -> Mapping[str, Any] | None:
    for condition in (pod.get("status") or {}).get("conditions") or ():
        if condition["type"] == kind:
            found: Mapping[str, Any] = condition
            return found
    return None


def _started_at(container: Mapping[str, Any]) -> float | None:
    running = (container.get("state") or {}).get("running") or {}
    return epoch(running.get("startedAt"))


def _last_exit(container: Mapping[str, Any]) -> str:
    ended = (container.get("lastState") or {}).get("terminated")
    if not ended:
        return ""
    reason = ended.get("reason")
    return f"{_exit(ended)} ({reason})" if reason else _exit(ended)


def _how_ended(ended: Mapping[str, Any]) -> str:
    signal = ended.get("signal")
    code = f"Signal:{signal}" if signal else f"ExitCode:{ended.get('exitCode', 0)}"
    return str(ended.get("reason") or code)


def _exit(ended: Mapping[str, Any]) -> str:
    if ended.get("signal"):
        return f"signal {ended['signal']}"
    return f"exit code {ended.get('exitCode', 0)}"


def _said(reason: str, message: str) -> str:
    message = message.strip()
    text = f"{reason}: {message}" if message else reason
    return text if text.endswith((".", "!")) else f"{text}."
