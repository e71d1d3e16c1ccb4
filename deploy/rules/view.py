"""One gateway as rules look at it: its objects, whoever wrote them, and what is known beside."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from deploy.images.catalogue import Stock
from deploy.images.names import image_name
from deploy.images.support import Support, Version, support, version_of
from deploy.kube.objects import Manifest
from deploy.observed.effective import effective_settings
from deploy.observed.inventory import container_of, is_gateway, tag_of
from deploy.observed.managers import Manager
from deploy.rules.reading import amount, at, mapping, mappings, pods, text, whole

AUTH = "config.service.auth"
_DEFAULT_SHARE = "25%"
"""Kubernetes' own maxSurge and maxUnavailable (Kubernetes API reference, RollingUpdateDeployment)."""


@dataclass(frozen=True)
class Facts:
    """What the objects do not tell.

    `tags` are those that Microsoft has, () where they are unknown, and `stock` is what the registry has
    that the pods pull from, None where that is Microsoft's; `token_days` is the lifetime asked
    for a new token, None where none is written; `auth` is the value of `config.service.auth` where
    the objects hide it. `endpoints` are the hosts that the settings know for `instance`
    (deploy.azure.known_hosts), `repositories` the images that they know; with None the gateway's own
    are not judged. `token_references` are the Secrets that hold a gateway token, or may, and that
    pods are given beside their own token; `others_objects` the existing objects that would be
    written and are another gateway's, such as “ConfigMap edge-1-env of edge-1”. `redirects` is what
    a plan changes of where tokens go that running pods hold (deploy.plans.redirection), empty where
    none do. `rotated_by` are CronJobs of others that may rotate the token too, `managers` who else
    manages what a plan changes.
    """

    production: bool
    tags: tuple[str, ...] = ()
    token_days: float | None = None
    auth: str | None = None
    instance: str = ""
    endpoints: tuple[str, ...] | None = None
    repositories: tuple[str, ...] | None = None
    token_references: tuple[str, ...] = ()
    others_objects: tuple[str, ...] = ()
    redirects: frozenset[str] = frozenset()
    rotated_by: tuple[str, ...] = ()
    managers: tuple[Manager, ...] = ()
    stock: Stock | None = None

    @property
    def listed(self) -> tuple[str, ...]:
        """The tags that can be pulled; () where they are unknown."""
        return self.tags if self.stock is None else self.stock.tags or ()

    @property
    def mints(self) -> bool:
        """Whether a new token is written."""
        return self.token_days is not None


@dataclass(frozen=True)
class Holder:
    """A container that is given the token: its image, and the settings that it is given."""

    image: str
    settings: Mapping[str, str]
    hidden: frozenset[str]
    complete: bool

    def values(self, setting: str) -> tuple[str | None, ...]:
        """Every value that a setting may have, None for one that is not shown. .NET reads names of
        settings without case, so which of two spellings counts is not known."""
        name = setting.lower()
        shown = [value for key, value in self.settings.items() if key.lower() == name]
        return (*shown, *(None for key in self.hidden if key.lower() == name))


@dataclass(frozen=True)
class GatewayView:
    """The objects of one gateway. `settings` are those that can be read; the names of those that
    come from Secrets are in `hidden`, and `complete` says whether there can be no others.
    """

    facts: Facts
    deployment: Mapping[str, Any]
    container: Mapping[str, Any]
    services: tuple[Mapping[str, Any], ...]
    budgets: tuple[Mapping[str, Any], ...]
    autoscaler: Mapping[str, Any] | None
    settings: Mapping[str, str]
    hidden: frozenset[str]
    complete: bool
    holders: tuple[Holder, ...] = ()

    @property
    def namespace(self) -> str:
        """Empty where the objects leave it to kubectl."""
        return text(at(self.deployment, "metadata", "namespace"))

    @property
    def pod(self) -> Mapping[str, Any]:
        """The pods' spec."""
        return mapping(at(self.deployment, "spec", "template", "spec"))

    @property
    def least_pods(self) -> int:
        """How many pods there are at least; Kubernetes' default is one, for both who count."""
        counted = (
            at(self.deployment, "spec", "replicas")
            if self.autoscaler is None
            else self.autoscaler.get("minReplicas")
        )
        number = whole(counted)
        return 1 if number is None else number

    @property
    def several(self) -> bool:
        """Whether there are, or may come to be, several pods."""
        return max(self.least_pods, whole(at(self.autoscaler, "maxReplicas")) or 0) > 1

    @property
    def rolling(self) -> Mapping[str, Any]:
        """maxSurge and maxUnavailable, where they are set."""
        return mapping(at(self.deployment, "spec", "strategy", "rollingUpdate"))

    @property
    def recreates(self) -> bool:
        """Whether every pod is stopped before a new one starts."""
        return text(at(self.deployment, "spec", "strategy", "type")) == "Recreate"

    @property
    def stopped_at_once(self) -> int:
        """How many pods a rollout may stop before new ones are ready."""
        least = self.least_pods
        if self.recreates:
            return least
        default = pods(_DEFAULT_SHARE, least, up=False) or 0
        down = pods(self.rolling.get("maxUnavailable"), least, up=False)
        surge = pods(self.rolling.get("maxSurge", _DEFAULT_SHARE), least, up=True)
        down = default if down is None else down
        # Kubernetes' ResolveFenceposts: were both 0 after rounding, nothing could be replaced.
        return 1 if down == 0 and surge == 0 else down

    @property
    def tag(self) -> str:
        """The image's tag; a digest where it is pinned by one."""
        return tag_of(_sound(self.deployment))

    @property
    def digest(self) -> str:
        """What pins the image; empty where nothing does."""
        return image_name(text(self.container.get("image"))).digest

    @property
    def version(self) -> Version | None:
        """The version that runs, where the tag names one."""
        return version_of(self.tag)

    @property
    def support(self) -> Support | None:
        """What Microsoft promises for the tag; None for an image that a digest pins whose tag, or the
        lack of one, says nothing of its version."""
        found = support(self.tag, self.facts.tags)
        unsaid = self.version is None and found.state in ("rolling", "unknown")
        return None if self.digest and unsaid else found

    def older_than(self, *version: int) -> bool:
        """Whether the image is known to be older."""
        return self.version is not None and self.version < version

    @property
    def auth(self) -> str:
        """How it signs in, in lower case: a name of Microsoft's, else empty."""
        said = (self.facts.auth or self.settings.get(AUTH, "")).lower()
        return said if said in ("azureadapp", "workloadidentity") else ""

    @property
    def uses_token(self) -> bool:
        """Whether it holds a gateway token rather than signing in to Entra ID."""
        return self.facts.mints or not self.auth

    def lacks(self, setting: str) -> bool:
        """Whether a setting is certainly absent."""
        return self.complete and not self.settings.get(setting) and setting not in self.hidden

    def is_on(self, setting: str) -> bool:
        """Whether a setting is true."""
        return self.settings.get(setting, "").strip().lower() == "true"

    def requested(self, resource: str) -> Any:
        """What is requested; Kubernetes takes the limit where there is no request."""
        resources = self.container.get("resources")
        asked = at(resources, "requests", resource)
        return at(resources, "limits", resource) if asked is None else asked

    def less_requested(self, resource: str, than: Fraction) -> bool:
        """Whether a request is known to be less."""
        asked = amount(self.requested(resource))
        return asked is not None and asked < than

    @property
    def memory_limit(self) -> Fraction | None:
        """In bytes."""
        return amount(at(self.container, "resources", "limits", "memory"))

    @property
    def security(self) -> Mapping[str, Any]:
        """The container's security context over that of its pod, as Kubernetes merges them."""
        inherited = mapping(self.pod.get("securityContext"))
        own = mapping(self.container.get("securityContext"))
        return {**inherited, **own}

    @property
    def has_backup(self) -> bool:
        """Whether a volume that outlives its pod is mounted where the gateway keeps its backup."""
        names = {
            mount.get("name") if isinstance(mount.get("name"), str) else None
            for mount in mappings(self.container.get("volumeMounts"))
            if text(mount.get("mountPath")).rstrip("/") == "/apim/config"
        }
        return any(
            volume.get("name") in names
            for volume in mappings(self.pod.get("volumes"))
            if isinstance(volume.get("name"), str) and "emptyDir" not in volume
        )

    @property
    def live_services(self) -> tuple[Mapping[str, Any], ...]:
        """The Services by which callers outside the cluster come in."""
        return tuple(s for s in self.services if s.get("type") in ("LoadBalancer", "NodePort"))

    @property
    def headless_services(self) -> tuple[Mapping[str, Any], ...]:
        """The Services whose name stands for every pod's address."""
        return tuple(s for s in self.services if s.get("clusterIP") == "None")


def view_of(manifests: Sequence[Manifest], facts: Facts) -> GatewayView | None:
    """The first gateway of `manifests`, which may hold other objects too; None where there is none.

    What belongs to it is told by selectors and names, within its namespace.
    """
    objects = mappings(list(manifests))
    deployments = [item for item in objects if item.get("kind") == "Deployment"]
    gateways = [item for item in deployments if is_gateway(_sound(item))]
    if not deployments:
        return None
    deployment = (gateways or deployments)[0]
    beside = [item for item in objects if _place(item) == _place(deployment)]
    container = container_of(_sound(deployment))
    config_maps = {
        text(at(item, "metadata", "name")): {
            k: text(v) for k, v in mapping(item.get("data")).items()
        }
        for item in beside
        if item.get("kind") == "ConfigMap"
    }
    # Of a Secret only which settings it has counts.
    secrets: dict[str, dict[str, str | None]] = {
        text(at(item, "metadata", "name")): dict.fromkeys(mapping(item.get("data")))
        for item in beside
        if item.get("kind") == "Secret"
    }
    given = effective_settings(container, config_maps, secrets)
    scalers = _specs(beside, "HorizontalPodAutoscaler")
    name = at(deployment, "metadata", "name")
    return GatewayView(
        facts=facts,
        deployment=deployment,
        container=container,
        services=tuple(
            spec
            for spec in _specs(beside, "Service")
            if spec.get("selector") and _selects(spec.get("selector"), deployment)
        ),
        budgets=tuple(
            spec
            for spec in _specs(beside, "PodDisruptionBudget")
            if _selects(at(spec, "selector", "matchLabels") or {}, deployment)
        ),
        autoscaler=next(
            (s for s in scalers if mapping(s.get("scaleTargetRef")).get("name") == name), None
        ),
        settings=given.shown,
        hidden=given.hidden,
        complete=not given.unread,
        holders=tuple(
            _holder(each, config_maps, secrets) for each in _holding(deployment, container)
        ),
    )


def _holding(
    deployment: Mapping[str, Any], container: Mapping[str, Any]
) -> Iterator[Mapping[str, Any]]:
    """The gateway's container, and every other that is given what it signs in with."""
    yield container
    for kind in ("initContainers", "containers"):
        for each in mappings(at(deployment, "spec", "template", "spec", kind)):
            names = {text(v.get("name")).lower() for v in mappings(each.get("env"))}
            holds = any(name.startswith(AUTH) for name in names)
            if holds and each.get("name") != container.get("name"):
                yield each


def _holder(
    container: Mapping[str, Any],
    config_maps: Mapping[str, Mapping[str, Any]],
    secrets: Mapping[str, Mapping[str, str | None]],
) -> Holder:
    given = effective_settings(container, config_maps, secrets)
    return Holder(text(container.get("image")), given.shown, given.hidden, not given.unread)


def _place(item: Mapping[str, Any]) -> str:
    return text(at(item, "metadata", "namespace"))


def _specs(objects: Sequence[Mapping[str, Any]], kind: str) -> list[Mapping[str, Any]]:
    return [mapping(item.get("spec")) for item in objects if item.get("kind") == kind]


def _selects(selector: Any, deployment: Mapping[str, Any]) -> bool:
    if not isinstance(selector, Mapping):
        return False
    labels = mapping(at(deployment, "spec", "template", "metadata", "labels"))
    return all(labels.get(key) == value for key, value in selector.items())


def _sound(deployment: Mapping[str, Any]) -> Manifest:
    """The part that recognises a gateway's container, of the types that the API promises."""
    containers = mappings(at(deployment, "spec", "template", "spec", "containers"))
    return {
        "metadata": {"annotations": dict(mapping(at(deployment, "metadata", "annotations")))},
        "spec": {
            "template": {
                "spec": {
                    "containers": [
                        {**each, "env": list(mappings(each.get("env")))} for each in containers
                    ]
                }
            }
        },
    }
