"""What the watch of one kind has told, and how it is said that a kind cannot be seen."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from deploy.errors import GatewayBotError, NotFound, NotGranted, Unavailable
from deploy.gateway import GatewayRef
from deploy.health.trimming import OTHERS
from deploy.kube.cluster import Cluster
from deploy.kube.kinds import kind_of
from deploy.kube.objects import Manifest
from deploy.kube.places import Places
from deploy.kube.watching import Watch

DEPLOYMENT, POD, SETTINGS = "Deployment", "Pod", "ConfigMap"
_NAMED = 5
"""Of so many that may be gateways the name is said."""


@dataclass
class WatchedKind:
    """What one watch has told; `arriving` is what a new one tells until it has told all. `absent`: the
    cluster does not serve this kind."""

    watch: Watch
    items: dict[tuple[str, str], Manifest] = field(default_factory=dict)
    arriving: dict[tuple[str, str], Manifest] | None = field(default_factory=dict)
    told: bool = False
    lost: str = ""
    error: GatewayBotError | None = None
    absent: bool = False

    @property
    def refused(self) -> bool:
        """Whether the bot may not look."""
        return isinstance(self.error, NotGranted)

    @property
    def settled(self) -> bool:
        """Whether waiting longer would tell nothing newer."""
        current = self.watch.connected or self.watch.just_listed
        return bool(self.lost) or (self.told and current)

    @property
    def answered(self) -> bool:
        """Whether it is known, or known why not."""
        return self.told or self.absent or bool(self.lost)


Kinds = Mapping[tuple[str, str | None], WatchedKind]
"""What was reported, by kind and place."""


def is_absent(cluster: Cluster, name: str, error: GatewayBotError) -> bool:
    """Whether the cluster does not serve a kind, which is not a lack of rights. Those of Kubernetes
    itself are served by every one: not found for a moment, as while an API server starts, takes
    away nothing."""
    if name not in OTHERS or not isinstance(error, NotFound | NotGranted):
        return False
    if "." not in kind_of(name).group:
        return False
    try:
        return isinstance(error, NotFound) or not cluster.serves(name)
    except GatewayBotError:
        return False


@dataclass(frozen=True)
class UnreadPlace:
    """Why a namespace that should be looked at cannot be; what is shown of it is as of then (epoch
    seconds, 0 for nothing)."""

    why: str
    as_of: float = 0.0


@dataclass(frozen=True)
class Read:
    """How much of a cluster its watches show, as a snapshot says it; `blind` as Snapshot has it."""

    as_of: float
    stale: str
    pods_unread: str
    unread: Mapping[str, UnreadPlace]
    unseen: tuple[str, ...]
    blind: frozenset[str | None]


def read_of(places: Places, kinds: Kinds, undecided: Sequence[GatewayRef]) -> Read:
    """Raises why nothing is known where no Deployments are; `undecided` may be gateways.

    Where namespaces are listed, one that refuses takes nothing from the others.
    """
    deployments = {place: kinds[DEPLOYMENT, place] for place in places}
    if not any(each.told for each in deployments.values()):
        raise _unread_cluster(places, tuple(deployments.values()))
    unread = {
        place: UnreadPlace(_why(each, "Deployment", place), each.watch.heard_at if each.told else 0)
        for place, each in deployments.items()
        if place is not None and _is_unread(each)
    }
    seen = [place for place in places if place not in unread]
    both = [kinds[name, place] for place in seen or places for name in (DEPLOYMENT, POD)]
    current = [each for each in both if not places.listed or not _is_unread(each)]
    stale = next((each.lost for each in current if each.lost), "")
    pods = None if places.listed else kinds[POD, None]
    return Read(
        min(each.watch.heard_at for each in both if each.told),
        stale if seen else next(iter(unread.values())).why,
        "" if pods is None or pods.told else (pods.lost or "the cluster has not listed them yet"),
        unread,
        tuple(_unseen(places, kinds, unread, undecided)),
        frozenset(
            place
            for place in places
            if any(_is_unread(kinds[name, place]) for name in (DEPLOYMENT, POD))
        ),
    )


def _is_unread(kind: WatchedKind) -> bool:
    return not kind.told or kind.refused


def _unread_cluster(places: Places, deployments: Sequence[WatchedKind]) -> GatewayBotError:
    """Why nothing is known of a cluster whose Deployments are not."""
    unknown = "The bot does not know what runs there."
    error = next((each.error for each in deployments if each.error), None)
    if isinstance(error, NotGranted):
        return NotGranted(
            error.happened,
            meaning=f"{unknown} It shows no gateways there and sends no warnings for them.",
            remedy=places.rights,
        )
    silent = f"Cluster “{places.cluster}” has not answered yet."
    lost = next((each.lost for each in deployments if each.lost), silent)
    return error or Unavailable(lost, meaning=unknown)


def _unseen(
    places: Places,
    kinds: Kinds,
    unread: Mapping[str, UnreadPlace],
    undecided: Sequence[GatewayRef],
) -> Iterator[str]:
    """What of the cluster cannot be seen, in sentences; of a whole cluster beside Deployments and
    pods, of which snapshots speak themselves."""
    for each in unread.values():
        shown = (
            "shown as they were last seen"
            if each.as_of
            else ("not shown, and no warnings are sent for them")
        )
        yield f"{each.why} Gateways there are {shown}."
    for place in places:
        if place in unread:
            continue
        of_it = {name: kinds[name, place] for name in (DEPLOYMENT, POD, *OTHERS, SETTINGS)}
        if place is not None and _is_unread(of_it[POD]):
            yield f"{_why(of_it[POD], 'pod', place)} The pods of gateways there cannot be shown."
        yield from _unseen_in(places, place, of_it, undecided)


def _unseen_in(
    places: Places,
    place: str | None,
    kinds: Mapping[str, WatchedKind],
    undecided: Sequence[GatewayRef],
) -> Iterator[str]:
    where = f"“{places.cluster}”" if place is None else f"“{places.cluster}/{place}”"
    for name in OTHERS:
        kind = kinds[name]
        if not kind.told and not kind.absent:
            why = kind.lost or f"The {name}s of {where} have not been read yet."
            yield f"{why} A gateway in a {name} is shown only while it has pods."
        elif kind.lost and not kinds[DEPLOYMENT].lost:
            yield f"{kind.lost} Gateways in {name}s are shown as they were last seen."
    left = [ref for ref in undecided if places.of(ref.namespace) == place]
    if left:
        names = ", ".join(map(str, left[:_NAMED]))
        more = f" and {len(left) - _NAMED} more" if len(left) > _NAMED else ""
        why = kinds[SETTINGS].lost or f"The ConfigMaps of {where} have not been read yet."
        yield f"{why} These may be gateways: {names}{more}."


def _why(kind: WatchedKind, name: str, namespace: str) -> str:
    return kind.lost or f"The {name}s in namespace “{namespace}” have not been read yet."
