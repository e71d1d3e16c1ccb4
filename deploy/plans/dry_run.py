"""What an object would become, by a dry run: what webhooks make of it is in the answer."""

import re
from dataclasses import dataclass

from deploy.kube.api_errors import OwnershipConflicts
from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.kube.warnings import distinct
from deploy.plans.counting import as_counted, keeping_count, with_count
from deploy.plans.handover import with_carried_spec, without_account
from deploy.plans.kept_labels import keeping_labels
from deploy.plans.plan import OwnershipConflict
from deploy.plans.ports import as_taken, asked_for, conflicts_of, moved_ports, without_made_up
from deploy.plans.variables import with_variables
from deploy.rendering.manifests import render
from deploy.specs.gateway_spec import GatewaySpec

_LIST_KEY = re.compile(r"\[([^\]]*)\]")
_LONGEST_PATH = 1000


@dataclass(frozen=True)
class Merged:
    """What an object would become, whose fields that would change, and what the API server warns
    of. `settled` says that applying it changes nothing, not even who owns a field."""

    result: Manifest
    conflicts: tuple[OwnershipConflict, ...] = ()
    warnings: tuple[str, ...] = ()
    settled: bool = False


def wanted_objects(
    spec: GatewaySpec,
    secret: str | None,
    live: Manifest | None,
    *,
    take_over: bool = False,
    count: int | None = None,
) -> tuple[Manifest, ...]:
    """The objects, as they go onto what runs; with `take_over` also onto what others own of it. Of
    the pods that run there will be `count`; with None their number stays."""
    objects = keeping_labels(render(spec, secret), spec, live)
    objects = with_variables(objects, spec, live, take_over=take_over)
    if live is not None:
        objects = with_count(objects, count)
    return with_carried_spec(without_account(objects, live), spec, live)


def merge(cluster: Cluster, wanted: Manifest, live: Manifest | None) -> Merged:
    """Apply it in a dry run, taking over what others own. Raises what an apply raises."""
    moved = moved_ports(live, wanted)
    asked = keeping_count(asked_for(wanted, moved), live)
    owners = conflicts_of(wanted, moved)
    warnings: list[str] = []
    try:
        result = cluster.apply(asked, dry_run=True, warned=warnings.extend)
    except OwnershipConflicts as conflict:
        kind, name = wanted["kind"], wanted["metadata"]["name"]
        owners += tuple(
            OwnershipConflict(kind, name, manager, readable(path))
            for manager, path in conflict.owners
        )
        result = cluster.apply(asked, dry_run=True, force=True, warned=warnings.extend)
    settled = live is not None and not owners and _written(live) == _written(result)
    result = as_counted(without_made_up(result, live, wanted), wanted, live)
    return Merged(as_taken(result, moved), owners, distinct(warnings), settled)


def _written(item: Manifest) -> Manifest:
    """What writes of an object set, with who owns what of it; what follows from them is left out."""
    owners = [
        {name: value for name, value in entry.items() if name != "time"}
        for entry in item["metadata"].get("managedFields") or ()
        if entry.get("subresource") != "status"
    ]
    metadata = {**item["metadata"], "managedFields": owners, "resourceVersion": ""}
    return {**item, "metadata": metadata, "status": None}


def readable(path: str) -> str:
    """A managed field's path as the diff writes paths.

    `.spec.containers[name="gw"].image` becomes `spec.containers[gw].image`.
    """
    return _LIST_KEY.sub(lambda found: f"[{_values(found[1])}]", path[:_LONGEST_PATH]).lstrip(".")


def _values(keys: str) -> str:
    values = [part.partition("=")[2] or part for part in keys.split(",")]
    return "/".join(value.strip('"') for value in values)
