"""A spec as Kubernetes objects. Pure: no clock, no network, and equal specs give equal bytes.

Names, labels, ports and probe paths are those a user of the Azure portal's YAML knows; the rest is
Microsoft's production guidance (azure-docs, how-to-self-hosted-gateway-on-kubernetes-in-production,
2026-02-20).
"""

import base64
import hashlib
import json
from typing import Any

from deploy.annotations import (
    ACTION_ANNOTATION,
    CONFIG_ANNOTATION,
    REQUESTER_ANNOTATION,
    RESTART_ANNOTATION,
    SPEC_ANNOTATION,
    WRITTEN_ANNOTATION,
)
from deploy.kube.objects import Manifest
from deploy.rendering.container_settings import container_settings
from deploy.rendering.labels import (
    budget_name,
    claim_name,
    config_map_name,
    discovery_name,
    made_metadata,
    metadata,
    selector,
    service_account_name,
    service_name,
)
from deploy.rendering.network_policy import network_policy
from deploy.rendering.pod_template import HTTP, HTTPS, pod_template
from deploy.specs.annotation import spec_to_text
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.options import Rollout
from deploy.tokens.token import EXPIRES_AT, LAYOUT_KEY, TOKEN_KEY, KeyType, Token, iso

_CPU_TARGET = 80
"""Percent; of the usual targets the one that leaves room while new pods start."""


def render(spec: GatewaySpec, token_secret: str | None) -> tuple[Manifest, ...]:
    """Every object of the gateway but the token's Secret, in the order in which to apply them.

    `token_secret` is the name of that Secret, None for a gateway that signs in to Entra ID.
    """
    config = _config_map(spec)
    objects = [config, _discovery(spec), _live_traffic(spec)]
    if spec.disruption.enabled:
        objects.append(_disruption_budget(spec))
    if spec.backup.size is not None:
        objects.append(_claim(spec, spec.backup.size))
    if spec.auth.kind == "workloadIdentity":
        objects.append(_service_account(spec))
    if spec.network_policy.enabled:
        objects.append(network_policy(spec))
    if spec.autoscaling.most is not None:
        objects.append(_autoscaler(spec, spec.autoscaling.most))
    return (*objects, _deployment(spec, token_secret, config["data"]))


def with_action(
    objects: tuple[Manifest, ...], action_id: str, requester: str
) -> tuple[Manifest, ...]:
    """The objects with the Deployment telling which action wrote it, for whom, and what."""
    noted = {ACTION_ANNOTATION: action_id, REQUESTER_ANNOTATION: requester}
    return tuple(
        _annotated(
            manifest, {**noted, WRITTEN_ANNOTATION: _hash(_uncounted(_said(manifest["spec"])))}
        )
        if manifest["kind"] == "Deployment"
        else manifest
        for manifest in objects
    )


def written_alike(live: Manifest, wanted: Manifest) -> bool:
    """Whether the action that wrote the live Deployment last wrote the very spec that is `wanted`,
    as `with_action` gives it. Another version of the bot may render it otherwise."""
    noted = (item["metadata"].get("annotations") or {} for item in (live, wanted))
    before, now = (each.get(WRITTEN_ANNOTATION) for each in noted)
    return before is not None and before == now


def token_secret(
    spec: GatewaySpec, name: str, token: Token, action_id: str, key: KeyType = "primary"
) -> Manifest:
    """The Secret of one token: immutable, so that pods of one ReplicaSet always hold one token."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            **made_metadata(spec, name),
            "annotations": {
                EXPIRES_AT: iso(token.expires_at),
                TOKEN_KEY: key,
                ACTION_ANNOTATION: action_id,
            },
        },
        "type": "Opaque",
        "immutable": True,
        "data": {LAYOUT_KEY: base64.b64encode(f"GatewayKey {token.value}".encode()).decode()},
    }


def _said(value: Any) -> Any:
    """A value without what is written only to take away what others have put there."""
    if isinstance(value, dict):
        return {key: _said(each) for key, each in value.items() if each not in (None, "")}
    return [_said(each) for each in value] if isinstance(value, list) else value


def _annotated(manifest: Manifest, annotations: dict[str, str]) -> Manifest:
    known = manifest["metadata"]
    return {
        **manifest,
        "metadata": {
            **known,
            "annotations": {**known.get("annotations", {}), **annotations},
        },
    }


def _config_map(spec: GatewaySpec) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(spec, config_map_name(spec)),
        "data": container_settings(spec),
    }


def _discovery(spec: GatewaySpec) -> Manifest:
    ports = spec.discovery
    targets: tuple[int | str, int | str] = ("rate-limit-dc", "dc-heartbeat")
    if "ports" in spec.objects.keeps:
        # Ports that are as they were found may have other names, or none.
        targets = (ports.rate_limit, ports.heartbeat)
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(spec, discovery_name(spec)),
        "spec": {
            "type": "ClusterIP",
            "clusterIP": "None",
            "selector": selector(spec),
            "ports": [
                _service_port("rate-limit-discovery", ports.rate_limit, targets[0], "UDP"),
                _service_port("discovery-heartbeat", ports.heartbeat, targets[1], "UDP"),
            ],
        },
    }


def _live_traffic(spec: GatewaySpec) -> Manifest:
    options = spec.service
    service: dict[str, Any] = {
        "type": spec.service_type,
        "selector": dict(spec.objects.service_selector) or selector(spec),
        "ports": _live_ports(spec),
    }
    if spec.service_type != "ClusterIP":
        # Keeps the client's address, which policies and logs want.
        service["externalTrafficPolicy"] = options.external_traffic_policy or "Local"
    if options.load_balancer_class is not None:
        service["loadBalancerClass"] = options.load_balancer_class
    if options.source_ranges:
        service["loadBalancerSourceRanges"] = list(options.source_ranges)
    if options.ip_family_policy is not None:
        service["ipFamilyPolicy"] = options.ip_family_policy
    if options.ip_families:
        service["ipFamilies"] = list(options.ip_families)
    if options.internal_traffic_policy is not None:
        service["internalTrafficPolicy"] = options.internal_traffic_policy
    if not options.allocate_node_ports:
        service["allocateLoadBalancerNodePorts"] = False
    manifest = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(spec, service_name(spec)),
        "spec": service,
    }
    return _annotated(manifest, dict(options.annotations)) if options.annotations else manifest


def _live_ports(spec: GatewaySpec) -> list[dict[str, Any]]:
    options, found = spec.service, spec.objects
    kept = "ports" in found.keeps
    ports = {
        "http": (spec.http_port, found.http_name, found.http_target, options.http_node_port),
        "https": (spec.https_port, found.https_name, found.https_target, options.https_node_port),
    }
    numbers = {"http": HTTP, "https": HTTPS}
    rendered = []
    for each, (number, name, target, node_port) in ports.items():
        if options.only in (None, each):
            leads_to = _int_or_name(target) if target else numbers[each] if kept else each
            port = _service_port(each if name is None else name, number, leads_to, "TCP")
            rendered.append(port if node_port is None else {**port, "nodePort": node_port})
    return rendered


def _service_port(name: str, port: int, target: int | str, protocol: str) -> dict[str, Any]:
    named = {"name": name} if name else {}
    return {**named, "port": port, "targetPort": target, "protocol": protocol}


def _int_or_name(text: str) -> int | str:
    return int(text) if text.isdecimal() else text


def _disruption_budget(spec: GatewaySpec) -> Manifest:
    most, least = spec.disruption.max_unavailable, spec.disruption.min_available
    budget = (
        {"maxUnavailable": _int_or_share(most or "1")}
        if least is None
        else {"minAvailable": _int_or_share(least)}
    )
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(spec, budget_name(spec)),
        "spec": {**budget, "selector": {"matchLabels": selector(spec)}},
    }


def _claim(spec: GatewaySpec, size: str) -> Manifest:
    claim: dict[str, Any] = {
        "accessModes": [spec.backup.access_mode],
        "resources": {"requests": {"storage": size}},
    }
    if spec.backup.storage_class is not None:
        claim["storageClassName"] = spec.backup.storage_class
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": metadata(spec, claim_name(spec)),
        "spec": claim,
    }


def _service_account(spec: GatewaySpec) -> Manifest:
    manifest: Manifest = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata(spec, service_account_name(spec)),
    }
    manifest["metadata"]["labels"]["azure.workload.identity/use"] = "true"
    return _annotated(
        manifest,
        {
            "azure.workload.identity/client-id": spec.auth.client_id or "",
            "azure.workload.identity/tenant-id": spec.auth.tenant_id or "",
        },
    )


def _autoscaler(spec: GatewaySpec, most: int) -> Manifest:
    scaling = spec.autoscaling
    targets = {"cpu": scaling.cpu, "memory": scaling.memory}
    if not any(targets.values()) and not scaling.metrics:
        targets["cpu"] = _CPU_TARGET
    resources = [
        {
            "type": "Resource",
            "resource": {
                "name": name,
                "target": {"type": "Utilization", "averageUtilization": percent},
            },
        }
        for name, percent in targets.items()
        if percent is not None
    ]
    behavior = {} if scaling.behavior is None else {"behavior": json.loads(scaling.behavior)}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata(spec, spec.ref.name),
        "spec": {
            "scaleTargetRef": {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "name": spec.ref.name,
            },
            "minReplicas": scaling.least,
            "maxReplicas": most,
            "metrics": [*resources, *map(json.loads, scaling.metrics)],
            **behavior,
        },
    }


def _deployment(spec: GatewaySpec, token_secret: str | None, config: dict[str, str]) -> Manifest:
    rollout = spec.rollout
    deployment: dict[str, Any] = {
        "replicas": spec.counted,
        "progressDeadlineSeconds": rollout.progress_deadline,
        "selector": _label_selector(spec),
        "strategy": _strategy(rollout),
        # Environment variables are read once, so a changed ConfigMap must roll pods.
        "template": pod_template(
            spec,
            token_secret,
            {
                CONFIG_ANNOTATION: _hash(config),
                **({RESTART_ANNOTATION: rollout.restarted_at} if rollout.restarted_at else {}),
            },
        ),
    }
    if spec.counted is None:
        del deployment["replicas"]
    if rollout.min_ready != Rollout.min_ready:
        deployment["minReadySeconds"] = rollout.min_ready
    if rollout.history_limit != Rollout.history_limit:
        deployment["revisionHistoryLimit"] = rollout.history_limit
    manifest = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(spec, spec.ref.name),
        "spec": deployment,
    }
    return _annotated(manifest, {SPEC_ANNOTATION: spec_to_text(spec)})


def _uncounted(spec: dict[str, Any]) -> dict[str, Any]:
    """Without the number of pods, which others may set."""
    return {key: value for key, value in spec.items() if key != "replicas"}


def _label_selector(spec: GatewaySpec) -> dict[str, Any]:
    whole = spec.objects.label_selector
    return json.loads(whole) if whole is not None else {"matchLabels": selector(spec)}


def _strategy(rollout: Rollout) -> dict[str, Any]:
    if rollout.strategy == "Recreate":
        return {"type": "Recreate"}
    return {
        "type": "RollingUpdate",
        "rollingUpdate": {
            "maxUnavailable": _int_or_share(rollout.max_unavailable),
            "maxSurge": _int_or_share(rollout.max_surge),
        },
    }


def _int_or_share(text: str) -> int | str:
    return text if text.endswith("%") else int(text)


def _hash(data: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]
