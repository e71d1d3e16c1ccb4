"""Which environments' requirements a change takes, because of the token that it touches. Pure.

A token belongs to a gateway resource in Azure, and whoever holds one can act as that gateway. So a
change that mints, regenerates or redirects a token takes the requirements of every environment that
governs the resource, not only those of the place where it is asked for.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from deploy.access import UNLISTED, Environment, environment_of
from deploy.gateway import GatewayRef, GatewayResource
from deploy.kube.places import Places
from deploy.plans.redirection import Redirection

Because = Literal["target", "governed_by", "seen", "never_read", "out_of_sight", "unidentified"]


@dataclass(frozen=True)
class GovernedBy:
    """A line of the settings: which environments govern the gateways of a service, by the ARM id of
    the service and a pattern over their names (`*` and `?`)."""

    service: str
    match: str
    environments: tuple[str, ...]

    def covers(self, resource: GatewayResource) -> bool:
        """Whether it is about that gateway; letter case does not matter."""
        same = self.service.rstrip("/").lower() == resource.service
        return same and fnmatchcase(resource.gateway, self.match.lower())


@dataclass(frozen=True)
class TokenChange:
    """What a change does with a gateway's token. One that does nothing with it follows its target."""

    mints: bool = False
    regenerates: bool = False
    redirects: frozenset[Redirection] = frozenset()

    @property
    def none(self) -> bool:
        """Whether it leaves the token and where it is sent as they are."""
        return not (self.mints or self.regenerates or self.redirects)


@dataclass(frozen=True)
class Placements:
    """Where a gateway resource is.

    `seen` is where it runs or ran during the last 30 days; `unidentified` are gateways of which
    nothing tells whose token they hold; `never_read` are clusters that could not be read since
    this has been recorded, or single namespaces (cluster/namespace). `looked` is where anybody looks
    on each cluster: in what is not listed of it nobody ever does.
    """

    seen: frozenset[GatewayRef] = frozenset()
    unidentified: frozenset[GatewayRef] = frozenset()
    never_read: frozenset[str] = frozenset()
    looked: tuple[Places, ...] = ()


@dataclass(frozen=True, order=True)
class GoverningReason:
    """Why an environment governs a change.

    `by` is the target or place where the gateway was seen (cluster/namespace/name), the pattern of
    the settings, or the cluster that was never read, or is not seen whole.
    """

    because: Because
    by: str


@dataclass(frozen=True)
class GoverningEnvironment:
    """An environment whose requirements must be met, and why."""

    environment: str
    reasons: tuple[GoverningReason, ...]


@dataclass(frozen=True, order=True)
class Place:
    """A place of the same gateway, and its environment."""

    ref: GatewayRef
    environment: str


@dataclass(frozen=True)
class TokenAuthority:
    """Whose requirements a change takes, the target's first.

    `unlisted` are places outside every environment, which add nothing and are reported;
    `less_protected` are those outside production that hold a token of a gateway in production;
    `behind` are the environments that decided the token which is replaced, and need not again;
    `places` are all in which the gateway is or was, whoever decides.
    """

    governing: tuple[GoverningEnvironment, ...]
    behind: frozenset[str] = frozenset()
    unlisted: tuple[GatewayRef, ...] = ()
    less_protected: tuple[Place, ...] = ()
    places: tuple[GatewayRef, ...] = ()

    @property
    def environments(self) -> tuple[str, ...]:
        """The environments by name."""
        return tuple(each.environment for each in self.governing)


def token_authority(
    change: TokenChange,
    target: GatewayRef,
    resource: GatewayResource | None,
    *,
    environments: Sequence[Environment],
    rules: Sequence[GovernedBy] = (),
    placements: Placements = Placements(),
    decided_by: frozenset[str] = frozenset(),
) -> TokenAuthority:
    """Whose requirements `change` takes at `target` because of the token of one resource.

    `resource` is None for a gateway that has no token; `decided_by` are the environments that decided
    the token which `target` uses now, for this resource: beyond the target only others decide
    its replacement in place.
    """
    home = environment_of(target, environments)
    reasons: dict[str, set[GoverningReason]] = {home.name: {GoverningReason("target", str(target))}}
    others = placements.seen - {target}
    behind = decided_by if _replaces(change) else frozenset()
    if resource is not None and not change.none:
        rule = next((each for each in rules if each.covers(resource)), None)
        found = (
            [(name, GoverningReason("governed_by", rule.match)) for name in rule.environments]
            if rule is not None
            else _inferred(others, placements, environments)
        )
        for name, reason in found:
            if name == home.name or name not in behind:
                reasons.setdefault(name, set()).add(reason)
    places = [Place(ref, environment_of(ref, environments).name) for ref in sorted(others)]
    listed = {each.name: each for each in environments}
    return TokenAuthority(
        tuple(GoverningEnvironment(name, tuple(sorted(why))) for name, why in reasons.items()),
        behind,
        unlisted=tuple(p.ref for p in places if _is_unlisted(p.ref, environments)),
        less_protected=tuple(
            p
            for p in places
            if home.production
            and not _is_unlisted(p.ref, environments)
            and not listed[p.environment].production
        ),
        places=tuple(sorted(placements.seen)) if not change.none else (),
    )


def combined(found: Iterable[TokenAuthority]) -> TokenAuthority:
    """Whose requirements a change takes that concerns several tokens: those of each of them."""
    every = list(found)
    reasons: dict[str, set[GoverningReason]] = {}
    for authority in every:
        for each in authority.governing:
            reasons.setdefault(each.environment, set()).update(each.reasons)
    return TokenAuthority(
        tuple(GoverningEnvironment(name, tuple(sorted(why))) for name, why in reasons.items()),
        frozenset().union(*(authority.behind for authority in every)),
        unlisted=tuple(sorted({ref for authority in every for ref in authority.unlisted})),
        less_protected=tuple(sorted({p for each in every for p in each.less_protected})),
        places=tuple(sorted({ref for authority in every for ref in authority.places})),
    )


def _replaces(change: TokenChange) -> bool:
    """Whether a token is replaced in place: the next one is sent where the present one is."""
    return change.mints and not change.regenerates and not change.redirects


def _inferred(
    seen: Iterable[GatewayRef], placements: Placements, environments: Sequence[Environment]
) -> list[tuple[str, GoverningReason]]:
    """Every listed environment that holds it, or for all that is known may hold it in production."""
    found = [
        (environment_of(ref, environments).name, GoverningReason("seen", str(ref)))
        for ref in sorted(seen)
        if not _is_unlisted(ref, environments)
    ]
    production = [each for each in environments if each.production]
    found += [
        (each.name, GoverningReason("never_read", cluster))
        for each in production
        for cluster in sorted(placements.never_read)
        if _is_in(cluster, each, environments)
    ]
    found += [
        (each.name, GoverningReason("out_of_sight", places.cluster))
        for each in production
        for places in placements.looked
        if _goes_beyond(places, each, environments)
    ]
    found += [
        (home.name, GoverningReason("unidentified", str(ref)))
        for ref in sorted(placements.unidentified)
        if (home := environment_of(ref, environments)) in production
    ]
    return found


def _is_in(place: str, environment: Environment, environments: Sequence[Environment]) -> bool:
    """Whether a cluster, or a namespace of one, is in an environment, or part of it."""
    cluster, _, namespace = place.partition("/")
    if not namespace:
        return environment.reaches(cluster)
    return environment_of(GatewayRef(cluster, namespace, "any"), environments) == environment


def _goes_beyond(
    places: Places, environment: Environment, environments: Sequence[Environment]
) -> bool:
    """Whether an environment may have namespaces of that cluster in which nobody looks. A pattern
    may, unless the same one or `*` stands in an environment before, which counts first."""
    if not places.listed or not environment.reaches(places.cluster):
        return False
    before = environments[: environments.index(environment)]
    taken = {p for each in before if each.reaches(places.cluster) for p in each.namespaces}
    return any(
        not taken & {"*", pattern} and (pattern not in places or not _is_literal(pattern))
        for pattern in environment.namespaces
    )


def _is_literal(pattern: str) -> bool:
    return not set(pattern) & set("*?[")


def _is_unlisted(ref: GatewayRef, environments: Sequence[Environment]) -> bool:
    return environment_of(ref, environments) is UNLISTED
