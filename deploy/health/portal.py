"""Where people find a gateway in the Azure portal, whose tile alone shows the real heartbeat."""

from collections.abc import Iterable
from urllib.parse import quote

from deploy.azure import ApimInstance


def gateway_link(instance: ApimInstance, gateway: str) -> str:
    """The page of a gateway resource, by its resource id."""
    parts = (
        *("subscriptions", instance.subscription, "resourceGroups", instance.resource_group),
        *("providers", "Microsoft.ApiManagement", "service", instance.service),
        *("gateways", gateway, "overview"),
    )
    return f"{instance.cloud.portal}/#@/resource/" + "/".join(
        quote(part, safe="") for part in parts
    )


def instance_named(instances: Iterable[ApimInstance], name: str) -> ApimInstance | None:
    """The one in the pods' settings: by its service, or by its configuration endpoint's host."""
    known = list(instances)
    for instance in known:
        if name and name.lower() in (
            instance.service.lower(),
            instance.configuration_endpoint.lower(),
        ):
            return instance
    return known[0] if len(known) == 1 and not name else None
