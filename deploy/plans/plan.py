"""What would change on the cluster, bound by a digest to what a person sees."""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from deploy.kube.objects import Manifest
from deploy.observed.managers import Manager
from deploy.observed.token_only import TokenReading
from deploy.rules.finding import Finding
from deploy.specs.gateway_spec import GatewaySpec
from deploy.tokens.token_plan import TokenPlan

SETTINGS_ELSEWHERE, UNFINISHED = "settings-elsewhere", "rollout-unfinished"
"""Findings about what runs, which no change of a spec ends."""
_REACHED_BY = (
    "spec.type",
    "spec.ports",
    "spec.selector",
    "spec.loadBalancerClass",
    "spec.loadBalancerSourceRanges",
    "spec.externalTrafficPolicy",
    'metadata.annotations["service.beta.kubernetes.io/',
)
"""Fields of a Service that decide how callers get to the pods: changed, open connections are cut."""
_SAME_PORT = ((8080, "http"), (8081, "https"))
"""A gateway's ports by number and by name: either leads to the same."""


@dataclass(frozen=True)
class FieldChange:
    """One field of one object, before and after; None where it is absent.

    `path` is written as kubectl writes it: `spec.template.spec.containers[gateway].image`.
    """

    path: str
    old: Any
    new: Any
    restarts_pods: bool = False


@dataclass(frozen=True)
class ObjectChange:
    """What happens to one object."""

    kind: str
    name: str
    change: Literal["create", "update", "delete"]
    fields: tuple[FieldChange, ...] = ()


@dataclass(frozen=True)
class OwnershipConflict:
    """A field another field manager owns and this plan would change."""

    kind: str
    name: str
    manager: str
    path: str


@dataclass(frozen=True)
class WayBack:
    """What a run goes back to automatically when its rollout fails: a revision of the Deployment,
    or the Secret with the previous token."""

    revision: int = 0
    secret: str = ""


@dataclass(frozen=True, order=True)
class HeldToken:
    """Whose token pods hold that run already: a gateway of an API Management instance, which is
    empty where the settings have none."""

    instance: str
    gateway: str


@dataclass(frozen=True)
class ReplacedSecret:
    """The Secret that the pods of a live Deployment take their token from; its content cannot
    change."""

    name: str
    uid: str


@dataclass(frozen=True)
class TokenOnly:
    """That only the token is changed of a gateway which others deploy, and how.

    The container reads the token by the reference of `reading`. With `stable` the bot writes one
    Secret again and again, because `declared_by` declares the reference, and `copy` holds the previous
    token meanwhile; else each token gets a Secret of its own and the reference is changed. `waits`
    says that the pods do not read the bot's Secret yet, so that nothing restarts them; `restarts` that
    the bot restarts them.
    """

    reading: TokenReading
    stable: bool
    copy: str = ""
    waits: bool = False
    restarts: bool = True
    declared_by: Manager | None = None


@dataclass(frozen=True)
class Plan:
    """Everything a decision is about. `objects` are what is applied, the token Secret excluded.

    A `partial` one writes the Secret of the pods' token or the mark of a restart alone
    (deploy.plans.partial). Without `on_failure` a failed rollout is left as it is. `held` are the
    tokens in running pods that the plan sends elsewhere; `replaces` is what a new token takes the
    place of, None where no Deployment is there whose token it could be. `warnings` are the API
    server's own, in its words; no decision is about them. `manages` is None for a gateway that this
    bot deploys. `count` is how many pods are asked for in place of those that run, None where these
    stay. `runs` is the tag of an image that stays though the spec has another. `settled` and
    `live` are of the moment, and not stored: those of the objects, by kind and name, of which applying
    them changes nothing, and the Deployment as it was.
    """

    spec: GatewaySpec
    cluster_uid: str
    objects: tuple[Manifest, ...]
    changes: tuple[ObjectChange, ...]
    token: TokenPlan
    findings: tuple[Finding, ...] = ()
    conflicts: tuple[OwnershipConflict, ...] = ()
    on_failure: WayBack | None = None
    held: tuple[HeldToken, ...] = ()
    replaces: ReplacedSecret | None = None
    warnings: tuple[str, ...] = ()
    manages: TokenOnly | None = None
    partial: bool = False
    count: int | None = None
    runs: str = ""
    settled: frozenset[tuple[str, str]] = field(default=frozenset(), compare=False)
    live: Manifest | None = field(default=None, repr=False, compare=False)
    digest: str = ""

    @property
    def tag(self) -> str:
        """The tag of the image that pods run with then."""
        return self.runs or self.spec.tag

    @property
    def unread(self) -> "Plan":
        """The same once that moment is over: all of it is applied, onto what is there then."""
        return replace(self, settled=frozenset(), live=None)

    @property
    def empty(self) -> bool:
        """Whether applying it would change nothing."""
        return not self.changes and not self.token.mint

    @property
    def unsettled(self) -> tuple[Finding, ...]:
        """Why a plan without changes is not yet “no change”: the pods do not all run, or get other
        settings than the spec's."""
        return tuple(f for f in self.findings if f.rule in (SETTINGS_ELSEWHERE, UNFINISHED))

    @property
    def first(self) -> bool:
        """Whether it makes a gateway's first version, which has none before it to go back to."""
        return any(each.kind == "Deployment" and each.change == "create" for each in self.changes)

    @property
    def denied(self) -> bool:
        """Whether a rule forbids it."""
        return any(finding.severity == "deny" for finding in self.findings)

    @property
    def restarts_pods(self) -> bool:
        """Whether applying it replaces running pods."""
        return any(f.restarts_pods for change in self.changes for f in change.fields)

    @property
    def cuts_connections(self) -> bool:
        """Whether callers lose open connections, beyond those of pods that end in their own time."""
        deleted = any(
            change.change == "delete" and change.kind in ("Deployment", "Service")
            for change in self.changes
        )
        rerouted = any(
            field.path.startswith(_REACHED_BY)
            for change in self.changes
            if change.kind == "Service" and change.change == "update"
            for field in change.fields
            if not (change.name.endswith("-instance-discovery") or _is_same_port(field))
        )
        return deleted or rerouted or (self.ends_pods and not self.spec.rollout.termination_grace)

    @property
    def ends_pods(self) -> bool:
        """Whether running pods are replaced, or there will be fewer."""
        fewer = any(
            field.path == "spec.replicas" and int(field.new or 0) < int(field.old or 0)
            for change in self.changes
            if change.kind == "Deployment" and change.change == "update"
            for field in change.fields
        )
        return fewer or self.restarts_pods

    @property
    def starts_pods(self) -> bool:
        """Whether applying it makes a new version of the pods: the first one, or another."""
        first = any(c.kind == "Deployment" and c.change == "create" for c in self.changes)
        return first or self.restarts_pods


def _is_same_port(field: FieldChange) -> bool:
    return field.path.endswith(".targetPort") and any(
        field.old in names and field.new in names for names in _SAME_PORT
    )
