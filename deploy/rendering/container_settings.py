"""A spec as the container's settings, name to text. Pure.

Names as in Microsoft's "Reference: Self-hosted gateway container configuration settings"
(2026-08-24). A setting at the container's default is left out.
"""

from deploy.annotations import MANAGER
from deploy.rendering.labels import discovery_name
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.options import Auth, Discovery, LocalLogs, Metrics, Proxy
from deploy.specs.settings import AUTH, ENDPOINT, ENTRA

CERTIFICATE_DIRECTORY = "/etc/entra"
"""Where the app's certificate is mounted; any path will do, the setting names it."""


def container_settings(spec: GatewaySpec) -> dict[str, str]:
    """What the ConfigMap holds: everything but the values from Secrets."""
    return {
        ENDPOINT: spec.apim.configuration_endpoint,
        "neighborhood.host": discovery_name(spec),
        "runtime.deployment.artifact.source": MANAGER,
        "runtime.deployment.mechanism": "YAML",
        "runtime.deployment.orchestrator.type": "Kubernetes",
        "telemetry.logs.std": spec.log_format,
        "telemetry.logs.std.level": spec.log_level,
        **_auth(spec),
        **_discovery(spec.discovery),
        **_local_logs(spec.local_logs),
        **_metrics(spec.metrics),
        **({"certificates.local.ca.enabled": "true"} if spec.authorities else {}),
        **_proxy(spec.proxy),
        **dict(spec.settings),
    }


def _auth(spec: GatewaySpec) -> dict[str, str]:
    auth = spec.auth
    if auth.kind == "token":
        return {}
    common = {
        "gateway.name": spec.apim.gateway,
        **_given({f"{AUTH}.tokenAudience": auth.audience}),
    }
    if auth.kind == "workloadIdentity":
        return {AUTH: "workloadIdentity", **common}
    return {AUTH: "azureAdApp", **common, **_entra_app(auth)}


def _entra_app(auth: Auth) -> dict[str, str]:
    path = f"{CERTIFICATE_DIRECTORY}/{auth.certificate.key}" if auth.certificate else None
    return _given(
        {
            f"{ENTRA}.tenantId": auth.tenant_id,
            f"{ENTRA}.clientId": auth.client_id,
            f"{ENTRA}.certificatePath": path,
            f"{ENTRA}.authority": auth.authority,
        }
    )


def _discovery(discovery: Discovery) -> dict[str, str]:
    defaults = Discovery()
    return _given(
        {
            "policy.rate-limit.sync.port": _changed(discovery.rate_limit, defaults.rate_limit),
            "neighborhood.heartbeat.port": _changed(discovery.heartbeat, defaults.heartbeat),
        }
    )


def _local_logs(logs: LocalLogs) -> dict[str, str]:
    sink = f"telemetry.logs.local.{logs.sink}"
    return _given(
        {
            "telemetry.logs.local": _changed(logs.sink, LocalLogs().sink),
            f"{sink}.endpoint": logs.endpoint,
            f"{sink}.facility": None if logs.facility is None else str(logs.facility),
        }
    )


def _metrics(metrics: Metrics) -> dict[str, str]:
    statsd, telemetry = "telemetry.metrics.local.statsd", "observability.opentelemetry"
    return _given(
        {
            "telemetry.metrics.cloud": None if metrics.cloud else "false",
            "telemetry.metrics.local": metrics.statsd and "statsd",
            f"{statsd}.endpoint": metrics.statsd,
            f"{statsd}.sampling": metrics.statsd_sampling,
            f"{statsd}.tag-format": metrics.statsd_tag_format,
            f"{telemetry}.enabled": metrics.collector and "true",
            f"{telemetry}.collector.uri": metrics.collector,
            f"{telemetry}.system-metrics.enabled": "true" if metrics.system_metrics else None,
            f"{telemetry}.histogram.buckets": ",".join(map(str, metrics.buckets)) or None,
        }
    )


def _proxy(proxy: Proxy) -> dict[str, str]:
    return _given(
        {
            "HTTP_PROXY": proxy.http,
            "HTTPS_PROXY": proxy.https,
            "NO_PROXY": ",".join(proxy.bypass) or None,
        }
    )


def _changed(value: int | str, default: int | str) -> str | None:
    return None if value == default else str(value)


def _given(settings: dict[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in settings.items() if value is not None}
