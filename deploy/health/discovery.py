"""Which gateways a cluster runs, whoever made them and whatever they run in. Pure.

A gateway is found by its own object and by its pods. What has pods that look like a gateway's, and no
object that was read, is shown by its pods alone.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from deploy.gateway import GatewayRef
from deploy.kube.objects import Manifest
from deploy.observed import inventory, workloads
from deploy.observed.pods import is_over

Key = tuple[str, str]
"""Namespace and name."""
_Place = tuple[str, str, str]
"""Namespace, kind and name."""


@dataclass(frozen=True)
class Discovered:
    """One gateway: its workload in the form of a Deployment, and its pods.

    `pods` are those that run or may yet, `ended` those that never will again.
    """

    ref: GatewayRef
    workload: Manifest
    pods: tuple[Manifest, ...]
    ended: tuple[Manifest, ...]


@dataclass(frozen=True)
class Discovery:
    """What a cluster shows. `undecided` are workloads that only a ConfigMap could show to be gateways,
    where no ConfigMap could be read."""

    gateways: tuple[Discovered, ...]
    undecided: tuple[GatewayRef, ...] = ()


def discover(
    cluster: str,
    read: Mapping[str, Mapping[Key, Manifest]],
    pods: Iterable[Manifest],
    settings: Collection[Key] | None,
) -> Discovery:
    """`read` are the workloads by kind, `settings` the ConfigMaps with a gateway's settings; None
    where ConfigMaps could not be read."""
    of: dict[_Place, list[Manifest]] = {}
    for pod in pods:
        of.setdefault((pod["metadata"]["namespace"], *workloads.owner_of(pod)), []).append(pod)
    known = _workloads(read)
    every = {**known, **_by_pods_alone(of, known)}
    gateways: dict[GatewayRef, Discovered] = {}
    undecided: list[GatewayRef] = []
    # Where two workloads have one name, the one that this bot can change keeps it.
    for place, workload in sorted(every.items(), key=lambda each: _order(each[0])):
        verdict = _is_gateway(workload, settings)
        if verdict is False:
            continue
        ref = inventory.ref_of(cluster, workload)
        if ref in gateways:
            kind = workloads.workload_kind(workload).lower()
            ref = GatewayRef(cluster, ref.namespace, f"{ref.name[:200].rstrip('-.')}.{kind}")
        if verdict is None:
            undecided.append(ref)
            continue
        of_it = sorted(of.get(place, ()), key=_by_age)
        gateways[ref] = Discovered(
            ref,
            workload,
            tuple(pod for pod in of_it if not is_over(pod)),
            tuple(pod for pod in of_it if is_over(pod)),
        )
    return Discovery(tuple(gateways[ref] for ref in sorted(gateways)), tuple(sorted(undecided)))


def undecided(workload: Manifest) -> bool:
    """Whether only a ConfigMap can show that it is a gateway."""
    return not inventory.is_gateway(workload) and bool(inventory.settings_maps(workload))


def like_a_pod(pod: Manifest) -> Manifest:
    """A workload with that pod's template."""
    return {"metadata": pod["metadata"], "spec": {"template": {"spec": pod["spec"]}}}


def _workloads(read: Mapping[str, Mapping[Key, Manifest]]) -> dict[_Place, Manifest]:
    found = {
        (key[0], kind, key[1]): item for kind, items in read.items() for key, item in items.items()
    }
    stand_ins: set[_Place] = set()
    for place, workload in list(found.items()):
        elsewhere = workloads.template_elsewhere(workload)
        if not elsewhere:
            continue
        source = (place[0], workloads.DEPLOYMENT, elsewhere)
        deployment = found.get(source)
        if deployment is None:
            # Its template was trimmed away: it is no gateway's.
            del found[place]
            continue
        found[place] = workloads.with_template_of(workload, deployment)
        if deployment["spec"].get("replicas") == 0:
            # It is only where the Rollout takes its template from.
            stand_ins.add(source)
    return {place: workload for place, workload in found.items() if place not in stand_ins}


def _by_pods_alone(
    of: Mapping[_Place, Sequence[Manifest]], known: Collection[_Place]
) -> dict[_Place, Manifest]:
    found = {}
    for place, pods in of.items():
        living = [
            pod for pod in pods if not is_over(pod) and not pod["metadata"].get("deletionTimestamp")
        ]
        if place not in known and living:
            found[place] = workloads.of_pods(place[1], place[2], sorted(living, key=_by_age))
    return found


def _is_gateway(workload: Manifest, settings: Collection[Key] | None) -> bool | None:
    """None where that cannot be told."""
    if inventory.is_gateway(workload):
        return True
    namespace = workload["metadata"]["namespace"]
    maps = [(namespace, name) for name in inventory.settings_maps(workload)]
    if maps and settings is None:
        return None
    return any(key in (settings or ()) for key in maps)


def _order(place: _Place) -> tuple[int, _Place]:
    kinds = (workloads.DEPLOYMENT, *workloads.OTHERS)
    return (kinds.index(place[1]) if place[1] in kinds else len(kinds), place)


def _by_age(pod: Manifest) -> tuple[str, str]:
    return str(pod["metadata"].get("creationTimestamp", "")), str(pod["metadata"]["name"])
