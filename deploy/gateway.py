"""Which gateway is meant: where it runs, and its resource in Azure. Validated when it is made."""

import re
from dataclasses import dataclass
from typing import Self

from deploy.errors import InvalidInput

_DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_DNS_NAME = re.compile(rf"(?=.{{1,253}}$){_DNS_LABEL.pattern}(\.{_DNS_LABEL.pattern})*")
_LONGEST_SUFFIX = "-instance-discovery"
NAME_LIMIT = 63 - len(_LONGEST_SUFFIX)
"""Of a name that this bot gives: a Service's has at most 63 characters (RFC 1035 label)."""

DEFAULT_REPOSITORY = "mcr.microsoft.com/azure-api-management/gateway"


def check_label(value: str, field_path: str, limit: int = 63) -> str:
    """Return `value` if Kubernetes takes it as a name (RFC 1123 label), else raise InvalidInput."""
    if len(value) <= limit and _DNS_LABEL.fullmatch(value):
        return value
    raise InvalidInput(
        f"“{value[:80]}” cannot be a {field_path.rpartition('.')[2]}.",
        field=field_path,
        remedy=f"Use at most {limit} lower-case letters, digits and hyphens, "
        "starting and ending with a letter or digit.",
    )


@dataclass(frozen=True, order=True)
class GatewayRef:
    """Where a gateway runs: cluster, namespace and the name of its Deployment.

    Others give names that this bot would not give, so every name that Kubernetes takes is one.
    """

    cluster: str
    namespace: str
    name: str

    def __post_init__(self) -> None:
        check_label(self.cluster, "cluster")
        check_label(self.namespace, "namespace")
        if not _DNS_NAME.fullmatch(self.name):
            check_label(self.name, "name", NAME_LIMIT)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `cluster/namespace/name`. InvalidInput when it is not of that form."""
        parts = text.strip().split("/")
        if len(parts) != 3:
            raise InvalidInput(
                f"“{text[:80]}” does not say where a gateway runs.",
                field="ref",
                remedy="Write cluster/namespace/name, for example west/dev/edge-1.",
            )
        return cls(*parts)

    def __str__(self) -> str:
        return f"{self.cluster}/{self.namespace}/{self.name}"


@dataclass(frozen=True)
class ApimGateway:
    """The gateway resource in Azure API Management that a deployment belongs to.

    `instance` is the name under which the settings know the API Management instance;
    `configuration_endpoint` is the host the container fetches its configuration from, which is
    `<service>.configuration.azure-api.net` unless the instance has a custom one.
    """

    instance: str
    gateway: str
    configuration_endpoint: str


@dataclass(frozen=True, order=True)
class GatewayResource:
    """A gateway as Azure knows it: the ARM id of its API Management service, and its name there.

    A token belongs to exactly this. Azure compares both without case, so they are kept in lower
    case and two `apim` entries of one service are the same.
    """

    service: str
    gateway: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "service", self.service.rstrip("/").lower())
        object.__setattr__(self, "gateway", self.gateway.lower())

    def __str__(self) -> str:
        return f"{self.service}/gateways/{self.gateway}"
