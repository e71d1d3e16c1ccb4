"""From a gateway that something else installed to the spec that adopts it, by looking at its cluster."""

import difflib
from collections.abc import Callable, Mapping, Sequence

from deploy.annotations import SPEC_ANNOTATION
from deploy.azure import ApimInstance
from deploy.commands import Command
from deploy.errors import Conflict, GatewayBotError, NotFound
from deploy.gateway import GatewayRef
from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.observed.autoscalers import AUTOSCALER, autoscalers_of
from deploy.observed.effective import EffectiveSettings, effective_settings, sources_of
from deploy.observed.given import Content, content_of, data_of_all
from deploy.observed.installed import deployment_of
from deploy.observed.inventory import apim_gateway_of, container_of
from deploy.observed.sign_in import AUTH_KEY
from deploy.plans.adoption import Adoption, check_sign_in, counted_by, derive, instance_named_by
from deploy.plans.readers import readers_of
from deploy.specs.settings import AUTH
from deploy.tokens.token import Token

_BESIDE = ("Service", "ConfigMap", "PodDisruptionBudget", "PersistentVolumeClaim", AUTOSCALER)
_SHOWN = 8


def adoption_of(
    cluster: Cluster,
    ref: GatewayRef,
    instances: Mapping[str, ApimInstance],
    gateways: Callable[[ApimInstance], Sequence[str]],
    *,
    gateway: str = "",
) -> Adoption:
    """What adopting the gateway would deploy. `gateways` names those of an instance; `gateway` is the
    one that somebody named.

    Conflict for what cannot be adopted, NotFound where instance or gateway is not known; raises
    what reading raises.
    """
    deployment = deployment_of(cluster, ref)
    if SPEC_ANNOTATION in (deployment["metadata"].get("annotations") or {}):
        differs = Command("diff", ref)
        raise Conflict(
            f"{ref} is already managed by this bot.",
            remedy=f"{differs} shows what others have changed in it.",
        ).offering(differs)
    namespace = ref.namespace
    reading = [_listing(cluster, kind, namespace) for kind in _BESIDE]
    services, maps, budgets, claims, scalers = cluster.at_once(reading)
    secrets = _secrets(cluster, deployment)
    container = container_of(deployment)
    given = effective_settings(container, data_of_all(container, maps), secrets)
    # Whoever has no token is asked for nothing else.
    check_sign_in(deployment, given)
    instance = _instance(instances, given, ref)
    resource = _gateway(gateways(instance), gateway, given, deployment, instance)
    adoption = derive(
        deployment, services, maps, budgets, claims, cluster=ref.cluster, instance=instance,
        gateway=resource, secrets=secrets, readers=readers_of(cluster, ref),
    )  # fmt: skip
    return counted_by(adoption, autoscalers_of(ref.name, scalers))


def resource_of(
    cluster: Cluster,
    ref: GatewayRef,
    deployment: Manifest,
    config_maps: Sequence[Manifest],
    instances: Mapping[str, ApimInstance],
    gateways: Callable[[ApimInstance], Sequence[str]],
    *,
    gateway: str = "",
) -> tuple[ApimInstance, str]:
    """Which gateway of which instance runs there. `gateways` names those of an instance; `gateway` is
    the one that somebody named. NotFound where that is not known."""
    container = container_of(deployment)
    secrets = _secrets(cluster, deployment)
    given = effective_settings(container, data_of_all(container, config_maps), secrets)
    instance = _instance(instances, given, ref)
    return instance, _gateway(gateways(instance), gateway, given, deployment, instance)


def _listing(cluster: Cluster, kind: str, namespace: str) -> Callable[[], list[Manifest]]:
    return lambda: cluster.list(kind, namespace)


def _secrets(cluster: Cluster, deployment: Manifest) -> dict[str, Content | None]:
    """What the Secrets that its pods take in show; those that cannot be read are left out."""
    namespace = deployment["metadata"]["namespace"]
    wanted = {o.name for o in sources_of(container_of(deployment)) if o.kind == "Secret"}
    found: dict[str, Content | None] = {}
    for name in sorted(wanted):
        try:
            found[name] = content_of(cluster.get("Secret", namespace, name))
        except GatewayBotError:
            continue
    return found


def _instance(
    known: Mapping[str, ApimInstance], given: EffectiveSettings, ref: GatewayRef
) -> ApimInstance:
    """The API Management instance whose configuration endpoint the pods are given."""
    named = instance_named_by(given)
    for instance in known.values():
        if named and named.lower() in (instance.service.lower(), instance.configuration_endpoint):
            return instance
    raise NotFound(
        f"{ref} belongs to an API Management instance that is not in the settings.",
        meaning=f"Its pods use the endpoint “{named}”."
        if named
        else ("Its pods have no configuration endpoint."),
        remedy="Add the instance under `apim` in the settings.",
    )


def _gateway(
    known: Sequence[str],
    wanted: str,
    given: EffectiveSettings,
    deployment: Manifest,
    instance: ApimInstance,
) -> str:
    """The gateway resource: as asked for, else as its token or environment says, else its name."""
    token = Token.parse(given.value(AUTH)) or Token.parse(given.value(AUTH_KEY))
    told = (
        token.gateway if token else "",
        given.value("gateway.name"),
        apim_gateway_of(deployment),
    )
    candidates = [wanted] if wanted else [*told, str(deployment["metadata"]["name"])]
    for candidate in candidates:
        for name in known:
            if candidate and name.lower() == candidate.lower():
                return name
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    near = difflib.get_close_matches(wanted.lower(), known, n=1) if wanted else []
    raise NotFound(
        f"{instance.name} has no self-hosted gateway “{wanted[:80]}”."
        if wanted
        else f"The bot cannot determine which gateway of {instance.name} this is.",
        meaning=f"The instance has {', '.join(known[:_SHOWN])}{more}."
        if known
        else ("The instance has no self-hosted gateways."),
        remedy=f"Did you mean {near[0]}?" if near else "Name it with `--gateway`.",
    ).did_mean("--gateway", *near)
