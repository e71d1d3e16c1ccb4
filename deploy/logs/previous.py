"""Which pods have a log from before their last restart, and why the others have none. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from deploy.kube.objects import Manifest


def without_previous(pods: Sequence[Manifest], container: str) -> tuple[set[str], list[str]]:
    """The names of those whose kubelet would find no earlier log, and sentences that say why.

    A kubelet has one exactly where the status names a run that ended (kubernetes,
    pkg/kubelet/kubelet_pods.go, validateContainerLogStatus). `container` may be empty.
    """
    fresh: list[str] = []
    lost: list[str] = []
    for pod in pods:
        status = _status(pod, container)
        if (status.get("lastState") or {}).get("terminated"):
            continue
        (lost if status.get("restartCount") else fresh).append(str(pod["metadata"]["name"]))
    said = [f"{name}: its log from before the restart is no longer kept." for name in lost]
    if fresh:
        said.insert(0, _not_restarted(fresh, len(pods)))
    return {*fresh, *lost}, said


def _not_restarted(fresh: Sequence[str], total: int) -> str:
    if len(fresh) < total:
        has = (
            "pod has not restarted: it has"
            if len(fresh) == 1
            else "pods have not restarted: they have"
        )
        return f"{len(fresh)} {has} no previous log."
    who = f"{fresh[0]} has not" if total == 1 else f"None of the {total} pods has"
    return f"{who} restarted, so there is no previous log. Run the command without `--previous`."


def _status(pod: Manifest, container: str) -> Mapping[str, Any]:
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return next((s for s in statuses if not container or s.get("name") == container), {})
