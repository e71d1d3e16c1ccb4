"""An Azure with two services, and clients that sign in to it as the bot and others do."""

import contextlib
import datetime
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import requests
from azure.identity import ClientSecretCredential

from bot.sandbox.azure import ApimService, Azure, ClientApp, GatewayResource
from bot.sandbox.azure.throttle import Buckets
from bot.sandbox.tls import Authority
from tests.support.loops import running

TENANT = "72f988bf-0000-4000-8000-0000000000aa"
SUBSCRIPTION = "8d2f7a10-0000-4000-8000-0000000000bb"
BOT, OWNER, READER, MINTER = "bot-app", "owner-app", "reader-app", "minter-app"
APP = "44444444-0000-4000-8000-0000000000cc"
"""What a gateway signs in as: an id as Entra gives it."""
GATEWAYS = "Microsoft.ApiManagement/service/gateways"
VERSION = "2024-05-01"
SERVICE = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-apim"
    "/providers/Microsoft.ApiManagement/service/contoso"
)
_OPERATIONS = ("read", "write", "delete")
_KEYS = ("listKeys", "regenerateKey", "generateToken", "getConfiguration")
_CHILDREN = ("apis", "hostnameConfigurations", "certificateAuthorities")
EVERYTHING = frozenset(
    {
        "Microsoft.ApiManagement/service/read",
        *(f"{GATEWAYS}/{operation}" for operation in _OPERATIONS),
        *(f"{GATEWAYS}/{action}/action" for action in _KEYS),
        *(f"{GATEWAYS}/{child}/{operation}" for child in _CHILDREN for operation in _OPERATIONS),
    }
)


class AzureBed:
    """A running Azure and what is needed to talk to it."""

    def __init__(self, directory: Path, buckets: Buckets | None = None) -> None:
        self.authority = Authority.load_or_create(directory / "ca")
        self.azure = self._new(buckets)
        self.changes = 0
        self._sessions: dict[str, requests.Session] = {}

    def _new(self, buckets: Buckets | None) -> Azure:
        read = f"{GATEWAYS}/read"
        gateways = [GatewayResource(f"edge-{n}", f"Edge {n}", "North") for n in range(1, 6)]
        return Azure(
            tenant_id=TENANT,
            clients=[
                ClientApp(
                    BOT, f"{BOT}-secret", frozenset({read, f"{GATEWAYS}/generateToken/action"})
                ),
                ClientApp(OWNER, f"{OWNER}-secret", EVERYTHING, federated=True),
                ClientApp(READER, f"{READER}-secret", frozenset({read})),
                ClientApp(
                    MINTER, f"{MINTER}-secret", frozenset({f"{GATEWAYS}/generateToken/action"})
                ),
                ClientApp(APP, f"{APP}-secret", frozenset({f"{GATEWAYS}/getConfiguration/action"})),
            ],
            services=[
                ApimService(SUBSCRIPTION, "rg-apim", "contoso", gateways=gateways),
                ApimService(SUBSCRIPTION, "rg-apim", "fabrikam", gateways=gateways[:1]),
            ],
            tls=self.authority.server_context(),
            changed=self._changed,
            buckets=buckets,
        )

    def _changed(self) -> None:
        self.changes += 1

    def successor(self) -> "AzureBed":
        """A bed whose Azure has taken over this one's snapshot; not started."""
        bed = AzureBed(self.authority.ca_pem_path.parent.parent)
        bed.azure.restore(self.azure.snapshot())
        return bed

    def credential(
        self, client: str = BOT, secret: str | None = None, tenant: str = TENANT
    ) -> ClientSecretCredential:
        """azure-identity's own credential, pointed here."""
        return ClientSecretCredential(
            tenant,
            client,
            secret if secret is not None else f"{client}-secret",
            authority=self.azure.url,
            disable_instance_discovery=True,
            connection_verify=str(self.authority.ca_pem_path),
        )

    def bearer(self, client: str = BOT, audience: str = "") -> str:
        """A bearer token, for Resource Manager unless told."""
        token: str = (
            self.credential(client).get_token(f"{audience or self.azure.url}/.default").token
        )
        return token

    def call(
        self,
        method: str,
        path: str,
        *,
        client: str = OWNER,
        body: Any = None,
        headers: dict[str, str] | None = None,
        version: str | None = VERSION,
        query: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """A call of Resource Manager below the service `contoso`, or of an absolute path."""
        if client not in self._sessions:
            session = self._sessions[client] = requests.Session()
            session.verify = str(self.authority.ca_pem_path)
            session.headers["Authorization"] = f"Bearer {self.bearer(client)}"
        below = path if path.lower().startswith("/subscriptions") else SERVICE + path
        parameters = {**(query or {}), **({"api-version": version} if version else {})}
        return self._sessions[client].request(
            method,
            self.azure.url + below,
            params=parameters,
            json=body,
            headers=headers,
            timeout=60,
            # requests gives REQUESTS_CA_BUNDLE priority over the session's own setting.
            verify=str(self.authority.ca_pem_path),
        )

    def token(
        self, gateway: str = "edge-1", key: str = "primary", days: float = 10, client: str = OWNER
    ) -> str:
        """A gateway token as ARM gives it."""
        expiry = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
        body = {"keyType": key, "expiry": expiry.strftime("%Y-%m-%dT%H:%M:%SZ")}
        answer = self.call("POST", f"/gateways/{gateway}/generateToken", body=body, client=client)
        assert answer.status_code == 200, answer.text
        token: str = answer.json()["value"]
        return token

    def poll(
        self, authorization: str, gateway: str = "edge-1", service: str = "contoso"
    ) -> requests.Response:
        """A gateway's poll of its configuration."""
        return requests.get(
            f"{self.azure.configuration_url}/gateways/{gateway}/events",
            headers={
                "Authorization": authorization,
                "Host": f"{service}.configuration.azure-api.net",
            },
            verify=str(self.authority.ca_pem_path),
            timeout=60,
        )


@contextlib.contextmanager
def azure_bed(directory: Path, buckets: Buckets | None = None) -> Iterator[AzureBed]:
    """A bed whose Azure runs until the block ends."""
    bed = AzureBed(directory, buckets)
    with running(bed.azure):
        yield bed


def error_of(answer: requests.Response) -> tuple[int, str]:
    """Status and code of a refusal in ARM's form."""
    return answer.status_code, answer.json()["error"]["code"]
