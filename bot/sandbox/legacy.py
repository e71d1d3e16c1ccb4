"""A gateway as the Azure portal's YAML installs it: the v2 form, object for object."""

import base64
from typing import Any

IMAGE = "mcr.microsoft.com/azure-api-management/gateway"


def portal_objects(
    gateway: str, namespace: str, endpoint: str, tag: str, token: str
) -> list[dict[str, Any]]:
    """What `kubectl create secret` and `kubectl apply` made by the portal's two commands."""
    labels = {"app": gateway}

    def metadata(name: str, **more: Any) -> dict[str, Any]:
        return {"name": name, "namespace": namespace, **more}

    secret = base64.b64encode(f"GatewayKey {token}".encode()).decode()
    return [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": metadata(f"{gateway}-token"),
            "type": "Opaque",
            "data": {"value": secret},
        },
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
