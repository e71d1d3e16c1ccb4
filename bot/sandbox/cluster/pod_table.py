"""How a pod's state reads in one word, as `kubectl get pods` shows it."""

from collections.abc import Callable
from typing import Any

from bot.sandbox.cluster.objects import Obj, condition_of, get, is_terminating, name_of


def pod_status(pod: Obj) -> tuple[str, int, int, int, str | None]:
    """The status word, ready and total containers, restarts and when the last restart was."""
    status = get(pod, "status", default={})
    word = status.get("reason") or status.get("phase", "")
    scheduled = condition_of(pod, "PodScheduled")
    if scheduled and scheduled.get("reason") == "SchedulingGated":
        word = "SchedulingGated"
    ready = restarts = 0
    last: str | None = None
    word, initializing = _initializing(pod, word)
    has_running = False
    if not initializing:
        for container in reversed(status.get("containerStatuses") or []):
            restarts += container.get("restartCount", 0)
            ended = get(container, "lastState", "terminated", "finishedAt")
            last = max(filter(None, (last, ended)), default=None)
            state = container.get("state") or {}
            waiting, terminated = state.get("waiting"), state.get("terminated")
            if waiting and waiting.get("reason"):
                word = waiting["reason"]
            elif terminated:
                word = terminated.get("reason") or _exit_word(terminated)
            elif container.get("ready") and state.get("running") is not None:
                has_running = True
                ready += 1
        if word == "Completed" and has_running:
            is_ready = condition_of(pod, "Ready")
            word = "Running" if is_ready and is_ready["status"] == "True" else "NotReady"
    if is_terminating(pod):
        word = "Unknown" if status.get("reason") == "NodeLost" else "Terminating"
    return word, ready, len(get(pod, "spec", "containers", default=[])), restarts, last


def _initializing(pod: Obj, word: str) -> tuple[str, bool]:
    wanted = get(pod, "spec", "initContainers", default=[])
    for index, container in enumerate(get(pod, "status", "initContainerStatuses", default=[])):
        state = container.get("state") or {}
        terminated, waiting = state.get("terminated"), state.get("waiting")
        if terminated and terminated.get("exitCode") == 0:
            continue
        if terminated:
            return f"Init:{terminated.get('reason') or _exit_word(terminated)}", True
        if waiting and waiting.get("reason") not in (None, "", "PodInitializing"):
            return f"Init:{waiting['reason']}", True
        return f"Init:{index}/{len(wanted)}", True
    return word, False


def _exit_word(terminated: Obj) -> str:
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"


def pod_cells(pod: Obj, age: Callable[[str | None], str]) -> list[Any]:
    """The row of a pod."""
    word, ready, total, restarts, last = pod_status(pod)
    nominated = get(pod, "status", "nominatedNodeName")
    return [
        name_of(pod),
        f"{ready}/{total}",
        word,
        f"{restarts} ({age(last)} ago)" if restarts and last else str(restarts),
        age(get(pod, "metadata", "creationTimestamp")),
        get(pod, "status", "podIP", default="<none>"),
        get(pod, "spec", "nodeName", default="<none>"),
        nominated or "<none>",
        "<none>",
    ]
