"""What the sandbox's Azure holds: services, gateways, their keys, and the apps that may sign in."""

import base64
import datetime
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from bot.sandbox.azure import keytoken

KEY_TYPES = ("primary", "secondary")
Collection = Literal["apis", "hostnameConfigurations", "certificateAuthorities"]
COLLECTIONS: tuple[Collection, ...] = ("apis", "hostnameConfigurations", "certificateAuthorities")


@dataclass(frozen=True)
class ClientApp:
    """An application registered in Entra and what its role allows: ARM actions by name.

    A `federated` one may also sign in with a workload identity's assertion.
    """

    client_id: str
    secret: str = field(repr=False)
    actions: frozenset[str] = frozenset()
    federated: bool = False


@dataclass(frozen=True)
class Api:
    """An API of the service; every gateway of the beginning serves it."""

    name: str
    path: str


@dataclass(frozen=True)
class GatewayResource:
    """A self-hosted gateway to begin with."""

    name: str
    description: str = ""
    location_name: str = ""


@dataclass(frozen=True)
class ApimService:
    """An API Management instance to begin with."""

    subscription: str
    resource_group: str
    name: str
    location: str = "westeurope"
    sku: str = "Premium"
    gateways: Sequence[GatewayResource] = ()
    apis: Sequence[Api] = (Api("echo-api", "echo"),)

    @property
    def id(self) -> str:
        """The ARM id."""
        return (
            f"/subscriptions/{self.subscription}/resourceGroups/{self.resource_group}"
            f"/providers/Microsoft.ApiManagement/service/{self.name}"
        )


@dataclass
class Child:
    """Something that belongs to a gateway: an API's association, a host name, a certificate."""

    name: str
    properties: dict[str, Any]
    etag: str = field(default_factory=lambda: new_etag())


class Gateway:
    """A gateway resource with its two keys, its children and its hidden heartbeat."""

    def __init__(self, name: str, properties: dict[str, Any]) -> None:
        self.name = name
        self.properties = properties
        self.etag = new_etag()
        self.children: dict[Collection, dict[str, Child]] = {each: {} for each in COLLECTIONS}
        self.heartbeats: dict[str, str] = {}
        """When each instance was last heard of. ARM tells nobody, as in life."""
        self.shown: dict[str, datetime.datetime] = {}
        """When the token expires that each instance last had a heartbeat with."""
        self._keys = {kind: _new_key() for kind in KEY_TYPES}

    @property
    def keys(self) -> dict[str, str]:
        """Both keys by type."""
        return dict(self._keys)

    def touch(self) -> None:
        """The resource changed."""
        self.etag = new_etag()

    def regenerate(self, key_type: str) -> None:
        """A new key: every token made with the old one is dead."""
        self._keys[key_type] = _new_key()
        self.touch()

    def token(self, key_type: str, expires_at: datetime.datetime) -> str:
        """The token of a key and an expiry; asking again gives the same."""
        return keytoken.make(self.name, self._keys[key_type], expires_at)

    def judge(self, authorization: str, now: datetime.datetime) -> int:
        """The status the configuration endpoint gives whoever shows this GatewayKey header."""
        return keytoken.judge(self.name, list(self._keys.values()), authorization, now)

    def snapshot(self) -> dict[str, Any]:
        """Everything, for the next start."""
        return {
            "name": self.name,
            "properties": self.properties,
            "etag": self.etag,
            "keys": self.keys,
            "heartbeats": dict(self.heartbeats),
            "children": {
                collection: [[child.name, child.properties, child.etag] for child in kept.values()]
                for collection, kept in self.children.items()
            },
        }

    @classmethod
    def restore(cls, data: dict[str, Any]) -> "Gateway":
        """A gateway from a snapshot."""
        gateway = cls(data["name"], data["properties"])
        gateway.etag = data["etag"]
        gateway._keys = dict(data["keys"])
        gateway.heartbeats = dict(data["heartbeats"])
        for collection in COLLECTIONS:
            children = [Child(*item) for item in data["children"][collection]]
            gateway.children[collection] = {child.name: child for child in children}
        return gateway


class Service:
    """An API Management instance and the gateways it has now, by name."""

    def __init__(self, described: ApimService) -> None:
        self.described = described
        self.gateways: dict[str, Gateway] = {}
        for first in described.gateways:
            location = first.location_name or described.location
            properties = {"description": first.description, "locationData": {"name": location}}
            gateway = Gateway(first.name, properties)
            for api in described.apis:
                gateway.children["apis"][api.name] = Child(api.name, {})
            self.gateways[first.name] = gateway

    @property
    def configuration_host(self) -> str:
        """The host that gateways of this service poll in life."""
        return f"{self.described.name.lower()}.configuration.azure-api.net"

    def find(self, name: str) -> Gateway | None:
        """A gateway by its name, whose case does not count in ARM."""
        for known, gateway in self.gateways.items():
            if known.lower() == name.lower():
                return gateway
        return None

    def find_api(self, name: str) -> Api | None:
        """One of the service's APIs."""
        return next((a for a in self.described.apis if a.name.lower() == name.lower()), None)

    def snapshot(self) -> list[dict[str, Any]]:
        """Every gateway."""
        return [gateway.snapshot() for gateway in self.gateways.values()]

    def restore(self, data: list[dict[str, Any]]) -> None:
        """Take a snapshot over."""
        self.gateways = {item["name"]: Gateway.restore(item) for item in data}


def new_etag() -> str:
    """An entity tag nobody has seen yet."""
    return f'"{base64.b64encode(secrets.token_bytes(8)).decode()}"'


def _new_key() -> str:
    return base64.b64encode(secrets.token_bytes(64)).decode()
