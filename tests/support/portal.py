"""A gateway as somebody installed it without this bot."""

import base64
from typing import Any

from deploy.annotations import SPEC_ANNOTATION
from tests.support.gateway_bed import HOST

IMAGE = "mcr.microsoft.com/azure-api-management/gateway:2.11.1"


def portal(
    namespace: str,
    name: str,
    *,
    gateway: str = "edge-1",
    endpoint: str = HOST,
    token: str | None = "",
    spec: str = "",
    immutable: bool = True,
    inline: bool = False,
) -> list[dict[str, Any]]:
    """A gateway as the portal's YAML makes it; `token` None leaves its Secret out."""
    text = f"GatewayKey {gateway}&209912312359&c2lnbmF0dXJl" if token == "" else token
    ref = {"secretKeyRef": {"name": f"{name}-token-old", "key": "value"}}
    auth = {"value": text} if inline else {"valueFrom": ref}
    env = [{"name": "config.service.auth", **auth}]
    labels = {"app": name}
    container = {
        "name": "gateway",
        "image": IMAGE,
        "env": env,
        "envFrom": [{"configMapRef": {"name": f"{name}-env"}}],
    }
    annotations = {SPEC_ANNOTATION: spec} if spec else {}
    meta = {"namespace": namespace}
    objects: list[dict[str, Any]] = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": f"{name}-env", **meta},
            "data": {"config.service.endpoint": endpoint},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "annotations": annotations, **meta},
            "spec": {
                "replicas": 0,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            },
        },
    ]
    if not inline and text is not None:
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": f"{name}-token-old", **meta},
            "data": {"value": base64.b64encode(text.encode()).decode()},
            "immutable": immutable,
        }
        objects.insert(0, secret)
    return objects
