"""The arithmetic of a rollout, pure: how many replicas each ReplicaSet may have, and what a
Deployment's status says.

It follows the deployment controller's published behaviour; names are those of its documentation
and source.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from bot.sandbox.cluster.objects import (
    NAME_LETTERS,
    Obj,
    annotations_of,
    condition_of,
    copy,
    get,
    labels_of,
    name_of,
    timestamp,
)

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAX = "deployment.kubernetes.io/max-replicas"
NOT_COPIED = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION,
        REVISION_HISTORY,
        DESIRED,
        MAX,
        "deprecated.deployment.rollback.to",
    }
)


def template_hash(template: Mapping[str, Any]) -> str:
    """A short stable name for a pod template, in the letters Kubernetes uses."""
    text = json.dumps(template, sort_keys=True, separators=(",", ":"))
    value = 2166136261
    for byte in text.encode():
        value = ((value ^ byte) * 16777619) & 0xFFFFFFFF
    return "".join(NAME_LETTERS[ord(digit) % len(NAME_LETTERS)] for digit in str(value))


def same_template(replica_set: Obj, deployment: Obj) -> bool:
    """Whether the ReplicaSet runs the Deployment's template, its hash label aside."""
    template = copy(get(replica_set, "spec", "template", default={}))
    labels_of(template).pop(HASH_LABEL, None)
    return bool(template == get(deployment, "spec", "template"))


def replicas_of(obj: Obj) -> int:
    """spec.replicas."""
    return int(get(obj, "spec", "replicas", default=0))


def available_of(obj: Obj) -> int:
    """status.availableReplicas."""
    return int(get(obj, "status", "availableReplicas", default=0))


def total(replica_sets: Sequence[Obj]) -> int:
    """The sum of spec.replicas."""
    return sum(replicas_of(rs) for rs in replica_sets)


def is_rolling(deployment: Obj) -> bool:
    """Whether the strategy is RollingUpdate."""
    return bool(get(deployment, "spec", "strategy", "type") == "RollingUpdate")


def _scaled(value: int | str, of: int, *, up: bool) -> int:
    if isinstance(value, int):
        return value
    exact = int(value.rstrip("%")) * of / 100
    return math.ceil(exact) if up else math.floor(exact)


def fenceposts(deployment: Obj) -> tuple[int, int]:
    """maxSurge and maxUnavailable as numbers of pods."""
    if not is_rolling(deployment):
        return 0, 0
    rolling = get(deployment, "spec", "strategy", "rollingUpdate", default={})
    wanted = replicas_of(deployment)
    surge = _scaled(rolling.get("maxSurge", 0), wanted, up=True)
    unavailable = _scaled(rolling.get("maxUnavailable", 0), wanted, up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return surge, min(unavailable, wanted)


def new_replicas(deployment: Obj, all_sets: Sequence[Obj], new: Obj) -> int:
    """How many replicas the new ReplicaSet may have now."""
    wanted = replicas_of(deployment)
    if not is_rolling(deployment):
        return wanted
    room = wanted + fenceposts(deployment)[0] - total(all_sets)
    if room <= 0:
        return replicas_of(new)
    return replicas_of(new) + min(room, wanted - replicas_of(new))


def _oldest_first(replica_sets: Sequence[Obj]) -> list[Obj]:
    return sorted(replica_sets, key=lambda rs: (rs["metadata"]["creationTimestamp"], name_of(rs)))


def scale_down_plan(
    deployment: Obj, all_sets: Sequence[Obj], old_sets: Sequence[Obj], new: Obj
) -> list[tuple[Obj, int]]:
    """The old ReplicaSets to shrink now and their new sizes: unhealthy replicas first, then as
    many as the available ones allow."""
    if total(old_sets) == 0:
        return []
    minimum = replicas_of(deployment) - fenceposts(deployment)[1]
    new_unavailable = replicas_of(new) - available_of(new)
    limit = total(all_sets) - minimum - new_unavailable
    if limit <= 0:
        return []
    sizes = {name_of(rs): replicas_of(rs) for rs in old_sets}
    done = 0
    for rs in _oldest_first(old_sets):
        if done >= limit:
            break
        unhealthy = sizes[name_of(rs)] - available_of(rs)
        taken = min(limit - done, unhealthy)
        if sizes[name_of(rs)] and taken > 0:
            sizes[name_of(rs)] -= taken
            done += taken
    # A ReplicaSet just made smaller still reports the pods it is about to delete.
    spare = sum(min(available_of(rs), replicas_of(rs)) for rs in all_sets) - minimum
    for rs in _oldest_first(old_sets):
        taken = min(sizes[name_of(rs)], spare)
        if taken > 0:
            sizes[name_of(rs)] -= taken
            spare -= taken
    return [
        (rs, sizes[name_of(rs)])
        for rs in _oldest_first(old_sets)
        if sizes[name_of(rs)] != replicas_of(rs)
    ]


def proportional_plan(deployment: Obj, active: Sequence[Obj]) -> list[tuple[Obj, int]]:
    """New sizes of several active ReplicaSets when the Deployment is scaled in the middle of a
    rollout."""
    wanted = replicas_of(deployment)
    allowed = wanted + fenceposts(deployment)[0] if wanted > 0 else 0
    to_add = allowed - total(active)
    newest_first = list(reversed(_oldest_first(active))) if to_add > 0 else _oldest_first(active)
    ordered = sorted(newest_first, key=replicas_of, reverse=True)
    sizes: list[int] = []
    added = 0
    for rs in ordered:
        share = _proportion(deployment, rs, to_add, added) if to_add else 0
        sizes.append(replicas_of(rs) + share)
        added += share
    if ordered and to_add:
        sizes[0] = max(sizes[0] + to_add - added, 0)
    return list(zip(ordered, sizes, strict=True))


def _proportion(deployment: Obj, rs: Obj, to_add: int, added: int) -> int:
    left = to_add - added
    if replicas_of(rs) == 0 or left == 0:
        return 0
    if replicas_of(deployment) == 0:
        fraction = -replicas_of(rs)
    else:
        size = replicas_of(deployment) + fenceposts(deployment)[0]
        before = annotations_of(rs).get(MAX) or str(
            get(deployment, "status", "replicas", default=0)
        )
        exact = replicas_of(rs) * size / max(int(before), 1)
        fraction = math.floor(exact + 0.5) - replicas_of(rs)
    return min(fraction, left) if to_add > 0 else max(fraction, left)


def condition(kind: str, status: str, reason: str, message: str) -> Obj:
    """A Deployment condition of now."""
    now = timestamp()
    return {
        "type": kind,
        "status": status,
        "lastUpdateTime": now,
        "lastTransitionTime": now,
        "reason": reason,
        "message": message,
    }


def set_condition(status: Obj, new: Obj) -> None:
    """Put a condition into a status: one of equal status and reason stays as it was."""
    conditions = list(status.get("conditions") or [])
    current = next((c for c in conditions if c["type"] == new["type"]), None)
    if current and (current["status"], current["reason"]) == (new["status"], new["reason"]):
        return
    if current and current["status"] == new["status"]:
        new = {**new, "lastTransitionTime": current["lastTransitionTime"]}
    status["conditions"] = [c for c in conditions if c["type"] != new["type"]] + [new]


def drop_condition(status: Obj, kind: str) -> None:
    """Take a condition out of a status."""
    kept = [c for c in status.get("conditions") or [] if c["type"] != kind]
    if kept:
        status["conditions"] = kept
    else:
        status.pop("conditions", None)


def calculate_status(deployment: Obj, all_sets: Sequence[Obj], new: Obj | None) -> Obj:
    """The counts of a Deployment's status and its Available condition; other conditions as they
    were."""

    def counted(field: str) -> int:
        return sum(int(get(rs, "status", field, default=0)) for rs in all_sets)

    available = counted("availableReplicas")
    status: Obj = {
        "observedGeneration": deployment["metadata"].get("generation", 0),
        "replicas": counted("replicas"),
        "updatedReplicas": int(get(new, "status", "replicas", default=0)),
        "readyReplicas": counted("readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(total(all_sets) - available, 0),
        "terminatingReplicas": counted("terminatingReplicas"),
    }
    status = {k: v for k, v in status.items() if v or k == "terminatingReplicas"}
    if get(deployment, "status", "conditions"):
        status["conditions"] = copy(deployment["status"]["conditions"])
    if available >= replicas_of(deployment) - fenceposts(deployment)[1]:
        shown = condition(
            "Available",
            "True",
            "MinimumReplicasAvailable",
            "Deployment has minimum availability.",
        )
    else:
        shown = condition(
            "Available",
            "False",
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.",
        )
    set_condition(status, shown)
    return status


def is_complete(deployment: Obj, status: Obj) -> bool:
    """Whether every replica is of the new template and available."""
    wanted = replicas_of(deployment)
    return all(
        status.get(field, 0) == wanted
        for field in ("updatedReplicas", "replicas", "availableReplicas")
    )


def is_progressing(deployment: Obj, status: Obj) -> bool:
    """Whether `status` shows progress against the Deployment's last one."""
    before = get(deployment, "status", default={})

    def old_replicas(of: Obj) -> int:
        return int(of.get("replicas", 0)) - int(of.get("updatedReplicas", 0))

    return (
        status.get("updatedReplicas", 0) > before.get("updatedReplicas", 0)
        or old_replicas(status) < old_replicas(before)
        or status.get("readyReplicas", 0) > before.get("readyReplicas", 0)
        or status.get("availableReplicas", 0) > before.get("availableReplicas", 0)
    )


def progress_reason(deployment: Obj) -> str | None:
    """The reason of the Progressing condition."""
    found = condition_of(deployment, "Progressing")
    return found["reason"] if found else None
