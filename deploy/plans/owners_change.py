"""What whoever declares a gateway has to change once, so that its pods read the bot's Secret. Pure.

Names of the chart's values are those of azure-api-management-gateway 1.15 (github.com/Azure/
api-management-self-hosted-gateway, values.yaml and templates/deployment.yaml).
"""

from deploy.kube.objects import Manifest
from deploy.observed.token_only import TokenReading

_CHART = "azure-api-management-gateway"
_CHART_KEY = "gateway-key"


def owners_change(deployment: Manifest, reading: TokenReading, secret: str) -> str:
    """The change, as an imperative."""
    if _is_chart(deployment, reading):
        return (
            f"In the chart's values set `secret.existingSecretName: {secret}` and "
            "`secret.createSecret: false`, then upgrade."
        )
    container = f"spec.template.spec.containers[{reading.container}]"
    if reading.how == "whole":
        return f"Add `- secretRef: {{name: {secret}}}` as the last entry of `{container}.envFrom`."
    at = f"{container}.env[{reading.variable}].valueFrom"
    if reading.how == "inline":
        return f"Replace the token by `{at}: {{secretKeyRef: {{name: {secret}, key: {reading.key}}}}}`."
    return f"Set `{at}.secretKeyRef.name: {secret}`."


def _is_chart(deployment: Manifest, reading: TokenReading) -> bool:
    labels = deployment["metadata"].get("labels") or {}
    named = str(labels.get("helm.sh/chart", "")).startswith(_CHART)
    return named and reading.key == _CHART_KEY
