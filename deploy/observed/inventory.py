"""Recognising self-hosted gateways among a cluster's Deployments, whoever installed them. Pure.

Three shapes are in the wild: this bot's own, the Azure portal's YAML (with the layouts of 2020 and
today) and the official Helm chart's.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from deploy.annotations import MANAGER, SPEC_ANNOTATION
from deploy.errors import InvalidInput
from deploy.gateway import GatewayRef
from deploy.images.names import image_name
from deploy.kube.objects import Manifest
from deploy.observed.effective import EffectiveSettings
from deploy.specs.annotation import mapping_from_text

_IMAGE = "azure-api-management/gateway"
_ENDPOINT = "config.service.endpoint"
_STATUS_PATH = "/status-0123456789abcdef"
"""What every published manifest probes, and nothing but a gateway serves."""
_PROBES = ("readinessProbe", "livenessProbe", "startupProbe")


def container_of(deployment: Manifest) -> Mapping[str, Any]:
    """The gateway's container; empty where there is none."""
    return gateway_container(_pod_spec(deployment))


def gateway_container(pod_spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """The container with the gateway's image, else with its settings or its probe, else the first:
    others may have been injected before it. Empty where there is none."""
    containers: Sequence[Mapping[str, Any]] = pod_spec.get("containers") or ()
    return next(
        (
            container
            for known in (_has_image, _has_settings, _has_probe)
            for container in containers
            if known(container)
        ),
        containers[0] if containers else {},
    )


def is_gateway(deployment: Manifest) -> bool:
    """Whether the Deployment alone shows that it is a gateway."""
    return SPEC_ANNOTATION in _annotations(deployment) or any(
        _has_image(container) or _has_settings(container) or _has_probe(container)
        for container in _pod_spec(deployment).get("containers") or ()
    )


def settings_maps(deployment: Manifest) -> tuple[str, ...]:
    """The ConfigMaps its pods take their environment from."""
    return tuple(
        source["configMapRef"]["name"]
        for container in _pod_spec(deployment).get("containers") or ()
        for source in container.get("envFrom") or ()
        if source.get("configMapRef")
    )


def has_endpoint(config_map: Manifest) -> bool:
    """Whether a ConfigMap holds a gateway's settings."""
    return _ENDPOINT in (config_map.get("data") or {})


def ref_of(cluster: str, deployment: Manifest) -> GatewayRef:
    """Where it runs."""
    metadata = deployment["metadata"]
    return GatewayRef(cluster, metadata["namespace"], metadata["name"])


def managed_by(deployment: Manifest) -> str:
    """The installer: `gateway-bot`, `Helm`, `portal YAML` or `unknown`."""
    labels = deployment["metadata"].get("labels") or {}
    manager = labels.get("app.kubernetes.io/managed-by", "")
    if manager == MANAGER or SPEC_ANNOTATION in _annotations(deployment):
        return MANAGER
    if manager == "Helm" or "helm.sh/chart" in labels:
        return "Helm"
    name = deployment["metadata"]["name"]
    return "portal YAML" if f"{name}-env" in settings_maps(deployment) else "unknown"


def apim_gateway_of(deployment: Manifest) -> str:
    """The gateway resource in API Management, where the spec or the environment tells it."""
    # Where the annotation cannot be read, the environment may still tell.
    return str(_spec(deployment).get("gateway") or environment(deployment).get("gateway.name", ""))


def spec_field(deployment: Manifest, *path: str) -> str:
    """A field of the spec that this bot deployed it from; empty where there is none, or where it
    cannot be read."""
    found: Any = _spec(deployment)
    for key in path:
        found = found.get(key, "") if isinstance(found, dict) else ""
    return found if isinstance(found, str) else ""


def is_adopted(deployment: Manifest) -> bool:
    """Whether something else installed it before this bot adopted it."""
    return bool(_spec(deployment).get("objects"))


def signs_in(deployment: Manifest) -> bool:
    """Whether the spec says that it signs in to Entra ID, so that it has no token."""
    return spec_field(deployment, "auth", "type") not in ("", "token")


def tag_of(deployment: Manifest) -> str:
    """The tag of the image; the digest where that alone names it; empty where there is neither."""
    image = image_name(str(container_of(deployment).get("image", "")))
    return image.tag or image.digest


def unlogged(given: EffectiveSettings) -> str:
    """Why a warning would not be in the log of a container that is given this; empty where it would
    be."""
    form = (given.value("telemetry.logs.std") or "text").lower()
    level = (given.value("telemetry.logs.std.level") or "info").lower()
    if form == "none":
        return "telemetry.logs.std is none"
    return f"telemetry.logs.std.level is {level}" if level in ("error", "fatal") else ""


def _spec(deployment: Manifest) -> Mapping[str, Any]:
    try:
        return mapping_from_text(_annotations(deployment).get(SPEC_ANNOTATION, "{}"))
    except InvalidInput:
        return {}


def _pod_spec(deployment: Manifest) -> Mapping[str, Any]:
    spec: Mapping[str, Any] = deployment["spec"]["template"].get("spec") or {}
    return spec


def _annotations(deployment: Manifest) -> Mapping[str, str]:
    return deployment["metadata"].get("annotations") or {}


def _has_image(container: Mapping[str, Any]) -> bool:
    repository = str(container.get("image", "")).partition("@")[0]
    head, _, last = repository.rpartition("/")
    return f"/{head}/{last.partition(':')[0]}".endswith(f"/{_IMAGE}")


def _has_settings(container: Mapping[str, Any]) -> bool:
    names = [variable.get("name") for variable in container.get("env") or ()]
    return "config.service.auth" in names or _ENDPOINT in names


def _has_probe(container: Mapping[str, Any]) -> bool:
    """Whether its settings are in a Secret, which the bot does not read for this, and its probe is a
    gateway's."""
    if not any(source.get("secretRef") for source in container.get("envFrom") or ()):
        return False
    paths = (((container.get(name) or {}).get("httpGet") or {}).get("path") for name in _PROBES)
    return _STATUS_PATH in paths


def environment(deployment: Manifest) -> dict[str, str]:
    """The variables of the gateway's container whose value stands in the Deployment itself."""
    return {
        str(variable["name"]): str(variable.get("value", ""))
        for variable in container_of(deployment).get("env") or ()
    }
