"""Which gateway resource in Azure a running gateway is, as far as anything of it tells.

The token's own text names the gateway but not its service; the spec this bot wrote names both; the
pods' settings may name either. Where they differ each counts, for one too many costs an approval
and one too few gives a token away.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from deploy.azure import ApimInstance, host_of, known_hosts
from deploy.errors import GatewayBotError
from deploy.gateway import GatewayResource
from deploy.health.cache import CachedGateway
from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.observed.given import given_among
from deploy.observed.inventory import environment, settings_maps, spec_field
from deploy.observed.sign_in import sign_in
from deploy.observed.workloads import workload_kind
from deploy.plans.adoption import service_named_by
from deploy.specs.settings import AUTH, ENDPOINT
from deploy.tokens.token import Token

_NAME = "gateway.name"
_LONGEST = 80
"""Of a gateway's name (azure-mgmt-apimanagement 5.0.0)."""


@dataclass(frozen=True)
class PodSettings:
    """The settings of a gateway's pods that say which one they are, the token's text left out."""

    gateways: frozenset[str] = frozenset()
    endpoints: frozenset[str] = frozenset()
    signs_in: bool = False


def resources_named(
    gateway: CachedGateway, settings: PodSettings, instances: Mapping[str, ApimInstance]
) -> frozenset[GatewayResource]:
    """Every resource that it may be; empty where nothing names it. Pure.

    The service is empty where it is not known, and then it may be any.
    """
    annotated = instances.get(spec_field(gateway.deployment, "apim", "instance"))
    services = {annotated.arm_id} if annotated else set()
    for endpoint in settings.endpoints:
        services |= _services_at(endpoint, instances)
    return frozenset(
        GatewayResource(service, name)
        for name in _names(gateway) | settings.gateways
        for service in services or {""}
    )


def names_itself(gateway: CachedGateway, instances: Mapping[str, ApimInstance]) -> bool:
    """Whether the Deployment and its token tell the resource, so that nothing else need be read."""
    return spec_field(gateway.deployment, "apim", "instance") in instances and bool(_names(gateway))


def may_be(named: GatewayResource, resource: GatewayResource) -> bool:
    """Whether both are the same resource, as far as the service is known."""
    unknown = not named.service or not resource.service
    return named.gateway == resource.gateway and (unknown or named.service == resource.service)


def read_settings(cluster: Cluster, workload: Manifest) -> PodSettings | None:
    """Read the settings of a gateway's pods, whatever they run in; None where that cannot be read.

    A token that stands in plain text is read for its gateway's name and let go of at once.
    """
    namespace, name = workload["metadata"]["namespace"], workload["metadata"]["name"]
    try:
        deployment = cluster.get(workload_kind(workload), namespace, name)
        if deployment is None or not deployment["spec"].get("template"):
            return None
        maps = [cluster.get("ConfigMap", namespace, each) for each in settings_maps(deployment)]
    except GatewayBotError:
        return None
    return settings_of(deployment, [each for each in maps if each is not None])


def settings_of(deployment: Manifest, config_maps: Iterable[Manifest]) -> PodSettings:
    """What a whole Deployment and its ConfigMaps tell. Pure."""
    maps = tuple(config_maps)
    told: list[Mapping[str, Any]] = [environment(deployment)]
    told += [each.get("data") or {} for each in maps]
    pairs = [(str(k).lower(), str(v)) for each in told for k, v in each.items() if v]
    auth = [value for name, value in pairs if name.startswith(AUTH)]
    tokens = [token for value in auth if (token := Token.parse(value)) is not None]
    names = {value for name, value in pairs if name == _NAME} | {t.gateway for t in tokens}
    return PodSettings(
        frozenset(name for name in names if len(name) <= _LONGEST),
        frozenset(value for name, value in pairs if name == ENDPOINT),
        sign_in(deployment, given_among(deployment, maps)) != "token",
    )


def _names(gateway: CachedGateway) -> frozenset[str]:
    facts = gateway.token.facts if gateway.token else None
    held = environment(gateway.deployment)
    names = [
        facts.gateway if facts else None,
        spec_field(gateway.deployment, "gateway"),
        *(value for name, value in held.items() if name.lower() == _NAME),
    ]
    return frozenset(name for name in names if name and len(name) <= _LONGEST)


def _services_at(endpoint: str, instances: Mapping[str, ApimInstance]) -> set[str]:
    service, host = service_named_by(endpoint).lower(), host_of(endpoint)
    return {
        instance.arm_id
        for name, instance in instances.items()
        if instance.service.lower() == service or host in known_hosts(instances, name)
    }
