"""Entra's token endpoint, as far as a client with a secret needs it."""

import secrets
import time
from collections.abc import Sequence

from aiohttp import web

from bot.sandbox.azure.model import ClientApp
from bot.sandbox.azure.replies import entra_error
from bot.sandbox.faults import FaultBoard

_LIFETIME = 3600


class Entra:
    """Signs applications in and remembers whose each bearer token is."""

    def __init__(self, tenant_id: str, clients: Sequence[ClientApp], faults: FaultBoard) -> None:
        self._tenant = tenant_id
        self._clients = {client.client_id: client for client in clients}
        self._faults = faults
        self._bearers: dict[str, tuple[ClientApp, float]] = {}

    def routes(self) -> list[web.RouteDef]:
        """The paths under the authority."""
        return [
            web.get("/{tenant}/v2.0/.well-known/openid-configuration", self._metadata),
            web.post("/{tenant}/oauth2/v2.0/token", self._token),
        ]

    def client_of(self, authorization: str) -> ClientApp | None:
        """Whose bearer token this is, while it is good."""
        client, until = self._bearers.get(authorization.removeprefix("Bearer "), (None, 0.0))
        return client if until > time.time() else None

    async def _metadata(self, request: web.Request) -> web.Response:
        base = f"https://{request.host}/{request.match_info['tenant']}"
        return web.json_response(
            {
                "issuer": f"{base}/v2.0",
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
                "jwks_uri": f"{base}/discovery/v2.0/keys",
                "response_types_supported": ["code"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
            }
        )

    async def _token(self, request: web.Request) -> web.Response:
        if self._faults.get("entra_down"):
            return web.Response(status=503, text="Service Unavailable")
        form = await request.post()
        if request.match_info["tenant"] != self._tenant:
            tenant = request.match_info["tenant"]
            return entra_error(400, "invalid_request", 90002, f"Tenant '{tenant}' not found.")
        client = self._clients.get(str(form.get("client_id")))
        if client is None:
            text = "The application was not found in the directory."
            return entra_error(400, "unauthorized_client", 700016, text)
        if not secrets.compare_digest(str(form.get("client_secret")), client.secret):
            return entra_error(401, "invalid_client", 7000215, "Invalid client secret provided.")
        if not str(form.get("scope", "")).endswith("/.default"):
            text = "The provided value for scope is not valid."
            return entra_error(400, "invalid_scope", 1002012, text)
        bearer = secrets.token_urlsafe(48)
        self._bearers[bearer] = (client, time.time() + _LIFETIME)
        return web.json_response(
            {
                "token_type": "Bearer",
                "expires_in": _LIFETIME,
                "ext_expires_in": _LIFETIME,
                "access_token": bearer,
            }
        )
