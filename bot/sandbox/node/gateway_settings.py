"""The self-hosted gateway's settings as its container reads them: dotted environment variables.

Names and defaults: Azure's self-hosted gateway settings reference.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_TOKEN = re.compile(r"GatewayKey (?P<gateway>[^&\s]+)&\d{12}&\S+")
_SPAN = re.compile(r"(?:(\d+)\.)?(\d{1,2}):(\d{2}):(\d{2})(?:\.\d+)?")
DEFAULT_AUTHORITY = "https://login.microsoftonline.com"
DEFAULT_AUDIENCE = "https://azure-api.net/configuration"
LEVELS = {"all": 0, "debug": 0, "info": 1, "warn": 2, "error": 3, "fatal": 4}


@dataclass(frozen=True)
class EntraAuth:
    """Entra authentication: by an app's secret, or by workload identity where that is None."""

    authority: str
    tenant: str
    client_id: str
    client_secret: str | None = field(repr=False)
    audience: str


@dataclass(frozen=True)
class GatewaySettings:
    """What one gateway container was told.

    `token` is the whole `GatewayKey …` value; with Entra authentication `entra` is set instead.
    With neither there is `auth_problem`. `timeout` is in seconds.
    """

    gateway: str
    endpoint: str
    host: str
    endpoint_has_scheme: bool
    token: str | None = field(repr=False)
    entra: EntraAuth | None
    auth_problem: str | None
    timeout: float
    log_format: str
    log_level: int
    log_color: bool
    neighborhood: str

    @classmethod
    def parse(cls, env: Mapping[str, str]) -> "GatewaySettings":
        """Read the environment; what is wrong with it is in `auth_problem`."""
        endpoint = env.get("config.service.endpoint", "").strip()
        has_scheme = "://" in endpoint
        url = endpoint if has_scheme or not endpoint else f"https://{endpoint}"
        url = url.partition("?")[0].rstrip("/")
        gateway = env.get("gateway.name", "")
        auth = env.get("config.service.auth", "").strip()
        if auth == "key":
            auth = env.get("config.service.auth.key", "").strip()
        token, entra = None, None
        match = _TOKEN.fullmatch(auth)
        if match:
            token = auth
            gateway = gateway or match["gateway"]
        elif auth in ("azureAdApp", "workloadIdentity"):
            entra = _entra(auth, env)
        problem = None
        if not endpoint:
            problem = "No configuration endpoint was configured (config.service.endpoint)."
        elif token is None and (entra is None or not gateway):
            problem = (
                "No valid authentication was configured for the configuration API. Set "
                "config.service.auth to a gateway token, azureAdApp or workloadIdentity."
            )
        return cls(
            gateway=gateway,
            endpoint=url,
            host=urlsplit(url).hostname or "",
            endpoint_has_scheme=has_scheme,
            token=token,
            entra=entra,
            auth_problem=problem,
            timeout=_seconds(env.get("config.service.integration.timeout", "00:01:40")),
            log_format=env.get("telemetry.logs.std", "text").strip().lower(),
            log_level=LEVELS.get(env.get("telemetry.logs.std.level", "info").strip().lower(), 1),
            log_color=env.get("telemetry.logs.std.color", "true").strip().lower() != "false",
            neighborhood=env.get("neighborhood.host", "").strip(),
        )


def _entra(kind: str, env: Mapping[str, str]) -> EntraAuth | None:
    name = "config.service.auth.azureAd."
    audience = env.get("config.service.auth.tokenAudience", DEFAULT_AUDIENCE)
    if kind == "azureAdApp":
        tenant, client = env.get(f"{name}tenantId"), env.get(f"{name}clientId")
        secret = env.get(f"{name}clientSecret")
        if not tenant or not client or not secret:
            return None
        authority = env.get(f"{name}authority", DEFAULT_AUTHORITY)
        return EntraAuth(authority.rstrip("/"), tenant, client, secret, audience)
    # These come from the workload identity webhook; without it the gateway finds none of them.
    authority = env.get("AZURE_AUTHORITY_HOST", DEFAULT_AUTHORITY)
    return EntraAuth(
        authority.rstrip("/"),
        env.get("AZURE_TENANT_ID", ""),
        env.get("AZURE_CLIENT_ID", ""),
        None,
        audience,
    )


def _seconds(span: str) -> float:
    match = _SPAN.fullmatch(span.strip())
    if match is None:
        return 100.0
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
