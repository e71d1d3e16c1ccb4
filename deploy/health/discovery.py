"""Which gateways a cluster runs, whoever made them and whatever they run in.

A gateway is found by its own object and by its pods. What has pods that look like a gateway's, and no
object that was read, is shown by its pods alone. A cluster may run thousands of foreign workloads and
pods: a change is worked out for the workload that it touches, not for all of them.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TypeVar

from deploy.gateway import GatewayRef
from deploy.kube.objects import Manifest
from deploy.observed import inventory, workloads
from deploy.observed.pods import is_leaving, is_over

Key = tuple[str, str]
"""Namespace and name."""
_Place = tuple[str, str, str]
"""Namespace, kind and name."""

Index = TypeVar("Index", Key, _Place)


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
class _Standing:
    """The workload at a place: that, whether it shows itself to be a gateway's, and where it does
    not, the ConfigMaps that may show it."""

    workload: Manifest
    itself: bool
    maps: tuple[Key, ...]


class Discovery:
    """Of one cluster: told what is read, it says what that shows. For one thread at a time."""

    def __init__(self, cluster: str) -> None:
        self._cluster = cluster
        self._read: dict[_Place, Manifest] = {}
        self._places: dict[Key, _Place] = {}
        self._pods: dict[_Place, dict[Key, Manifest]] = {}
        self._referring: dict[_Place, set[_Place]] = {}
        self._settings: set[Key] = set()
        self._settings_known: set[str | None] = set()
        self._standing: dict[_Place, _Standing] = {}
        self._shown_by: dict[Key, set[_Place]] = {}
        self._moved: set[_Place] = set()
        self._verdicts: dict[_Place, bool | None] = {}
        self._found: dict[GatewayRef, Discovered] = {}

    def workload(self, kind: str, key: Key, item: Manifest | None) -> None:
        """Take in a workload as it is now; None where there is none any longer."""
        place = (key[0], kind, key[1])
        before = self._read.pop(place, None)
        if before is not None:
            self._refer(place, before, there=False)
        if item is not None:
            self._read[place] = item
            self._refer(place, item, there=True)
        self._moved |= {place, *self._referring.get(place, ())}

    def pod(self, key: Key, item: Manifest | None) -> None:
        """Take in a pod as it is now; None where there is none any longer."""
        before = self._places.pop(key, None)
        if before is not None:
            del self._pods[before][key]
            if not self._pods[before]:
                del self._pods[before]
            self._moved.add(before)
        if item is not None:
            place = (key[0], *workloads.owner_of(item))
            self._places[key] = place
            self._pods.setdefault(place, {})[key] = item
            self._moved.add(place)

    def setting(self, key: Key, *, there: bool) -> None:
        """Take in whether a ConfigMap holds a gateway's settings."""
        (self._settings.add if there else self._settings.discard)(key)
        self._moved |= self._shown_by.get(key, set())

    def know_settings(self, namespace: str | None, *, known: bool) -> None:
        """Take in whether the ConfigMaps of a namespace could be read; None is every one."""
        if known != (namespace in self._settings_known):
            self._settings_known ^= {namespace}
            self._moved.update(*self._shown_by.values())

    def gateways(self) -> tuple[Discovered, ...]:
        """Those there are, by their names."""
        self._settle()
        return tuple(self._found[ref] for ref in sorted(self._found))

    def undecided(self) -> tuple[GatewayRef, ...]:
        """Workloads that only a ConfigMap could show to be gateways, where none could be read."""
        self._settle()
        left = [place for place, verdict in self._verdicts.items() if verdict is None]
        return tuple(sorted(self._ref(place, self._found) for place in left))

    def _settle(self) -> None:
        """Work out what has moved."""
        changed = {self._judge(place) for place in self._moved}
        if True in changed:
            found: dict[GatewayRef, Discovered] = {}
            # Where two workloads have one name, the one that this bot can change keeps it.
            for place in sorted((p for p, sure in self._verdicts.items() if sure), key=_order):
                ref = self._ref(place, found)
                of_it = sorted(self._pods.get(place, {}).values(), key=_by_age)
                living = tuple(pod for pod in of_it if not is_over(pod))
                ended = tuple(pod for pod in of_it if is_over(pod))
                found[ref] = Discovered(ref, self._standing[place].workload, living, ended)
            self._found = found
        self._moved = set()

    def _judge(self, place: _Place) -> bool:
        """Whether a gateway stands at a place, or stood there until now."""
        standing = self._look_at(place)
        verdict: bool | None = standing is not None and standing.itself
        if standing is not None and standing.maps:
            verdict = any(key in self._settings for key in standing.maps)
            verdict = verdict if self._settings_known & {None, place[0]} else None
        before = self._verdicts.pop(place, False)
        if verdict is not False:
            self._verdicts[place] = verdict
        return bool(before or verdict)

    def _look_at(self, place: _Place) -> _Standing | None:
        """The workload at a place now; None where there is none."""
        before, workload = self._standing.get(place), self._workload(place)
        if before is not None and before.workload is workload:
            return before
        for key in before.maps if before is not None else ():
            _put(self._shown_by, key, place, there=False)
        if workload is None:
            self._standing.pop(place, None)
            return None
        itself = inventory.is_gateway(workload)
        maps = () if itself else inventory.settings_maps(workload)
        standing = _Standing(workload, itself, tuple((place[0], name) for name in maps))
        self._standing[place] = standing
        for key in standing.maps:
            _put(self._shown_by, key, place, there=True)
        return standing

    def _workload(self, place: _Place) -> Manifest | None:
        """What was read of a place; else what its living pods show."""
        read = self._read.get(place)
        if read is not None and self._referring.get(place) and read["spec"].get("replicas") == 0:
            # It is only where a Rollout takes its template from.
            read = None
        elsewhere = workloads.template_elsewhere(read) if read is not None else ""
        if read is not None and elsewhere:
            source = self._read.get((place[0], workloads.DEPLOYMENT, elsewhere))
            # Where that was trimmed away, it is not a gateway's.
            read = workloads.with_template_of(read, source) if source is not None else None
        if read is not None:
            return read
        living = [pod for pod in self._pods.get(place, {}).values() if _lives(pod)]
        return workloads.of_pods(*place[1:], sorted(living, key=_by_age)) if living else None

    def _refer(self, place: _Place, workload: Manifest, *, there: bool) -> None:
        """Note that a Rollout takes its template from a Deployment, or no longer does."""
        elsewhere = workloads.template_elsewhere(workload)
        if elsewhere:
            source = (place[0], workloads.DEPLOYMENT, elsewhere)
            _put(self._referring, source, place, there=there)
            self._moved.add(source)

    def _ref(self, place: _Place, taken: Collection[GatewayRef]) -> GatewayRef:
        workload = self._standing[place].workload
        ref = inventory.ref_of(self._cluster, workload)
        if ref not in taken:
            return ref
        kind = workloads.workload_kind(workload).lower()
        return GatewayRef(self._cluster, ref.namespace, f"{ref.name[:200].rstrip('-.')}.{kind}")


def undecided(workload: Manifest) -> bool:
    """Whether only a ConfigMap can show that it is a gateway."""
    return not inventory.is_gateway(workload) and bool(inventory.settings_maps(workload))


def like_a_pod(pod: Manifest) -> Manifest:
    """A workload with that pod's template."""
    return {"metadata": pod["metadata"], "spec": {"template": {"spec": pod["spec"]}}}


def _put(index: dict[Index, set[_Place]], key: Index, place: _Place, *, there: bool) -> None:
    if there:
        index.setdefault(key, set()).add(place)
        return
    places = index.get(key, set())
    places.discard(place)
    if not places:
        index.pop(key, None)


def _lives(pod: Manifest) -> bool:
    return not is_leaving(pod)


def _order(place: _Place) -> tuple[int, _Place]:
    kinds = (workloads.DEPLOYMENT, *workloads.OTHERS)
    return (kinds.index(place[1]) if place[1] in kinds else len(kinds), place)


def _by_age(pod: Manifest) -> tuple[str, str]:
    return str(pod["metadata"].get("creationTimestamp", "")), str(pod["metadata"]["name"])
