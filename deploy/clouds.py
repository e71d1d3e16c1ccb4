"""Azure's clouds: the addresses that differ between them. Pure.

Portals and Entra ID: learn.microsoft.com/graph/deployments, looked up 2026-11-29; audiences: the
self-hosted gateway's settings reference. Resource Manager's hosts are those that this bot had already, and
the hosts of configuration endpoints in sovereign clouds were not seen in a document: each can be set.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

_ENTRA = ("entraApp", "workloadIdentity")


@dataclass(frozen=True)
class Cloud:
    """`arm` is Azure Resource Manager's endpoint, `authority` Entra ID's, `portal` the page that people
    open; `audience` is that of API Management's configuration API, whose hosts end in `domain`."""

    name: str
    title: str
    arm: str
    authority: str
    portal: str
    domain: str
    audience: str

    def configuration_endpoint(self, service: str) -> str:
        """The host from which gateways of an API Management service fetch their configuration."""
        return f"{service.lower()}.configuration.{self.domain}"

    def completed(self, spec: Mapping[str, Any]) -> Mapping[str, Any]:
        """The mapping of a gateway spec, which signs in to this cloud's Entra ID unless it says to
        which. The container's own defaults are those of the public cloud."""
        auth = spec.get("auth") or {}
        if self is PUBLIC or not isinstance(auth, Mapping) or auth.get("type") not in _ENTRA:
            return spec
        own = {"tokenAudience": self.audience}
        if auth["type"] == "entraApp":
            own["authority"] = self.authority
        return {**spec, "auth": {**own, **auth}}


PUBLIC = Cloud(
    "public",
    "the public cloud",
    "https://management.azure.com",
    "https://login.microsoftonline.com",
    "https://portal.azure.com",
    "azure-api.net",
    "https://azure-api.net/configuration",
)
CLOUDS: Mapping[str, Cloud] = {
    cloud.name: cloud
    for cloud in (
        PUBLIC,
        Cloud(
            "usgov",
            "Azure Government",
            "https://management.usgovcloudapi.net",
            "https://login.microsoftonline.us",
            "https://portal.azure.us",
            "azure-api.us",
            "https://azure-api.us/configuration",
        ),
        Cloud(
            "china",
            "Azure China",
            "https://management.chinacloudapi.cn",
            "https://login.chinacloudapi.cn",
            "https://portal.azure.cn",
            "azure-api.cn",
            "https://azure-api.cn/configuration",
        ),
    )
}


_ALSO = {"login.partner.microsoftonline.cn": CLOUDS["china"]}
"""Further hosts of Entra ID (msal.authority.WELL_KNOWN_AUTHORITY_HOSTS)."""


def cloud_of(address: str) -> Cloud | None:
    """The cloud to which an address belongs: Resource Manager's, Entra ID's, an audience, or the host
    of a configuration endpoint. None for one of somebody's own."""
    host = host_in(address)
    for cloud in CLOUDS.values():
        known = {host_in(each) for each in (cloud.arm, cloud.authority, cloud.audience)}
        if host in known or host.endswith(f".{cloud.domain}"):
            return cloud
    return _ALSO.get(host)


def clouds_of(addresses: Iterable[str]) -> tuple[Cloud, ...]:
    """The clouds to which addresses belong, in order."""
    found = (cloud_of(address) for address in addresses if address)
    return tuple(dict.fromkeys(cloud for cloud in found if cloud is not None))


def host_in(address: str) -> str:
    """The host of a URL, or of a host with or without a port; empty where there is none."""
    text = address.strip().lower()
    try:
        return urlsplit(text if "://" in text else f"//{text}").hostname or ""
    except ValueError:
        return ""
