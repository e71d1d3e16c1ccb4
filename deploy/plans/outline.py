"""A gateway of others as a spec, as far as its live objects tell: to say what a change of it is. Pure.

Nothing is deployed from it: what a spec cannot say is left out, where adopting would refuse.
"""

from collections.abc import Mapping
from typing import Any

from deploy.errors import InvalidInput
from deploy.gateway import GatewayRef
from deploy.kube.objects import Manifest
from deploy.observed.effective import EffectiveSettings
from deploy.observed.inventory import apim_gateway_of, container_of, settings_maps
from deploy.plans.settings_fields import with_settings
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.overlay import merged
from deploy.specs.spec import spec_from_mapping

_ENDPOINT = "config.service.endpoint"
UNKNOWN_ENDPOINT = "unknown.configuration.azure-api.net"
"""The placeholder for the endpoint where the pods' own cannot be read."""


def outline_of(
    ref: GatewayRef, workload: Manifest, given: EffectiveSettings, *, gateway: str
) -> GatewaySpec:
    """The spec of a live gateway, its own names of container and ConfigMap kept. `gateway` is its
    resource in API Management, empty where that is not known."""
    container = container_of(workload)
    maps = settings_maps(workload)
    head, _, last = str(container.get("image", "")).partition("@")[0].rpartition("/")
    name, _, tag = last.partition(":")
    mapping: dict[str, Any] = {
        "gateway": gateway or apim_gateway_of(workload) or ref.name,
        "apim": {"instance": "unknown", "endpoint": UNKNOWN_ENDPOINT},
        "cluster": ref.cluster,
        "namespace": ref.namespace,
        "name": ref.name,
        "image": {"tag": tag or "latest"},
        "service": {"type": "ClusterIP"},
        "objects": {"container": container.get("name", ref.name)},
    }
    resources = container.get("resources") or {}
    requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
    pieces: list[dict[str, Any]] = [
        {"image": {"repository": f"{head}/{name}"}},
        {"apim": {"endpoint": given.value(_ENDPOINT)}},
        {"replicas": workload["spec"].get("replicas")},
        *({"resources": {key: value}} for key, value in requests.items()),
        *({"resources": {"limits": {key: value}}} for key, value in limits.items()),
        *([{"objects": {"configMap": maps[0]}}] if maps else []),
    ]
    return spec_from_mapping(with_settings(_with(mapping, pieces), given))


def _with(mapping: Mapping[str, Any], pieces: list[dict[str, Any]]) -> dict[str, Any]:
    """The mapping with the pieces that a spec takes."""
    found = dict(mapping)
    for piece in pieces:
        candidate = merged(found, piece)
        try:
            spec_from_mapping(candidate)
        except InvalidInput:
            continue
        found = candidate
    return found
