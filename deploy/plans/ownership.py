"""Taking fields out of the hands of those who wrote them before, once they are this bot's.

A field that two managers apply with one value belongs to both, so the first to want another value
is refused. Adopting a gateway is meant to end that (Kubernetes, "Server-Side Apply", Clearing
managedFields; csaupgrade in client-go does the same for kubectl).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from deploy.kube.cluster import FIELD_MANAGER, Cluster
from deploy.kube.objects import Manifest
from deploy.kube.rewriting import rewrite


def take_whole(cluster: Cluster, manifests: Sequence[Manifest]) -> None:
    """Make this bot the only owner of every field that it applies to these objects.

    Conflict when an object changes under every try.
    """
    for manifest in manifests:
        _rewrite(cluster, manifest, without_shared)


def apply_alone(cluster: Cluster, manifests: Sequence[Manifest]) -> None:
    """Make this bot own what it applies to these objects by that alone: what it wrote otherwise
    would be kept when a later apply no longer has it.

    Conflict when an object changes under every try.
    """
    for manifest in manifests:
        _rewrite(cluster, manifest, without_written)


def without_written(managed: Sequence[Mapping[str, Any]], manager: str) -> list[dict[str, Any]]:
    """The entries of managedFields without those of `manager` that are not an apply. Pure."""
    return [
        dict(entry)
        for entry in managed
        if entry.get("manager") != manager or entry.get("operation") == "Apply"
    ]


def without_shared(managed: Sequence[Mapping[str, Any]], manager: str) -> list[dict[str, Any]]:
    """The entries of managedFields, the others' without what `manager` applies. Pure.

    What was written through a subresource stays: it belongs to controllers.
    """
    ours: dict[str, Any] = {}
    for entry in managed:
        if entry.get("manager") == manager and entry.get("operation") == "Apply":
            ours = entry.get("fieldsV1") or {}
    kept = []
    for entry in managed:
        if entry.get("manager") == manager or entry.get("subresource"):
            kept.append(dict(entry))
            continue
        fields = _less(entry.get("fieldsV1") or {}, ours)
        if fields:
            kept.append({**entry, "fieldsV1": fields})
    return kept


def _rewrite(
    cluster: Cluster,
    manifest: Manifest,
    entries: Callable[[Sequence[Mapping[str, Any]], str], list[dict[str, Any]]],
) -> None:
    def fields(live: Manifest) -> Mapping[str, Any]:
        managed = live["metadata"].get("managedFields") or []
        wanted = entries(managed, FIELD_MANAGER)
        return {} if wanted == managed else {"/metadata/managedFields": wanted}

    metadata = manifest["metadata"]
    rewrite(cluster, manifest["kind"], metadata["namespace"], metadata["name"], fields)


def _less(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    """The field set `theirs` without the leaves of `ours`."""
    left: dict[str, Any] = {}
    for name, below in theirs.items():
        if name not in ours:
            left[name] = below
        elif below and ours[name]:
            rest = _less(below, ours[name])
            if rest and set(rest) != {"."}:
                left[name] = rest
    return left
