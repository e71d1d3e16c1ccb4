"""What the sandbox's Azure holds: services, gateways, their keys, and the apps that may sign in."""

import base64
import datetime
import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

_TOKEN = re.compile(r"GatewayKey (?P<gateway>[^&]+)&(?P<expiry>\d{12})&(?P<signature>.+)")


@dataclass(frozen=True)
class ClientApp:
    """An application registered in Entra and what its role allows: ARM actions by name."""

    client_id: str
    secret: str = field(repr=False)
    actions: frozenset[str] = frozenset()


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
    gateways: Sequence[GatewayResource] = ()


class Gateway:
    """A gateway resource with its two keys and its hidden heartbeat."""

    def __init__(self, name: str, properties: dict[str, Any]) -> None:
        self.name = name
        self.properties = properties
        self.keys = {"primary": _new_key(), "secondary": _new_key()}
        self.etag = _new_etag()
        self.heartbeats: dict[str, str] = {}
        """When each instance was last heard of. ARM tells nobody, as in life."""

    def touch(self) -> None:
        """The resource changed."""
        self.etag = _new_etag()

    def regenerate(self, kind: str) -> None:
        """A new key: every token made with the old one is dead."""
        self.keys[kind] = _new_key()
        self.touch()

    def token(self, kind: str, expires_at: datetime.datetime) -> str:
        """The token of a key and an expiry; asking again gives the same."""
        return _token(self.name, self.keys[kind], f"{expires_at:%Y%m%d%H%M}")

    def snapshot(self) -> dict[str, Any]:
        """Everything, for the next start."""
        return {"name": self.name, "properties": self.properties, "keys": self.keys}

    @classmethod
    def restore(cls, data: dict[str, Any]) -> "Gateway":
        """A gateway from a snapshot."""
        gateway = cls(data["name"], data["properties"])
        gateway.keys = dict(data["keys"])
        return gateway

    def judge(self, authorization: str, now: datetime.datetime) -> int:
        """The status the configuration endpoint gives a gateway that shows this header."""
        found = _TOKEN.fullmatch(authorization)
        if found is None:
            return 401
        if found["gateway"] != self.name:
            return 403
        signed = [_token(self.name, key, found["expiry"]) for key in self.keys.values()]
        if authorization.removeprefix("GatewayKey ") not in signed:
            return 403
        return 401 if found["expiry"] <= f"{now:%Y%m%d%H%M}" else 200


def gateway_named(authorization: str) -> str:
    """The gateway a token says it is for."""
    found = _TOKEN.fullmatch(authorization)
    return found["gateway"] if found else ""


def _token(gateway: str, key: str, expiry: str) -> str:
    digest = hmac.digest(base64.b64decode(key), f"{gateway}\n{expiry}".encode(), hashlib.sha512)
    return f"{gateway}&{expiry}&{base64.b64encode(digest).decode()}"


def _new_key() -> str:
    return base64.b64encode(secrets.token_bytes(64)).decode()


def _new_etag() -> str:
    return f'"{base64.b64encode(secrets.token_bytes(8)).decode()}"'
