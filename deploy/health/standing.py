"""How true what is known of a cluster is, from how its watches stand. Pure."""

from dataclasses import dataclass

from deploy.health.watched_kind import DEPLOYMENT, POD, Kinds, WatchedKind
from deploy.kube.places import Places


@dataclass(frozen=True)
class Standing:
    """When the watch that has been silent for longest last received anything (epoch seconds, 0
    for never), and why nothing newer is known of the whole cluster; empty while any of its places is
    watched. `unread` are the listed namespaces that cannot be, each with why."""

    heard_at: float
    lost: str
    unread: tuple[tuple[str, str], ...] = ()


def standing_of(places: Places, kinds: Kinds) -> Standing:
    """By the watches of Deployments and pods. A namespace that refuses or does not answer takes nothing
    from the others."""
    lost = {place: why for place in places if (why := _lost(kinds, place))}
    heard = [
        kind.watch.heard_at for place in places for kind in _both(kinds, place) if not kind.refused
    ]
    return Standing(
        min((at for at in heard if at), default=0.0),
        next(iter(lost.values())) if len(lost) == len(list(places)) else "",
        tuple((place, why) for place, why in lost.items() if place is not None),
    )


def _both(kinds: Kinds, place: str | None) -> tuple[WatchedKind, ...]:
    return kinds[DEPLOYMENT, place], kinds[POD, place]


def _lost(kinds: Kinds, place: str | None) -> str:
    """Why a place is not watched, empty where it is."""
    both = _both(kinds, place)
    why = next((kind.lost for kind in both if kind.lost), "")
    return why or ("" if all(kind.told for kind in both) else "it has not answered yet")
