"""A gateway's side of the configuration endpoint: authentication, polls and heartbeats."""

import asyncio
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from bot.sandbox.node.api import Json
from bot.sandbox.node.gateway_settings import EntraAuth, GatewaySettings
from bot.sandbox.node.trouble import Trouble

_LOST_LINK_SECONDS = 10.0
_TOKEN_MARGIN_SECONDS = 60.0


class LinkError(Exception):
    """A call failed; the text is the exception that the gateway logs. It never holds a token."""


class HostUnknownError(LinkError):
    """The host's name does not resolve."""


@dataclass(frozen=True)
class Network:
    """What a gateway container finds around it: names, trust, and the faults in between.

    `hosts` maps a host name to the base URL that really answers for it.
    """

    session: aiohttp.ClientSession
    hosts: Mapping[str, str]
    tls: ssl.SSLContext
    trouble: Trouble
    time_scale: float


@dataclass
class _Bearer:
    text: str = field(repr=False)
    until: float


class ConfigurationLink:
    """Calls the configuration endpoint of one gateway."""

    def __init__(self, settings: GatewaySettings, network: Network) -> None:
        self._settings = settings
        self._network = network
        self._bearer: _Bearer | None = None

    def events_url(self, skip_token: str) -> str:
        """The address polled, as the gateway logs it."""
        return f"{self._settings.endpoint}{self._path('events')}{_query(skip_token)}"

    async def events(self, skip_token: str) -> Json:
        """Poll once. LinkError says why it failed."""
        body = await self._call("GET", self._path("events") + _query(skip_token), None)
        return body if isinstance(body, dict) else {}

    async def heartbeat(self, instance: str) -> None:
        """Tell Azure that this instance lives. LinkError says why it failed."""
        await self._call("POST", self._path("heartbeat"), {"instanceId": instance})

    def _path(self, operation: str) -> str:
        return f"/gateways/{self._settings.gateway}/{operation}"

    async def _call(self, method: str, path: str, body: Json | None) -> object:
        settings = self._settings
        base = await self._resolve(settings.host)
        headers = {"Host": settings.host, "Authorization": await self._authorization()}
        prefix = urlsplit(settings.endpoint).path
        return await self._request(method, f"{base}{prefix}{path}", headers, json=body)

    async def _resolve(self, host: str) -> str:
        if self._network.trouble.on("link_lost"):
            # The real one waits its whole timeout (100 s); a person at the switch need not.
            seconds = min(self._settings.timeout, _LOST_LINK_SECONDS)
            await asyncio.sleep(seconds * self._network.time_scale)
            raise LinkError(self._timed_out())
        base = self._network.hosts.get(host)
        if base is None or self._network.trouble.on("dns_broken"):
            raise HostUnknownError(
                f"System.Net.Http.HttpRequestException: Name or service not known ({host}:443)"
            )
        return base.rstrip("/")

    async def _authorization(self) -> str:
        settings = self._settings
        if settings.entra is None:
            return settings.token or ""
        if self._bearer is None or self._bearer.until < time.monotonic():
            self._bearer = await self._entra_token(settings.entra)
        return f"Bearer {self._bearer.text}"

    async def _entra_token(self, entra: EntraAuth) -> _Bearer:
        form = {
            "grant_type": "client_credentials",
            "client_id": entra.client_id,
            "scope": f"{entra.audience}/.default",
        }
        if entra.client_secret is not None:
            form["client_secret"] = entra.client_secret
        elif not entra.client_id or not entra.tenant:
            raise LinkError(
                "Azure.Identity.CredentialUnavailableException: WorkloadIdentityCredential "
                "authentication unavailable. The workload options are not fully configured."
            )
        else:
            form["client_assertion_type"] = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
            form["client_assertion"] = "projected-service-account-token"
        host = urlsplit(entra.authority).hostname or ""
        base = await self._resolve(host)
        address = f"{base}/{entra.tenant}/oauth2/v2.0/token"
        try:
            answer = await self._request("POST", address, {"Host": host}, data=form)
        except LinkError as problem:
            raise LinkError(
                f"Azure.Identity.AuthenticationFailedException: authentication failed: {problem}"
            ) from None
        if not isinstance(answer, dict) or "access_token" not in answer:
            raise LinkError("Azure.Identity.AuthenticationFailedException: no token in the answer")
        lifetime = float(answer.get("expires_in") or 3600) - _TOKEN_MARGIN_SECONDS
        return _Bearer(str(answer["access_token"]), time.monotonic() + lifetime)

    async def _request(
        self,
        method: str,
        address: str,
        headers: Mapping[str, str],
        *,
        json: Json | None = None,
        data: Mapping[str, str] | None = None,
    ) -> object:
        host = f"({headers['Host']}:443)"
        try:
            async with (
                # aiohttp's own takes a cancellation in the same moment for its time-out.
                asyncio.timeout(self._settings.timeout),
                self._network.session.request(
                    method,
                    URL(address, encoded=True),
                    headers=headers,
                    json=json,
                    data=data,
                    ssl=self._network.tls,
                    timeout=aiohttp.ClientTimeout(total=None),
                ) as response,
            ):
                if response.status >= 300:
                    raise LinkError(
                        "Gateway.Configuration.Client.ApiException: "
                        f"StatusCode: {status_name(response.status)}"
                    )
                if response.status == HTTPStatus.NO_CONTENT or response.content_length == 0:
                    return None
                answer: object = await response.json(content_type=None)
                return answer
        except TimeoutError:
            raise LinkError(self._timed_out()) from None
        except aiohttp.ClientConnectorCertificateError:
            raise LinkError(
                "System.Net.Http.HttpRequestException: The SSL connection could not be "
                f"established, see inner exception. {host}"
            ) from None
        except aiohttp.ClientConnectorError:
            raise LinkError(
                f"System.Net.Http.HttpRequestException: Connection refused {host}"
            ) from None
        except (aiohttp.ClientError, OSError, ValueError):
            raise LinkError(
                "System.Net.Http.HttpRequestException: An error occurred while sending the "
                f"request. {host}"
            ) from None

    def _timed_out(self) -> str:
        return (
            "System.Threading.Tasks.TaskCanceledException: The request was canceled due to the "
            f"configured HttpClient.Timeout of {self._settings.timeout:g} seconds elapsing."
        )


def status_name(status: int) -> str:
    """An HTTP status as .NET names it: 401 is Unauthorized, 503 ServiceUnavailable."""
    try:
        return "".join(word.capitalize() for word in HTTPStatus(status).phrase.split())
    except ValueError:
        return str(status)


def _query(skip_token: str) -> str:
    return f"?$top=100&$skiptoken={skip_token}"
