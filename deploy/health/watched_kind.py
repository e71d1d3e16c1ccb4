"""What the watch of one kind has told, and how it is said that a kind cannot be seen."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from deploy.errors import GatewayBotError, NotFound, NotGranted, Unavailable
from deploy.gateway import GatewayRef
from deploy.health.trimming import OTHERS
from deploy.kube.cluster import Cluster
from deploy.kube.kinds import kind_of
from deploy.kube.objects import Manifest
from deploy.kube.watching import Watch

SETTINGS = "ConfigMap"
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
    def settled(self) -> bool:
        """Whether waiting longer would tell nothing newer."""
        current = self.watch.connected or self.watch.just_listed
        return bool(self.lost) or (self.told and current)

    @property
    def answered(self) -> bool:
        """Whether it is known, or known why not."""
        return self.told or self.absent or bool(self.lost)


def is_absent(cluster: Cluster, name: str, error: GatewayBotError) -> bool:
    """Whether the cluster does not serve a kind, which is no lack of rights. Those of Kubernetes
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


def unread_cluster(cluster: str, deployments: WatchedKind) -> GatewayBotError:
    """Why nothing is known of a cluster whose Deployments are not."""
    unknown = "What runs there is not known."
    if isinstance(deployments.error, NotGranted):
        return NotGranted(
            deployments.error.happened,
            meaning=f"{unknown} No gateway there is shown, and nobody is warned of one.",
            remedy="Bind the ClusterRole of docs/install.md to the bot.",
        )
    silent = f"Cluster “{cluster}” has not answered yet."
    return deployments.error or Unavailable(deployments.lost or silent, meaning=unknown)


def unseen(
    cluster: str, kinds: Mapping[str, WatchedKind], undecided: Sequence[GatewayRef]
) -> Iterator[str]:
    """What of the cluster cannot be seen, beside Deployments and pods; `undecided` may be gateways."""
    for name in OTHERS:
        kind = kinds[name]
        if not kind.told and not kind.absent:
            why = kind.lost or f"The {name}s of “{cluster}” are not read yet."
            yield f"{why} A gateway in a {name} is shown only while it has pods."
        elif kind.lost and not kinds["Deployment"].lost:
            yield f"{kind.lost} Gateways in {name}s are shown as they were before."
    if undecided:
        names = ", ".join(map(str, undecided[:_NAMED]))
        more = f" and {len(undecided) - _NAMED} more" if len(undecided) > _NAMED else ""
        why = kinds[SETTINGS].lost or f"The ConfigMaps of “{cluster}” are not read yet."
        yield f"{why} These may be gateways: {names}{more}."
