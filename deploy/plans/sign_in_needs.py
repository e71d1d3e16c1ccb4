"""What must be there in Azure before a gateway can sign in to Entra ID instead of holding a token.

Facts are those of "Use Microsoft Entra authentication for the self-hosted gateway" (azure-docs,
self-hosted-gateway-enable-azure-ad and self-hosted-gateway-enable-workload-identity, 2026).
"""

from collections.abc import Iterable

from deploy.kube.objects import Manifest
from deploy.observed.given import given_among
from deploy.observed.sign_in import sign_in
from deploy.rendering.labels import service_account_name
from deploy.rules.finding import Finding
from deploy.specs.gateway_spec import GatewaySpec

_RULE = "entra-sign-in"
_VALIDATOR = "API Management Configuration API Access Validator Service Role"
_READER = "API Management Gateway Configuration Reader Role"
_GET = "Microsoft.ApiManagement/service/gateways/getConfiguration/action"


def needs(
    spec: GatewaySpec, live: Manifest | None, config_maps: Iterable[Manifest] = ()
) -> tuple[Finding, ...]:
    """What must be there in Azure before a gateway that begins to sign in can do so. Pure.

    `live` is its Deployment as it is now and `config_maps` its settings; nothing is said of one that
    signs in the same way already.
    """
    auth = spec.auth
    before = sign_in(live, given_among(live, config_maps)) if live is not None else ""
    if auth.kind == "token" or before == auth.kind:
        return ()
    who = "app" if auth.kind == "entraApp" else "identity"
    found = [
        _need(
            f"API Management “{spec.apim.instance}” needs a system-assigned managed identity with "
            f"the custom role “{_VALIDATOR}”.",
            "API Management uses it to check who may fetch a configuration.",
            "Actions: Microsoft.Authorization/*/read, on the resource group or subscription.",
        ),
        _need(
            f"The {who} {auth.client_id} needs the custom role “{_READER}”.",
            "Without it, Azure answers 403 and no pod becomes ready.",
            f"DataActions: {_GET}, on the API Management service.",
        ),
    ]
    if auth.kind == "workloadIdentity":
        subject = f"system:serviceaccount:{spec.ref.namespace}:{service_account_name(spec)}"
        found.append(
            _need(
                f"The identity needs a federated credential for {subject}.",
                "Use this cluster's issuer; the cluster must run the workload identity webhook.",
                "Create it with `az identity federated-credential create`, or under the app's "
                "federated credentials.",
            )
        )
    if before == "token":
        found.append(
            _need(
                "The pods no longer hold a gateway token, so none expires.",
                "They are replaced one after another; no old pod stops until a new one is ready.",
                "The token's Secret is kept for a rollback.",
            )
        )
    return tuple(found)


def _need(what: str, why: str, fix: str) -> Finding:
    return Finding(_RULE, "info", what, why, fix)
