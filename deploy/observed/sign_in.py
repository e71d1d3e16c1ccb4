"""Gateways that sign in to Entra ID instead of holding a token: what they need, and what expires.

Facts are those of "Use Microsoft Entra authentication for the self-hosted gateway" (azure-docs,
self-hosted-gateway-enable-azure-ad and self-hosted-gateway-enable-workload-identity, 2026).
"""

import datetime
from collections.abc import Mapping
from typing import Any

from deploy.kube.objects import Manifest
from deploy.observed import inventory

EXPIRES = "gateway-bot.io/client-secret-expires"
"""A day, on the Deployment of a gateway that this bot did not deploy."""
_KINDS = {"azureAdApp": "entraApp", "workloadIdentity": "workloadIdentity"}


def sign_in(deployment: Manifest, settings: Mapping[str, Any]) -> str:
    """How a gateway proves who it is: `token`, `entraApp` or `workloadIdentity`. Pure.

    `settings` is what its ConfigMaps hold; the spec this bot deployed it from goes before them.
    """
    kind = inventory.spec_field(deployment, "auth", "type")
    if kind:
        return kind
    told = {**settings, **inventory.environment(deployment)}.get("config.service.auth")
    return _KINDS.get(str(told or ""), "token")


def credential_expires(deployment: Manifest) -> datetime.date | None:
    """The last day of an Entra app's secret or certificate, where somebody wrote it down."""
    noted = (deployment["metadata"].get("annotations") or {}).get(EXPIRES, "")
    told = inventory.spec_field(deployment, "auth", "clientSecretExpires") or noted
    try:
        return datetime.date.fromisoformat(told)
    except ValueError:
        return None
