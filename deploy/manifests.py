"""A spec as Kubernetes objects. Pure: no clock, no network, and equal specs give equal bytes.

Names, labels, ports and probe paths are those a user of the Azure portal's YAML knows; the rest is
Microsoft's production guidance (azure-docs, how-to-self-hosted-gateway-on-kubernetes-in-production,
2026-02-20).
"""

import base64
import hashlib
import json
from typing import Any

from deploy.gateway import GatewaySpec
from deploy.plan import Manifest
from deploy.spec import spec_to_mapping
from deploy.tokens import EXPIRES_AT, LAYOUT_KEY, Token, iso

MANAGER = "gateway-bot"
SPEC_ANNOTATION = "gateway-bot.io/spec"
ACTION_ANNOTATION = "gateway-bot.io/action"
REQUESTER_ANNOTATION = "gateway-bot.io/requested-by"
CONFIG_ANNOTATION = "gateway-bot.io/config-hash"

STATUS_PATH = "/status-0123456789abcdef"
HTTP, HTTPS, RATE_LIMIT, HEARTBEAT = 8080, 8081, 4290, 4291
_USER = 1001
"""The image's own user; custom CA certificates need it, and the backup directory its group."""


def render(spec: GatewaySpec, token_secret: str) -> tuple[Manifest, ...]:
    """Every object of the gateway but the token's Secret, in the order in which to apply them."""
    config = _config_map(spec)
    return (
        config,
        _discovery(spec),
        _live_traffic(spec),
        _disruption_budget(spec),
        _deployment(spec, token_secret, config["data"]),
    )


def with_action(
    objects: tuple[Manifest, ...], action_id: str, requester: str
) -> tuple[Manifest, ...]:
    """The objects with the Deployment telling which action wrote it, and for whom."""
    noted = {ACTION_ANNOTATION: action_id, REQUESTER_ANNOTATION: requester}
    return tuple(
        _annotated(manifest, noted) if manifest["kind"] == "Deployment" else manifest
        for manifest in objects
    )


def token_secret(spec: GatewaySpec, name: str, token: Token, action_id: str) -> Manifest:
    """The Secret of one token: immutable, so that pods of one ReplicaSet always hold one token."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            **_metadata(spec, name),
            "annotations": {
                EXPIRES_AT: iso(token.expires_at),
                ACTION_ANNOTATION: action_id,
            },
        },
        "type": "Opaque",
        "immutable": True,
        "data": {LAYOUT_KEY: base64.b64encode(f"GatewayKey {token.value}".encode()).decode()},
    }


def _annotated(manifest: Manifest, annotations: dict[str, str]) -> Manifest:
    metadata = manifest["metadata"]
    return {
        **manifest,
        "metadata": {
            **metadata,
            "annotations": {**metadata.get("annotations", {}), **annotations},
        },
    }


def _metadata(spec: GatewaySpec, name: str) -> dict[str, Any]:
    return {"name": name, "namespace": spec.ref.namespace, "labels": _labels(spec)}


def _labels(spec: GatewaySpec) -> dict[str, str]:
    return {
        **_selector(spec),
        "app.kubernetes.io/name": "self-hosted-gateway",
        "app.kubernetes.io/instance": spec.ref.name,
        "app.kubernetes.io/part-of": "azure-api-management",
        "app.kubernetes.io/managed-by": MANAGER,
    }


def _selector(spec: GatewaySpec) -> dict[str, str]:
    return {"app": spec.ref.name}


def _config_map(spec: GatewaySpec) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _metadata(spec, f"{spec.ref.name}-env"),
        "data": {
            "config.service.endpoint": spec.apim.configuration_endpoint,
            "neighborhood.host": _discovery_name(spec),
            "runtime.deployment.artifact.source": MANAGER,
            "runtime.deployment.mechanism": "YAML",
            "runtime.deployment.orchestrator.type": "Kubernetes",
            "telemetry.logs.std": spec.log_format,
            "telemetry.logs.std.level": spec.log_level,
        },
    }


def _discovery_name(spec: GatewaySpec) -> str:
    return f"{spec.ref.name}-instance-discovery"


def _discovery(spec: GatewaySpec) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(spec, _discovery_name(spec)),
        "spec": {
            "type": "ClusterIP",
            "clusterIP": "None",
            "selector": _selector(spec),
            "ports": [
                _service_port("rate-limit-discovery", RATE_LIMIT, "rate-limit-dc", "UDP"),
                _service_port("discovery-heartbeat", HEARTBEAT, "dc-heartbeat", "UDP"),
            ],
        },
    }


def _live_traffic(spec: GatewaySpec) -> Manifest:
    service: dict[str, Any] = {
        "type": spec.service_type,
        "selector": _selector(spec),
        "ports": [
            _service_port("http", spec.http_port, "http", "TCP"),
            _service_port("https", spec.https_port, "https", "TCP"),
        ],
    }
    if spec.service_type != "ClusterIP":
        # Keeps the client's address, which policies and logs want.
        service["externalTrafficPolicy"] = "Local"
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(spec, f"{spec.ref.name}-live-traffic"),
        "spec": service,
    }


def _service_port(name: str, port: int, target: str, protocol: str) -> dict[str, Any]:
    return {"name": name, "port": port, "targetPort": target, "protocol": protocol}


def _disruption_budget(spec: GatewaySpec) -> Manifest:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": _metadata(spec, spec.ref.name),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": _selector(spec)}},
    }


def _deployment(spec: GatewaySpec, token_secret: str, config: dict[str, str]) -> Manifest:
    canonical = json.dumps(spec_to_mapping(spec), sort_keys=True, separators=(",", ":"))
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            **_metadata(spec, spec.ref.name),
            "annotations": {SPEC_ANNOTATION: canonical},
        },
        "spec": {
            "replicas": spec.replicas,
            "progressDeadlineSeconds": spec.rollout.progress_deadline,
            "selector": {"matchLabels": _selector(spec)},
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {
                    "maxUnavailable": _int_or_share(spec.rollout.max_unavailable),
                    "maxSurge": _int_or_share(spec.rollout.max_surge),
                },
            },
            "template": {
                "metadata": {
                    "labels": _labels(spec),
                    # Environment variables are read once, so a changed ConfigMap must roll pods.
                    "annotations": {CONFIG_ANNOTATION: _hash(config)},
                },
                "spec": _pod(spec, token_secret),
            },
        },
    }


def _pod(spec: GatewaySpec, token_secret: str) -> dict[str, Any]:
    return {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": spec.rollout.termination_grace,
        "securityContext": {
            "runAsUser": _USER,
            "runAsNonRoot": True,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": [
            _spread(spec, "topology.kubernetes.io/zone"),
            _spread(spec, "kubernetes.io/hostname"),
        ],
        "containers": [_container(spec, token_secret)],
    }


def _spread(spec: GatewaySpec, key: str) -> dict[str, Any]:
    return {
        "maxSkew": 1,
        "topologyKey": key,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": _selector(spec)},
    }


def _container(spec: GatewaySpec, token_secret: str) -> dict[str, Any]:
    return {
        "name": spec.ref.name,
        "image": spec.image,
        "imagePullPolicy": "IfNotPresent",
        "ports": [
            {"name": "http", "containerPort": HTTP, "protocol": "TCP"},
            {"name": "https", "containerPort": HTTPS, "protocol": "TCP"},
            {"name": "rate-limit-dc", "containerPort": RATE_LIMIT, "protocol": "UDP"},
            {"name": "dc-heartbeat", "containerPort": HEARTBEAT, "protocol": "UDP"},
        ],
        "env": [
            {
                "name": "config.service.auth",
                "valueFrom": {"secretKeyRef": {"name": token_secret, "key": LAYOUT_KEY}},
            }
        ],
        "envFrom": [{"configMapRef": {"name": f"{spec.ref.name}-env"}}],
        # Requests as advised. The memory limit keeps a leak from taking the node; a CPU limit
        # would only slow requests down.
        "resources": {
            "requests": {"cpu": spec.cpu, "memory": spec.memory},
            "limits": {"memory": spec.memory},
        },
        # Ten minutes to load the configuration: with Kubernetes' defaults a gateway that waits for
        # Azure is killed after thirty seconds, for ever (issue 418 of the gateway's repository).
        "startupProbe": _probe(period=5, failures=120),
        "readinessProbe": _probe(period=5, failures=3),
        "livenessProbe": _probe(period=10, failures=6),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "privileged": False,
            "capabilities": {"drop": ["ALL"]},
        },
    }


def _probe(*, period: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": STATUS_PATH, "port": "http", "scheme": "HTTP"},
        "periodSeconds": period,
        "failureThreshold": failures,
        "timeoutSeconds": 3,
    }


def _int_or_share(text: str) -> int | str:
    return text if text.endswith("%") else int(text)


def _hash(data: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]
