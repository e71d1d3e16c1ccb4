"""Deleting: grace periods, finalizers and what is to become of dependents."""

import datetime
from dataclasses import dataclass
from typing import Any

from bot.sandbox.cluster import errors
from bot.sandbox.cluster.api import Api
from bot.sandbox.cluster.decoding import from_storage
from bot.sandbox.cluster.kinds import Kind
from bot.sandbox.cluster.objects import (
    Obj,
    copy,
    get,
    is_terminating,
    name_of,
    namespace_of,
    timestamp,
    utc_now,
)

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"

# Kinds that answer a deletion with the object instead of a Status.
_RETURN_OBJECT = frozenset(
    {
        "Pod",
        "Service",
        "ServiceAccount",
        "PersistentVolume",
        "PersistentVolumeClaim",
        "ResourceQuota",
        "Namespace",
    }
)


@dataclass(frozen=True)
class DeleteOptions:
    """metav1.DeleteOptions. `grace` is in seconds."""

    propagation: str = "Background"
    grace: int | None = None
    uid: str | None = None
    resource_version: str | None = None
    dry_run: bool = False

    @classmethod
    def read(cls, body: Any, query: dict[str, str]) -> "DeleteOptions":
        """The options of a request: its body, over its query."""
        raw: Obj = body if isinstance(body, dict) else {}
        orphan = raw.get("orphanDependents")
        policy = raw.get("propagationPolicy") or query.get("propagationPolicy")
        grace = raw.get("gracePeriodSeconds", query.get("gracePeriodSeconds"))
        return cls(
            propagation=policy or ("Orphan" if orphan else "Background"),
            grace=None if grace is None else int(grace),
            uid=get(raw, "preconditions", "uid"),
            resource_version=get(raw, "preconditions", "resourceVersion"),
            dry_run=bool(raw.get("dryRun") or query.get("dryRun")),
        )


def delete(
    api: Api, kind: Kind, namespace: str, name: str, options: DeleteOptions | None = None
) -> Obj:
    """Delete an object, or begin to. Returns what the server answers. ApiError 404 or 409."""
    options = options or DeleteOptions()
    old = api.store.get(kind, namespace, name)
    if old is None:
        raise errors.not_found(kind, name)
    _check_preconditions(kind, old, options)
    obj = copy(old)
    metadata = obj["metadata"]
    finalizers = [f for f in metadata.get("finalizers") or [] if f not in (FOREGROUND, ORPHAN)]
    if options.propagation == "Foreground":
        finalizers.append(FOREGROUND)
    elif options.propagation == "Orphan":
        finalizers.append(ORPHAN)
    grace = _grace(kind, old, options)
    stays = bool(finalizers) or grace > 0 or kind.kind == "Namespace"
    if options.dry_run:
        return _answer(kind, old, gone=not stays)
    if not stays:
        if kind.kind == "Pod" and is_terminating(old):
            # The kubelet's last word shows as a change of its own before the pod is gone.
            metadata |= {"deletionTimestamp": timestamp(), "deletionGracePeriodSeconds": 0}
            api.store.put(kind, obj)
        return _answer(kind, api.store.remove(kind, namespace, name), gone=True)
    if is_terminating(old) and grace >= metadata.get("deletionGracePeriodSeconds", 0):
        return _answer(kind, old, gone=False)
    if finalizers:
        metadata["finalizers"] = finalizers
    end = utc_now() + datetime.timedelta(seconds=grace)
    metadata["deletionTimestamp"] = timestamp(end)
    metadata["deletionGracePeriodSeconds"] = grace
    if metadata.get("generation"):
        metadata["generation"] += 1
    if kind.kind == "Namespace":
        obj["status"] = {**obj.get("status", {}), "phase": "Terminating"}
    return _answer(kind, api.store.put(kind, obj), gone=False)


def _check_preconditions(kind: Kind, old: Obj, options: DeleteOptions) -> None:
    for label, wanted, found in (
        ("UID", options.uid, old["metadata"]["uid"]),
        ("ResourceVersion", options.resource_version, old["metadata"]["resourceVersion"]),
    ):
        if wanted and wanted != found:
            raise errors.conflict(
                kind,
                name_of(old),
                f"Precondition failed: {label} in precondition: {wanted}, "
                f"{label} in object meta: {found}",
            )


def _grace(kind: Kind, obj: Obj, options: DeleteOptions) -> int:
    if kind.kind != "Pod":
        return 0
    if not get(obj, "spec", "nodeName"):
        return 0
    if get(obj, "status", "phase") in ("Succeeded", "Failed"):
        return 0
    if options.grace is not None:
        return max(options.grace, 0)
    return int(get(obj, "spec", "terminationGracePeriodSeconds", default=30))


def _answer(kind: Kind, obj: Obj, *, gone: bool) -> Obj:
    if not gone or kind.kind in _RETURN_OBJECT:
        return from_storage(kind, obj)
    details: Obj = {"name": name_of(obj)}
    if kind.group:
        details["group"] = kind.group
    details |= {"kind": kind.plural, "uid": obj["metadata"]["uid"]}
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": details,
    }


def drop_finalizer(api: Api, kind: Kind, obj: Obj, finalizer: str) -> None:
    """Take one finalizer off; the last one off removes the object."""
    changed = copy(obj)
    left = [f for f in changed["metadata"].get("finalizers") or [] if f != finalizer]
    if left:
        changed["metadata"]["finalizers"] = left
    else:
        changed["metadata"].pop("finalizers", None)
    api.store.put(kind, changed)
    if not left and not get(changed, "metadata", "deletionGracePeriodSeconds"):
        api.store.remove(kind, namespace_of(obj), name_of(obj))
