"""Finds every token of a gateway resource that there is on the clusters, and what may hold one.

A key belongs to the gateway resource in API Management, so every deployment of it on every cluster
is looked at, whoever installed it. What cannot be looked at, or told, counts as holding a token.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from deploy.annotations import MANAGER
from deploy.errors import GatewayBotError, Refused, Unavailable
from deploy.gateway import GatewayRef
from deploy.health.cache import CachedGateway, ClusterCache
from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.observed import inventory, sign_in
from deploy.observed.given import read_given
from deploy.observed.installed import installed
from deploy.observed.pods import is_over, named_token_secret
from deploy.observed.selecting import chosen_by, labelled
from deploy.observed.token_facts import read_one, secret_facts
from deploy.observed.token_only import copy_name, kept_in, marked_by, stable_name
from deploy.observed.workloads import has_pods_alone, is_managed, workload_kind
from deploy.rendering.token_only import own_labels
from deploy.rollouts.collecting import token_secrets
from deploy.rollouts.live_state import written_by
from deploy.specs.gateway_spec import GatewaySpec
from deploy.times import epoch
from deploy.tokens.token import SecretFacts, Token


@dataclass(frozen=True)
class TokenHolder:
    """A pod, or where `pod` is empty a Secret alone or a workload without pods, and what is known of
    the token there. `managed` says whether this bot can change what it belongs to."""

    ref: GatewayRef
    pod: str
    secret: str
    facts: SecretFacts | None
    why_unknown: str = ""
    managed: bool = True


@dataclass(frozen=True)
class Unread:
    """A gateway of which the bot may not read the Secrets that may keep a token beside those that its
    pods hold; `why` and `remedy` are sentences."""

    ref: GatewayRef
    why: str
    remedy: str


@dataclass(frozen=True)
class Holding:
    """Every token of one gateway resource that there is on the clusters, and where more may be.
    `left_out` says, in sentences, where nothing is looked at."""

    pods: tuple[TokenHolder, ...]
    spare: tuple[TokenHolder, ...]
    unread: tuple[Unread, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def refs(self) -> tuple[GatewayRef, ...]:
        """Where the gateway is deployed."""
        return tuple(sorted({held.ref for held in (*self.pods, *self.spare)}))


class Survey:
    """Finds every token of a gateway resource."""

    def __init__(self, caches: Mapping[str, ClusterCache]) -> None:
        self._caches = caches

    def holding(self, spec: GatewaySpec) -> Holding:
        """Look now. Unavailable where a cluster cannot be looked at, or anything on it that might
        hold one."""
        pods: list[TokenHolder] = []
        spare: list[TokenHolder] = []
        unread: list[Unread] = []
        left_out: list[str] = []
        for name, cache in self._caches.items():
            snapshot = cache.read()
            if snapshot.stale or snapshot.pods_unread:
                raise Unavailable(
                    f"Cluster “{name}” cannot be read: {snapshot.stale or snapshot.pods_unread}",
                    meaning="Pods there may use a token of this key.",
                )
            if snapshot.unseen:
                raise Unavailable(
                    f"Not everything on cluster “{name}” can be read: " + " ".join(snapshot.unseen),
                    meaning=(
                        "The unread part may use a token of this key. The key was not regenerated."
                    ),
                    remedy=f"{snapshot.places.rights.rstrip('.')}, then ask again.",
                )
            left_out += filter(None, [snapshot.places.left_out])
            for gateway in snapshot.gateways:
                if not _may_be(gateway, spec):
                    continue
                try:
                    pods += _held_by_pods(cache.cluster, gateway)
                    try:
                        spare += _held_by_secrets(cache.cluster, gateway)
                    except Refused as error:
                        # The others are looked at all the same, so that all are said at once.
                        unread.append(Unread(gateway.ref, error.happened, error.remedy))
                except GatewayBotError as error:
                    raise _unreadable(gateway.ref, error) from error
        used = {(held.ref.cluster, held.ref.namespace, held.secret) for held in pods}
        return Holding(
            tuple(pods),
            tuple(h for h in spare if (h.ref.cluster, h.ref.namespace, h.secret) not in used),
            tuple(unread),
            tuple(left_out),
        )


def _unreadable(ref: GatewayRef, error: GatewayBotError) -> Unavailable:
    return Unavailable(
        f"The tokens of {ref} cannot be read: {error.happened}",
        meaning="Some token may have been made with this key. The key was not regenerated.",
        remedy=error.remedy,
    )


def _may_be(gateway: CachedGateway, spec: GatewaySpec) -> bool:
    """Whether it is that gateway resource, as far as anything tells otherwise."""
    facts = gateway.token.facts if gateway.token else None
    told = (facts.gateway if facts else None) or _named_by(gateway.deployment)
    instance = inventory.spec_field(gateway.deployment, "apim", "instance")
    other_instance = bool(instance) and instance != spec.apim.instance
    return not other_instance and (not told or told.lower() == spec.apim.gateway.lower())


def _named_by(deployment: Manifest) -> str:
    inline = Token.parse(inventory.environment(deployment).get("config.service.auth", ""))
    return inline.gateway if inline else inventory.apim_gateway_of(deployment)


def _held_by_pods(cluster: Cluster, gateway: CachedGateway) -> list[TokenHolder]:
    deployment = gateway.deployment
    living = [pod for pod in _pods_of(cluster, gateway) if not is_over(pod)]
    if not living and inventory.managed_by(deployment) != MANAGER:
        living = _next_pod(cluster, deployment)
    managed = is_managed(deployment)
    found = []
    for pod in living:
        found += _held_by_pod(cluster, gateway.ref, pod, managed)
    return found


def _held_by_pod(
    cluster: Cluster, ref: GatewayRef, pod: Manifest, managed: bool
) -> list[TokenHolder]:
    """What a pod itself says: its Deployment may have moved since it was made."""
    name, used = pod["metadata"]["name"], named_token_secret(pod["spec"])
    if used is None:
        # Then it depends on what its ConfigMaps and whole Secrets hold.
        try:
            given = read_given(cluster, ref.namespace, pod["spec"], secrets=True)
        except GatewayBotError as error:
            return [TokenHolder(ref, name, "", None, error.happened.rstrip("."), managed)]
        if sign_in.sign_in({"metadata": {}}, given) != "token":
            return []
        origin = sign_in.token_origin(given)
        if origin is None or origin.kind != "Secret":
            return [TokenHolder(ref, name, "", None, "it is in no Secret", managed)]
        used = origin.name, origin.key
    told = read_one(cluster, (ref.namespace, *used))
    began = epoch(pod["metadata"].get("creationTimestamp"))
    changed_at = told.changed_at
    older = began is not None and changed_at is not None and began <= changed_at
    if older and not _was_given(cluster, ref, pod, used[0]):
        # It has what was in the Secret when it began, perhaps a token of the other key.
        why = f"Secret {used[0]} was written after the pod started"
        return [TokenHolder(ref, name, used[0], None, why, managed)]
    return [TokenHolder(ref, name, used[0], told.facts, told.error, managed)]


def _was_given(cluster: Cluster, ref: GatewayRef, pod: Manifest, secret: str) -> bool:
    """Whether the action that wrote the Secret last has started the pod."""
    live = cluster.get("Secret", ref.namespace, secret)
    return live is not None and marked_by(pod) == written_by(live) != ""


def _next_pod(cluster: Cluster, deployment: Manifest) -> list[Manifest]:
    """What a workload without pods makes next: it gets the token that its template names."""
    if has_pods_alone(deployment):
        return []
    metadata = deployment["metadata"]
    live = cluster.get(workload_kind(deployment), metadata["namespace"], metadata["name"])
    if live is None:
        return []
    template = live["spec"].get("template") or deployment["spec"]["template"]
    return [
        {
            "metadata": {"name": "", "namespace": metadata["namespace"]},
            "spec": template.get("spec") or {},
        }
    ]


def _pods_of(cluster: Cluster, gateway: CachedGateway) -> list[Manifest]:
    """Its pods as they are now: those that its selector chooses, and those known to be its own."""
    namespace = gateway.ref.namespace
    chosen = chosen_by(gateway.deployment)
    found = cluster.list("Pod", namespace, label_selector=chosen) if chosen else []
    names = {pod["metadata"]["name"] for pod in found}
    known = (pod["metadata"]["name"] for pod in gateway.pods)
    others = (cluster.get("Pod", namespace, name) for name in known if name not in names)
    return [*found, *(pod for pod in others if pod is not None)]


def _held_by_secrets(cluster: Cluster, gateway: CachedGateway) -> list[TokenHolder]:
    deployment = gateway.deployment
    if not is_managed(deployment):
        return []
    if inventory.managed_by(deployment) != MANAGER:
        return _kept_beside(cluster, gateway.ref)
    spec = installed(cluster, gateway.ref).spec
    made = [
        TokenHolder(gateway.ref, "", facts.name, facts) for facts in token_secrets(cluster, spec)
    ]
    return [*made, *_kept_beside(cluster, gateway.ref)] if spec.adopted else made


def _kept_beside(cluster: Cluster, ref: GatewayRef) -> list[TokenHolder]:
    """The tokens that this bot keeps for a gateway of others and that no pod may read yet, or any
    longer."""
    try:
        found = cluster.list("Secret", ref.namespace, labelled(own_labels(ref.name)))
    except Refused:
        # The bot's rights may be limited to these (docs/install.md): then it makes no others.
        names = (stable_name(ref.name), copy_name(ref.name))
        found = [s for name in names if (s := cluster.get("Secret", ref.namespace, name))]
    facts = [secret_facts(s) for s in found if (kept := kept_in(s)) and kept.workload == ref.name]
    return [TokenHolder(ref, "", each.name, each) for each in facts]
