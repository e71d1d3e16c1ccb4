"""What is written of a gateway that others deploy: Secrets of this bot, and one field of the pods'
template. Pure.

The Secrets have no label by which Helm or Argo CD knows its own objects.
"""

import base64
import datetime

from deploy.annotations import (
    ACTION_ANNOTATION,
    MANAGE_ANNOTATION,
    MANAGER,
    RESOURCE_ANNOTATION,
    TOKEN_ACTION_ANNOTATION,
    WORKLOAD_ANNOTATION,
    WRITTEN_AT_ANNOTATION,
)
from deploy.gateway import GatewayRef
from deploy.kube.objects import Manifest
from deploy.observed.token_only import TOKEN, KeptToken
from deploy.rendering.labels import short_value
from deploy.tokens.token import EXPIRES_AT, TOKEN_KEY, KeyType, Token, iso


def own_labels(workload: str) -> dict[str, str]:
    """By which the Secrets of one gateway's token are listed; a label's value is short."""
    return {
        "app.kubernetes.io/managed-by": MANAGER,
        WORKLOAD_ANNOTATION: short_value(workload),
    }


def own_secret(
    ref: GatewayRef,
    name: str,
    kept: KeptToken,
    secret_key: str,
    token: Token,
    action_id: str,
    key: KeyType,
    *,
    now: float,
    immutable: bool,
) -> Manifest:
    """A Secret of this bot with a gateway's token, under the key that its pods read."""
    written = iso(datetime.datetime.fromtimestamp(now, datetime.UTC))
    found: Manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": ref.namespace,
            "labels": own_labels(kept.workload),
            "annotations": {
                **_kept(kept),
                EXPIRES_AT: iso(token.expires_at),
                TOKEN_KEY: key,
                ACTION_ANNOTATION: action_id,
                WRITTEN_AT_ANNOTATION: written,
            },
        },
        "type": "Opaque",
        "data": {secret_key: base64.b64encode(f"GatewayKey {token.value}".encode()).decode()},
    }
    return {**found, "immutable": True} if immutable else found


def with_content_of(content: Manifest, name: str, action_id: str, now: float) -> Manifest:
    """A Secret of that name with the token, and what is known of it, that another one holds."""
    metadata = content["metadata"]
    written = iso(datetime.datetime.fromtimestamp(now, datetime.UTC))
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": metadata["namespace"],
            "labels": dict(metadata.get("labels") or {}),
            "annotations": {
                **(metadata.get("annotations") or {}),
                ACTION_ANNOTATION: action_id,
                WRITTEN_AT_ANNOTATION: written,
            },
        },
        "type": content.get("type", "Opaque"),
        "data": dict(content.get("data") or {}),
    }


def marked(ref: GatewayRef, mark: str) -> Manifest:
    """The one annotation that restarts the pods."""
    annotations = {TOKEN_ACTION_ANNOTATION: mark}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": ref.name, "namespace": ref.namespace},
        "spec": {"template": {"metadata": {"annotations": annotations}}},
    }


def _kept(kept: KeptToken) -> dict[str, str]:
    return {
        MANAGE_ANNOTATION: TOKEN,
        WORKLOAD_ANNOTATION: kept.workload,
        RESOURCE_ANNOTATION: f"{kept.instance}/{kept.gateway}",
    }
