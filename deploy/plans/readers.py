"""What other workloads of a namespace take in beside a gateway: theirs is not the gateway's to write or
to delete."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

from deploy.errors import GatewayBotError
from deploy.gateway import GatewayRef
from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.observed.references import config_maps_of
from deploy.observed.workloads import DEPLOYMENT, owner_of

_BUILT_IN = ("Deployment", "StatefulSet", "DaemonSet", "CronJob", "Pod")


@dataclass(frozen=True)
class Readers:
    """The ConfigMaps that others read, and the labels of their pods. `unknown` are the kinds of which
    it could not be read."""

    config_maps: frozenset[str] = frozenset()
    labels: tuple[dict[str, Any], ...] = ()
    unknown: tuple[str, ...] = ()

    def reads(self, config_map: str) -> bool:
        """Whether somebody else reads it, or may."""
        return bool(self.unknown) or config_map in self.config_maps


def readers_of(cluster: Cluster, ref: GatewayRef) -> Readers:
    """What is there beside that gateway; what cannot be listed is unknown."""
    kinds = [*_BUILT_IN, *(["Rollout"] if cluster.serves("Rollout") else [])]
    running = {kind: cluster.begin(_listing(cluster, kind, ref.namespace)) for kind in kinds}
    found: list[Manifest] = []
    unknown: list[str] = []
    for kind, listed in running.items():
        try:
            found += [{"kind": kind, **item} for item in listed.result()]
        except GatewayBotError:
            unknown.append(kind)
    return readers_beside(ref.name, found, unknown)


def _listing(cluster: Cluster, kind: str, namespace: str) -> Callable[[], list[Manifest]]:
    return lambda: cluster.list(kind, namespace)


def readers_beside(name: str, items: Iterable[Manifest], unknown: Collection[str] = ()) -> Readers:
    """What every workload, CronJob and pod but the Deployment of that name and its pods reads."""
    maps: set[str] = set()
    labels: list[dict[str, Any]] = []
    for item in items:
        kind = item.get("kind", "")
        owner = owner_of(item) if kind == "Pod" else (kind, str(item["metadata"]["name"]))
        if owner == (DEPLOYMENT, name):
            continue
        maps |= config_maps_of(item.get("spec") or {})
        found = item["metadata"] if kind == "Pod" else _template(item).get("metadata") or {}
        if found.get("labels"):
            labels.append(dict(found["labels"]))
    return Readers(frozenset(maps), tuple(labels), tuple(unknown))


def _template(item: Manifest) -> Manifest:
    spec = item.get("spec") or {}
    template: Manifest = spec.get("template") or {}
    return template
