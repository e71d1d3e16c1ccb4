"""Regenerating a gateway's key: which tokens die of it, whether a pod still holds one, and doing it.

A key belongs to the gateway resource in API Management, so every deployment of it on every cluster
is looked at, whoever installed it. What cannot be looked at, or told, counts as holding the key.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from deploy.actions.action import LOOK, Action, Outcome, State
from deploy.actions.executor import Outgrown, Run
from deploy.annotations import MANAGER
from deploy.azure import ApimInstance, resource_of
from deploy.errors import Conflict, GatewayBotError, NotFound, Refused, Unavailable
from deploy.gateway import GatewayRef
from deploy.governance.custody import Custody
from deploy.health.cache import CachedGateway, ClusterCache
from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.observed import inventory, sign_in
from deploy.observed.given import read_given
from deploy.observed.installed import installed
from deploy.observed.pods import is_over, named_token_secret
from deploy.observed.selecting import chosen_by
from deploy.observed.token_facts import read_one, secret_facts
from deploy.observed.token_only import copy_name, kept_in, marked_by, stable_name
from deploy.observed.workloads import has_pods_alone, is_managed, workload_kind
from deploy.plans.binding import build_plan
from deploy.plans.plan import FieldChange, ObjectChange, Plan
from deploy.plans.requests import KeyRequest
from deploy.retry import PATIENCE
from deploy.rollouts.collecting import token_secrets
from deploy.rollouts.live_state import written_by
from deploy.rollouts.verdicts import superseded
from deploy.rollouts.work import Work
from deploy.rules.finding import Finding
from deploy.specs.gateway_spec import GatewaySpec
from deploy.times import epoch, minute
from deploy.tokens.token import KeyType, SecretFacts, Token, iso
from deploy.tokens.token_plan import TokenPlan

_RULE = "regenerate-key"
ASK = "regenerate"
"""The step of a run that is about to ask Azure: without it Azure was not asked."""


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
class Holding:
    """Every token of one gateway resource that there is on the clusters."""

    pods: tuple[TokenHolder, ...]
    spare: tuple[TokenHolder, ...]

    @property
    def refs(self) -> tuple[GatewayRef, ...]:
        """Where the gateway is deployed."""
        return tuple(sorted({held.ref for held in (*self.pods, *self.spare)}))


def check_unheld(gateway: str, key: KeyType, holding: Holding) -> None:
    """Conflict where a running pod holds a token of the key, or may hold one. Pure."""
    held = [h for h in holding.pods if h.facts is not None and h.facts.key == key]
    if held:
        raise Conflict(
            f"{_counted(held)} still {'holds' if len(held) == 1 else 'hold'} a token of the {key} "
            f"key of {gateway}: {_named(held)}.",
            meaning="They would lose Azure at once. The key was not regenerated.",
            remedy=_remedy(held, "; rotating takes the other key"),
        )
    unknown = [h for h in holding.pods if h.facts is None or h.facts.key is None]
    if unknown:
        why = next((f" ({h.why_unknown})" for h in unknown if h.why_unknown), "")
        raise Conflict(
            f"It is not known which key made the token of {_counted(unknown)}{why}: "
            f"{_named(unknown)}.",
            meaning=f"It may be the {key} key. The key was not regenerated.",
            remedy=_remedy(unknown, ", or adopt what this bot did not deploy"),
        )


def _remedy(held: Sequence[TokenHolder], more: str) -> str:
    """What has to be done first. What this bot cannot change is not rotated by it."""
    ours, others = [h for h in held if h.managed], [h for h in held if not h.managed]
    parts = [f"Rotate {_refs(ours)} first{more}."] if ours else []
    if others:
        parts.append(
            f"This bot cannot change {_refs(others)}: give it a token of the other key where it is "
            "defined, or remove it."
        )
    return " ".join(parts)


def regeneration_plan(
    cluster: Cluster, spec: GatewaySpec, key: KeyType, token: TokenPlan, holding: Holding
) -> Plan:
    """The key, and each Secret that could no longer be gone back to."""
    dying = [h for h in holding.spare if h.facts is not None and h.facts.key == key]
    changes = [
        ObjectChange("Key", f"{key} of {spec.apim.instance}/{spec.apim.gateway}", "update"),
        *(
            ObjectChange(
                "Secret",
                f"{held.ref}: {held.secret}",
                "update",
                (FieldChange("token", _life(held.facts), "dead"),),
            )
            for held in dying
        ),
    ]
    looked_at = f"{len(holding.pods)} pods on {', '.join(map(str, holding.refs))}"
    notes = [
        Finding(
            _RULE,
            "warning",
            f"Every token made with the {key} key dies at once, wherever it is.",
            "A token that leaked is of no use afterwards.",
            f"None is in use where this bot looks: {looked_at}.",
        )
    ]
    return build_plan(
        spec, cluster_uid=cluster.uid(), observed=(), token=token, deletions=changes, findings=notes
    )


class Survey:
    """Finds every token of a gateway resource."""

    def __init__(self, caches: Mapping[str, ClusterCache]) -> None:
        self._caches = caches

    def holding(self, spec: GatewaySpec) -> Holding:
        """Look now. Unavailable where a cluster cannot be looked at, or anything on it that might
        hold one."""
        pods: list[TokenHolder] = []
        spare: list[TokenHolder] = []
        for name, cache in self._caches.items():
            snapshot = cache.read()
            if snapshot.stale or snapshot.pods_unread:
                raise Unavailable(
                    f"Cluster “{name}” cannot be looked at: "
                    f"{snapshot.stale or snapshot.pods_unread}",
                    meaning="Pods there may hold a token of this key.",
                )
            if snapshot.unseen:
                raise Unavailable(
                    f"Not everything on cluster “{name}” can be looked at: "
                    + " ".join(snapshot.unseen),
                    meaning="What cannot be read may hold a token of this key. The key was not "
                    "regenerated.",
                    remedy="Bind the ClusterRole of docs/install.md to the bot, then ask again.",
                )
            for gateway in snapshot.gateways:
                if not _may_be(gateway, spec):
                    continue
                try:
                    pods += _held_by_pods(cache.cluster, gateway)
                    spare += _held_by_secrets(cache.cluster, gateway)
                except GatewayBotError as error:
                    raise _unreadable(gateway.ref, error) from error
        used = {(held.ref.cluster, held.ref.namespace, held.secret) for held in pods}
        return Holding(
            tuple(pods),
            tuple(h for h in spare if (h.ref.cluster, h.ref.namespace, h.secret) not in used),
        )


def _unreadable(ref: GatewayRef, error: GatewayBotError) -> Unavailable:
    return Unavailable(
        f"Which tokens {ref} holds cannot be read: {error.happened}",
        meaning="One may be of this key. The key was not regenerated.",
        remedy=error.remedy,
    )


@dataclass
class _Asked:
    """Whether Azure was asked, in this run or an earlier one, and its answer not seen."""

    unanswered: bool


class KeySource(Protocol):
    """Where keys are regenerated: ARM."""

    def regenerate_key(self, instance: ApimInstance, gateway: str, key: KeyType) -> None:
        """A new key; every token made with the one before is dead."""


class Regenerator:
    """The executor of actions of kind `regenerate-key`."""

    def __init__(
        self,
        survey: Survey,
        clusters: Mapping[str, Cluster],
        keys: KeySource,
        instances: Mapping[str, ApimInstance],
        custody: Custody,
        authorize: Callable[[Action], object],
        *,
        allowed: bool,
        patience: float = PATIENCE,
    ) -> None:
        """`authorize` raises Outgrown where what was decided does not suffice; `allowed` says whether
        the settings still allow it."""
        self._survey = survey
        self._clusters = clusters
        self._keys = keys
        self._instances = instances
        self._custody = custody
        self._authorize = authorize
        self._allowed = allowed
        self._patience = patience

    def execute(self, action: Action, run: Run) -> Outcome:
        """Do it, if still no pod holds a token of the key.

        A run that follows one which may have done it does it again only where the plan holds
        still: then the clusters have no token that was made with the key in between, and the
        second time kills none that the first did not.
        """
        work = Work(action, run, self._patience, "Ask again")
        asked = _Asked(any(step.name == ASK for step in action.steps))
        try:
            return self._execute(work, asked)
        except Outgrown:
            if not asked.unanswered:
                raise
            return _half_known("More people have to approve this by now than did.")
        except GatewayBotError as error:
            if asked.unanswered:
                return _half_known(error.happened, error.remedy)
            return work.failure(error)

    def _execute(self, work: Work, asked: "_Asked") -> Outcome:
        action, run = work.action, work.run
        spec, key = action.plan.spec, _key_of(action)
        if not self._allowed:
            raise Refused("The settings no longer allow keys to be regenerated.")
        instance = self._instances.get(spec.apim.instance)
        if instance is None or spec.ref.cluster not in self._clusters:
            raise NotFound(f"{spec.ref} is no longer in the bot's settings.")
        run.step(LOOK, "Looking whether a pod holds a token of this key")
        plan = work.patiently(lambda: self.plan(spec.ref, key))
        if plan.digest != action.digest:
            if asked.unanswered:
                return _half_known(f"The tokens of the {key} key are others than were shown.")
            return superseded(plan)
        run.step(ASK, f"Regenerating the {key} key")
        work.patiently(lambda: self._held(work, instance, spec.apim.gateway, key, asked))
        return Outcome(
            State.SUCCEEDED,
            f"The {key} key of {spec.apim.gateway} is regenerated",
            "Every token made with it before is dead; no pod that this bot sees held one.",
        )

    def _held(
        self, work: Work, instance: ApimInstance, gateway: str, key: KeyType, asked: "_Asked"
    ) -> None:
        """Ask Azure while nobody else mints a token of that gateway."""
        with self._custody.held(resource_of(instance, gateway), work.action.id) as keep:
            self._authorize(work.action)
            keep()
            self._regenerate(work.run, instance, gateway, key, asked)

    def _regenerate(
        self, run: Run, instance: ApimInstance, gateway: str, key: KeyType, asked: "_Asked"
    ) -> None:
        run.guard()
        try:
            self._keys.regenerate_key(instance, gateway, key)
        except GatewayBotError as error:
            asked.unanswered = asked.unanswered or not error.untouched
            raise

    def plan(self, ref: GatewayRef, key: KeyType) -> Plan:
        """What regenerating would kill. Conflict where a pod holds, or may hold, such a token."""
        return plan_regeneration(self._survey, self._clusters[ref.cluster], ref, key)[0]


def plan_regeneration(
    survey: Survey, cluster: Cluster, ref: GatewayRef, key: KeyType
) -> tuple[Plan, Holding]:
    """The plan and all it is made from. Conflict as `check_unheld`, or where `ref` is not ours."""
    spec = installed(cluster, ref).spec
    if spec.auth.kind != "token":
        raise Conflict(f"{ref} signs in to Entra ID, so it does not use its keys.")
    holding = survey.holding(spec)
    check_unheld(spec.apim.gateway, key, holding)
    own = next((h for h in holding.pods if h.ref == ref and h.facts is not None), None)
    facts = own.facts if own else None
    expires_at = iso(facts.expires_at) if facts and facts.expires_at else None
    token = TokenPlan(own.secret if own else "", False, expires_at, "")
    return regeneration_plan(cluster, spec, key, token, holding), holding


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
        why = f"Secret {used[0]} was written after it began"
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
    return [
        TokenHolder(gateway.ref, "", facts.name, facts) for facts in token_secrets(cluster, spec)
    ]


def _kept_beside(cluster: Cluster, ref: GatewayRef) -> list[TokenHolder]:
    """The tokens that this bot keeps for a gateway of others and that no pod may read yet, or any
    longer."""
    names = (stable_name(ref.name), copy_name(ref.name))
    try:
        found = [cluster.get("Secret", ref.namespace, name) for name in names]
    except Refused:
        # It keeps none where it may read none. A pod whose token is in a Secret is unknown already.
        return []
    kept = [secret for secret in found if secret is not None and kept_in(secret) is not None]
    facts = map(secret_facts, kept)
    return [TokenHolder(ref, "", each.name, each) for each in facts]


def _key_of(action: Action) -> KeyType:
    request = action.request
    if not isinstance(request, KeyRequest):
        raise TypeError(f"{action.id} is no regeneration of a key")
    return request.key


def _half_known(happened: str, remedy: str = "") -> Outcome:
    return Outcome(
        State.UNKNOWN,
        happened,
        "Azure may have regenerated the key: a request was begun, and its answer was not seen.",
        remedy or "Ask again: the plan shows what it would kill now.",
    )


def _life(facts: SecretFacts | None) -> str:
    if facts is None or facts.expires_at is None:
        return "good"
    return f"good until {minute(facts.expires_at)}"


def _counted(held: Sequence[TokenHolder]) -> str:
    what = "pod" if all(h.pod for h in held) else "gateway"
    return f"1 {what}" if len(held) == 1 else f"{len(held)} {what}s"


def _named(held: Iterable[TokenHolder]) -> str:
    names = [f"{h.ref.cluster}/{h.ref.namespace}/{h.pod or h.ref.name}" for h in held]
    more = len(names) - 10
    return ", ".join(names[:10]) + (f" and {more} more" if more > 0 else "")


def _refs(held: Iterable[TokenHolder]) -> str:
    return ", ".join(dict.fromkeys(str(h.ref) for h in held))
