"""What other workloads of a namespace take in beside a gateway: theirs is not the gateway's to write or
to delete."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

from deploy.errors import GatewayBotError
from deploy.gateway import GatewayRef
from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.observed.pods import is_leaving
from deploy.observed.references import config_maps_of, secrets_of
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
    found, unknown = _workloads(cluster, ref.namespace)
    return readers_beside(ref.name, found, tuple(unknown))


def secrets_read(cluster: Cluster, namespace: str, *, but: str = "") -> tuple[frozenset[str], str]:
    """The Secrets that pods of a namespace are given, or will be, those of the Deployment named `but`
    left out; and why that is not all, empty where it is."""
    found, unknown = _workloads(cluster, namespace)
    read: set[str] = set()
    for item in found:
        if _owner(item) != (DEPLOYMENT, but):
            read |= secrets_of(item.get("spec") or {})
    return frozenset(read), next(iter(unknown.values()), "")


def _workloads(cluster: Cluster, namespace: str) -> tuple[list[Manifest], dict[str, str]]:
    """Everything there that has pods or is one; and by kind why it could not be listed."""
    kinds = [*_BUILT_IN, *(["Rollout"] if cluster.serves("Rollout") else [])]
    running = {kind: cluster.begin(_listing(cluster, kind, namespace)) for kind in kinds}
    found: list[Manifest] = []
    unknown: dict[str, str] = {}
    for kind, listed in running.items():
        try:
            found += [{"kind": kind, **item} for item in listed.result()]
        except GatewayBotError as error:
            unknown[kind] = error.happened
    return [item for item in found if not _leaves(item, kinds)], unknown


def _leaves(item: Manifest, kinds: Collection[str]) -> bool:
    """Whether it is a pod that reads nothing any longer, and whatever may put another in its place is
    listed beside it."""
    return item["kind"] == "Pod" and is_leaving(item) and owner_of(item)[0] in kinds


def _listing(cluster: Cluster, kind: str, namespace: str) -> Callable[[], list[Manifest]]:
    return lambda: cluster.list(kind, namespace)


def readers_beside(name: str, items: Iterable[Manifest], unknown: Collection[str] = ()) -> Readers:
    """What every workload, CronJob and pod but the Deployment of that name and its pods reads."""
    maps: set[str] = set()
    labels: list[dict[str, Any]] = []
    for item in items:
        kind = item.get("kind", "")
        if _owner(item) == (DEPLOYMENT, name):
            continue
        maps |= config_maps_of(item.get("spec") or {})
        found = item["metadata"] if kind == "Pod" else _template(item).get("metadata") or {}
        if found.get("labels"):
            labels.append(dict(found["labels"]))
    return Readers(frozenset(maps), tuple(labels), tuple(unknown))


def _owner(item: Manifest) -> tuple[str, str]:
    kind = item.get("kind", "")
    return owner_of(item) if kind == "Pod" else (kind, str(item["metadata"]["name"]))


def _template(item: Manifest) -> Manifest:
    spec = item.get("spec") or {}
    template: Manifest = spec.get("template") or {}
    return template
