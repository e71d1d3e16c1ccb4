"""Entra's token endpoint, as far as an application that signs in for itself needs it."""

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from bot.sandbox.azure.model import ClientApp
from bot.sandbox.azure.replies import entra_error
from bot.sandbox.faults import FaultBoard

_LIFETIME_SECONDS = 3600
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class BearerError(Exception):
    """A bearer token that is no good. `expired` tells whether it once was."""

    def __init__(self, *, expired: bool = False) -> None:
        super().__init__("expired" if expired else "invalid")
        self.expired = expired


@dataclass(frozen=True)
class Bearer:
    """Who shows a bearer token, and what it was made for."""

    client: ClientApp
    object_id: str
    audience: str


class Entra:
    """Signs applications in; its tokens are signed with a key that outlives a restart."""

    def __init__(self, tenant_id: str, clients: Sequence[ClientApp], faults: FaultBoard) -> None:
        self._tenant = tenant_id
        self._clients = {client.client_id.lower(): client for client in clients}
        self._faults = faults
        self._key = secrets.token_bytes(32)

    def routes(self) -> list[web.RouteDef]:
        """The paths under the authority."""
        return [
            web.get("/{tenant}/v2.0/.well-known/openid-configuration", self._metadata),
            web.post("/{tenant}/oauth2/v2.0/token", self._token),
        ]

    def snapshot(self) -> str:
        """The signing key."""
        return base64.b64encode(self._key).decode()

    def restore(self, data: str) -> None:
        """Take the signing key over: tokens made before are good still."""
        self._key = base64.b64decode(data)

    def bearer(self, token: str) -> Bearer:
        """Read a bearer token of this tenant. BearerError when it is not good."""
        signed, _, signature = token.rpartition(".")
        try:
            good = hmac.compare_digest(self._sign(signed).encode(), signature.encode())
            claims = json.loads(_decoded(signed.split(".")[1])) if good else {}
        except (ValueError, IndexError):
            raise BearerError from None
        client = self._clients.get(str(claims.get("appid", "")).lower())
        if client is None:
            raise BearerError
        if claims["exp"] <= time.time():
            raise BearerError(expired=True)
        return Bearer(client, claims["oid"], claims["aud"])

    async def _metadata(self, request: web.Request) -> web.Response:
        await asyncio.sleep(self._faults.get("entra_slow_ms") / 1000)
        if self._faults.get("entra_down"):
            return _down()
        if refused := self._wrong_tenant(request, "invalid_tenant"):
            return refused
        base = f"https://{request.host}/{self._tenant}"
        return web.json_response(
            {
                "issuer": f"{base}/v2.0",
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
                "jwks_uri": f"{base}/discovery/v2.0/keys",
                "token_endpoint_auth_methods_supported": [
                    "client_secret_post",
                    "private_key_jwt",
                    "client_secret_basic",
                ],
                "response_types_supported": ["code", "id_token", "code id_token"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
            }
        )

    async def _token(self, request: web.Request) -> web.Response:
        await asyncio.sleep(self._faults.get("entra_slow_ms") / 1000)
        if self._faults.get("entra_down"):
            return _down()
        if refused := self._wrong_tenant(request, "invalid_request"):
            return refused
        form = {name: str(value) for name, value in (await request.post()).items()}
        if form.get("grant_type") != "client_credentials":
            text = "The app requested an unsupported grant type."
            return entra_error(400, "unsupported_grant_type", 70003, text)
        asked = form.get("client_id", "")
        client = self._clients.get(asked.lower())
        if client is None:
            text = (
                f"Application with identifier '{asked}' was not found in the directory "
                f"'{self._tenant}'. This can happen if the application has not been installed by "
                "the administrator of the tenant."
            )
            return entra_error(400, "unauthorized_client", 700016, text)
        if refused := _wrong_proof(form, client):
            return refused
        scope = form.get("scope", "").split(" ")[0]
        if not scope.endswith("/.default"):
            text = (
                f"The provided value for scope {scope} is not valid. Client credential flows must "
                "have a scope value with /.default suffixed to the resource identifier."
            )
            return entra_error(400, "invalid_scope", 1002012, text)
        return web.json_response(
            {
                "token_type": "Bearer",
                "expires_in": _LIFETIME_SECONDS,
                "ext_expires_in": _LIFETIME_SECONDS,
                "access_token": self._issue(client, scope.removesuffix("/.default")),
            }
        )

    def _wrong_tenant(self, request: web.Request, error: str) -> web.Response | None:
        asked = request.match_info["tenant"]
        if asked.lower() == self._tenant.lower():
            return None
        text = (
            f"Tenant '{asked}' not found. Check to make sure you have the correct tenant ID and "
            "are signing into the correct cloud."
        )
        return entra_error(400, error, 90002, text)

    def _issue(self, client: ClientApp, audience: str) -> str:
        now = int(time.time())
        object_id = uuid.uuid5(uuid.NAMESPACE_URL, f"{self._tenant}/{client.client_id}")
        claims = {
            "aud": audience,
            "iss": f"https://sts.windows.net/{self._tenant}/",
            "iat": now,
            "nbf": now,
            "exp": now + _LIFETIME_SECONDS,
            "appid": client.client_id,
            "oid": str(object_id),
            "tid": self._tenant,
            "ver": "1.0",
        }
        signed = f"{_encoded({'typ': 'JWT', 'alg': 'HS256'})}.{_encoded(claims)}"
        return f"{signed}.{self._sign(signed)}"

    def _sign(self, text: str) -> str:
        digest = hmac.digest(self._key, text.encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _wrong_proof(form: dict[str, str], client: ClientApp) -> web.Response | None:
    if form.get("client_assertion_type") == _ASSERTION:
        if client.federated and form.get("client_assertion"):
            return None
        text = "No matching federated identity record found for presented assertion."
        return entra_error(400, "invalid_client", 70021, text)
    if "client_secret" not in form:
        text = (
            "The request body must contain the following parameter: 'client_assertion' or "
            "'client_secret'."
        )
        return entra_error(401, "invalid_client", 7000218, text)
    if secrets.compare_digest(form["client_secret"].encode(), client.secret.encode()):
        return None
    text = (
        "Invalid client secret provided. Ensure the secret being sent in the request is the client "
        "secret value, not the client secret ID, for a secret added to app "
        f"'{client.client_id}'."
    )
    return entra_error(401, "invalid_client", 7000215, text)


def _down() -> web.Response:
    return web.Response(status=503, text="Service Unavailable")


def _encoded(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
