"""A gateway as the Azure portal's two commands install it: the v2 form, object for object.

The first is `kubectl create secret`, the second `kubectl apply`; each leaves its own field manager.
"""

import base64
import json
from typing import Any

IMAGE = "mcr.microsoft.com/azure-api-management/gateway"
CREATE_MANAGER = "kubectl-create"
APPLY_MANAGER = "kubectl-client-side-apply"
ARGO_MANAGER = "argocd-controller"
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def portal_secret(gateway: str, namespace: str, token: str) -> dict[str, Any]:
    """What the first command makes."""
    value = base64.b64encode(f"GatewayKey {token}".encode()).decode()
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": f"{gateway}-token", "namespace": namespace},
        "type": "Opaque",
        "data": {"value": value},
    }


def portal_objects(gateway: str, namespace: str, endpoint: str, tag: str) -> list[dict[str, Any]]:
    """What the second command makes, with the annotation that `kubectl apply` leaves."""
    return [_applied(each) for each in _manifests(gateway, namespace, endpoint, tag)]


def git_objects(
    gateway: str, namespace: str, endpoint: str, tag: str, *, application: str
) -> list[dict[str, Any]]:
    """The same as an Argo CD application makes it from Git, with the annotation by which it tracks
    each object."""
    return [_tracked(each, application) for each in _manifests(gateway, namespace, endpoint, tag)]


def _tracked(manifest: dict[str, Any], application: str) -> dict[str, Any]:
    metadata = manifest["metadata"]
    group, _, _ = manifest["apiVersion"].rpartition("/")
    kind = f"{group}/{manifest['kind']}"
    tracking = f"{application}:{kind}:{metadata['namespace']}/{metadata['name']}"
    annotations = {
        **metadata.get("annotations", {}),
        "argocd.argoproj.io/tracking-id": tracking,
    }
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}


def _applied(manifest: dict[str, Any]) -> dict[str, Any]:
    metadata = manifest["metadata"]
    bare = {**manifest, "metadata": {"annotations": {}, **metadata}}
    text = json.dumps(bare, sort_keys=True, separators=(",", ":")) + "\n"
    annotations = {**metadata.get("annotations", {}), _LAST_APPLIED: text}
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}


def _manifests(gateway: str, namespace: str, endpoint: str, tag: str) -> list[dict[str, Any]]:
    labels = {"app": gateway}

    def metadata(name: str, **more: Any) -> dict[str, Any]:
        return {"name": name, "namespace": namespace, **more}

    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata(f"{gateway}-env", labels=labels),
            "data": {
                "config.service.endpoint": endpoint,
                "neighborhood.host": f"{gateway}-instance-discovery",
                "runtime.deployment.artifact.source": "Azure Portal",
                "runtime.deployment.mechanism": "YAML",
                "runtime.deployment.orchestrator.type": "Kubernetes",
            },
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata(gateway, labels=labels),
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": labels},
                "strategy": {
                    "type": "RollingUpdate",
                    "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"},
                },
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {
                        "terminationGracePeriodSeconds": 60,
                        "containers": [_container(gateway, tag)],
                    },
                },
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata(f"{gateway}-live-traffic", labels=labels),
            "spec": {
                "type": "LoadBalancer",
                "externalTrafficPolicy": "Local",
                "selector": labels,
                "ports": [
                    {"name": "http", "port": 80, "targetPort": 8080},
                    {"name": "https", "port": 443, "targetPort": 8081},
                ],
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata(
                f"{gateway}-instance-discovery",
                labels=labels,
                annotations={
                    "azure.apim.kubernetes.io/notes": "Headless service of instance discovery"
                },
            ),
            "spec": {
                "type": "ClusterIP",
                "clusterIP": "None",
                "selector": labels,
                "ports": [
                    {
                        "name": "rate-limit-discovery",
                        "port": 4290,
                        "targetPort": "rate-limit-dc",
                        "protocol": "UDP",
                    },
                    {
                        "name": "discovery-heartbeat",
                        "port": 4291,
                        "targetPort": "dc-heartbeat",
                        "protocol": "UDP",
                    },
                ],
            },
        },
    ]


def _container(gateway: str, tag: str) -> dict[str, Any]:
    return {
        "name": gateway,
        "image": f"{IMAGE}:{tag}",
        "ports": [
            {"name": "http", "containerPort": 8080},
            {"name": "https", "containerPort": 8081},
            {"name": "rate-limit-dc", "protocol": "UDP", "containerPort": 4290},
            {"name": "dc-heartbeat", "protocol": "UDP", "containerPort": 4291},
        ],
        "readinessProbe": {
            "httpGet": {
                "path": "/status-0123456789abcdef",
                "port": "http",
                "scheme": "HTTP",
            },
            "initialDelaySeconds": 0,
            "periodSeconds": 5,
            "failureThreshold": 3,
            "successThreshold": 1,
        },
        "env": [
            {
                "name": "config.service.auth",
                "valueFrom": {"secretKeyRef": {"name": f"{gateway}-token", "key": "value"}},
            }
        ],
        "envFrom": [{"configMapRef": {"name": f"{gateway}-env"}}],
    }
