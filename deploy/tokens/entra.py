"""Gateways that sign in to Entra ID instead of holding a token: what they need, and what expires.

Facts are those of "Use Microsoft Entra authentication for the self-hosted gateway" (azure-docs,
self-hosted-gateway-enable-azure-ad and self-hosted-gateway-enable-workload-identity, 2026).
"""

import datetime
from collections.abc import Mapping
from typing import Any

from deploy.gateway import GatewaySpec
from deploy.health import inventory
from deploy.plans.plan import Finding, Manifest
from deploy.rendering.labels import service_account_name

EXPIRES = "gateway-bot.io/client-secret-expires"
"""A day, on the Deployment of a gateway that this bot did not deploy."""
_RULE = "entra-sign-in"
_VALIDATOR = "API Management Configuration API Access Validator Service Role"
_READER = "API Management Gateway Configuration Reader Role"
_GET = "Microsoft.ApiManagement/service/gateways/getConfiguration/action"
_KINDS = {"azureAdApp": "entraApp", "workloadIdentity": "workloadIdentity"}


def needs(spec: GatewaySpec, live: Manifest | None) -> tuple[Finding, ...]:
    """What must be there in Azure before a gateway that begins to sign in can do so. Pure.

    `live` is its Deployment as it is now; nothing is said of one that signs in the same way
    already.
    """
    auth = spec.auth
    before = sign_in(live, {}) if live is not None else ""
    if auth.kind == "token" or before == auth.kind:
        return ()
    who = "app" if auth.kind == "entraApp" else "identity"
    found = [
        _need(
            f"API Management “{spec.apim.instance}” needs a system-assigned managed identity with "
            f"the custom role “{_VALIDATOR}”.",
            "By it API Management reads who may fetch a configuration.",
            "Actions: Microsoft.Authorization/*/read, on the resource group or subscription.",
        ),
        _need(
            f"The {who} {auth.client_id} needs the custom role “{_READER}”.",
            "Without it Azure answers 403 and no pod gets ready.",
            f"DataActions: {_GET}, on the API Management service.",
        ),
    ]
    if auth.kind == "workloadIdentity":
        subject = f"system:serviceaccount:{spec.ref.namespace}:{service_account_name(spec)}"
        found.append(
            _need(
                f"The identity needs a federated credential for {subject}.",
                "Its issuer is that of this cluster, which must run the workload identity webhook.",
                "az identity federated-credential create, or the app's federated credentials.",
            )
        )
    if before == "token":
        found.append(
            _need(
                "The pods hold no gateway token any more, so none expires.",
                "They are replaced one after another; none of before ends until a new one is ready.",
                "The token's Secret is kept for going back.",
            )
        )
    return tuple(found)


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


def _need(what: str, why: str, fix: str) -> Finding:
    return Finding(_RULE, "info", what, why, fix)
