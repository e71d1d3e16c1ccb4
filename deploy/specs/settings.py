"""Settings of the gateway's container by name: which are free to set, and how their values look.

From Microsoft's "Reference: Self-hosted gateway container configuration settings" (2026-08-24) and,
for the proxy, from its production guidance for Kubernetes (2026-02-20). All are of the container's
version 2; version 1 is out of support and knows other names.
"""

from collections.abc import Iterable

from deploy.errors import InvalidInput
from deploy.specs.values import OneOf, Text, Value, unknown

ENDPOINT = "config.service.endpoint"
AUTH = "config.service.auth"
ENTRA = "config.service.auth.azureAd"
SECRET_SETTING = f"{ENTRA}.clientSecret"

_FLAG = OneOf(("true", "false"))
_DURATION = Text(r"([0-9]+\.)?[0-9]{2}:[0-9]{2}:[0-9]{2}", "a duration such as 00:01:40")
_NAME = Text(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", "a name in lower case")
_PATH = Text(r"/[A-Za-z0-9._/-]{1,253}", "an absolute path")
_SUITES = Text(r"[A-Z0-9_]+(,[A-Z0-9_]+)*", "cipher suites with commas between")
_URL = Text(r"https://[A-Za-z0-9.-]+(/[A-Za-z0-9._/-]*)?", "an https URL")
_PROTOCOLS = "Microsoft.WindowsAzure.ApiManagement.Gateway.Security.Backend.Protocols"

FREE: dict[str, Value] = {
    "config.service.endpoint.disableCertificateValidation": _FLAG,
    "config.service.integration.timeout": _DURATION,
    "net.server.http.forwarded.proto.enabled": _FLAG,
    "k8s.ingress.enabled": _FLAG,
    "k8s.ingress.namespace": _NAME,
    "k8s.ingress.dns.suffix": _NAME,
    "k8s.ingress.config.path": _PATH,
    "telemetry.logs.std.color": _FLAG,
    "net.server.tls.ciphers.allowed-suites": _SUITES,
    "net.client.tls.ciphers.allowed-suites": _SUITES,
    "security.certificate-revocation.validation.enabled": _FLAG,
    f"{_PROTOCOLS}.Tls13": _FLAG,
    f"{_PROTOCOLS}.Tls12": _FLAG,
    f"{_PROTOCOLS}.Tls11": _FLAG,
    f"{_PROTOCOLS}.Tls10": _FLAG,
    f"{_PROTOCOLS}.Ssl30": _FLAG,
    "logs.applicationinsights.endpoint": _URL,
}
"""Settings without a field of the spec's own, and the values they take."""

OWNED = {
    "gateway.name": "gateway",
    ENDPOINT: "apim.endpoint",
    AUTH: "auth.type",
    f"{AUTH}.key": "auth.type",
    f"{AUTH}.tokenAudience": "auth.tokenAudience",
    f"{ENTRA}.tenantId": "auth.tenantId",
    f"{ENTRA}.clientId": "auth.clientId",
    SECRET_SETTING: "auth.clientSecret",
    f"{ENTRA}.certificatePath": "auth.certificate",
    f"{ENTRA}.authority": "auth.authority",
    "neighborhood.host": "name",
    "neighborhood.heartbeat.port": "discovery.heartbeatPort",
    "policy.rate-limit.sync.port": "discovery.rateLimitPort",
    "telemetry.metrics.local": "metrics.statsd.endpoint",
    "telemetry.metrics.local.statsd.endpoint": "metrics.statsd.endpoint",
    "telemetry.metrics.local.statsd.sampling": "metrics.statsd.sampling",
    "telemetry.metrics.local.statsd.tag-format": "metrics.statsd.tagFormat",
    "telemetry.metrics.cloud": "metrics.cloud",
    "observability.opentelemetry.enabled": "metrics.openTelemetry.collector",
    "observability.opentelemetry.collector.uri": "metrics.openTelemetry.collector",
    "observability.opentelemetry.system-metrics.enabled": "metrics.openTelemetry.systemMetrics",
    "observability.opentelemetry.histogram.buckets": "metrics.openTelemetry.buckets",
    "telemetry.logs.std": "logs.format",
    "telemetry.logs.std.level": "logs.level",
    "telemetry.logs.local": "logs.local.type",
    **{
        f"telemetry.logs.local.{sink}.{part}": f"logs.local.{part}"
        for sink in ("localsyslog", "rfc5424")
        for part in ("endpoint", "facility")
    },
    "telemetry.logs.local.journal.endpoint": "logs.local.endpoint",
    "telemetry.logs.local.json.endpoint": "logs.local.endpoint",
    "certificates.local.ca.enabled": "certificateAuthorities",
    "HTTP_PROXY": "proxy.http",
    "HTTPS_PROXY": "proxy.https",
    "NO_PROXY": "proxy.bypass",
}
"""Settings that a field of the spec sets, and that field's path."""

_OURS = "runtime.deployment."


def check_settings(settings: Iterable[tuple[str, str]]) -> None:
    """Raise InvalidInput for a setting there is not, one with a field, or one of a wrong form."""
    for name, value in settings:
        path = f"settings.{name}"
        if name in OWNED:
            raise InvalidInput(
                f"{path} has a field of its own.", field=path, remedy=f"Use {OWNED[name]}."
            )
        if name.startswith(_OURS):
            raise InvalidInput(f"{path} is set by the bot.", field=path)
        if name not in FREE:
            raise unknown("settings", name, [*FREE, *OWNED])
        FREE[name].read(value, path)
