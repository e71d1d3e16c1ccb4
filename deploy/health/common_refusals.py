"""When Azure refuses every gateway of an API Management instance at once: no token is at fault. Pure.

Each gateway resource has keys of its own, so what kills the tokens of one leaves the others alone.
Where all are refused together the instance itself refuses, and a new token mends nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from deploy.health.cache import CachedGateway
from deploy.health.heartbeat import Heartbeat
from deploy.health.refusals import WELL, refused_key
from deploy.observed import inventory
from deploy.plans.adoption import instance_named_by


@dataclass(frozen=True)
class LinkSeen:
    """What a look at `at` (epoch seconds) showed of a gateway's link.

    `service` is its API Management service, empty where nothing tells. `refused` is the gateway
    resource whose token Azure refuses although it has not expired, empty where it does not, `since`
    when. `accepted` says that Azure seemed to answer it well.
    """

    at: float
    service: str
    refused: str = ""
    since: float = 0.0
    accepted: bool = False


def link_seen(gateway: CachedGateway, heartbeat: Heartbeat, at: float) -> LinkSeen:
    """What a gateway's heartbeat shows of its instance."""
    key = refused_key(gateway, heartbeat)
    service = service_of(gateway)
    if key is None:
        return LinkSeen(at, service, accepted=heartbeat.level in WELL)
    return LinkSeen(at, service, key.gateway, key.since)


def service_of(gateway: CachedGateway) -> str:
    """Its API Management service: as its pods are configured, else as this bot's spec names the instance;
    empty where nothing tells."""
    told = instance_named_by(gateway.sign_in.given) if gateway.sign_in else ""
    return (told or inventory.spec_field(gateway.deployment, "apim", "instance")).lower()


def refusing_services(looks: Iterable[LinkSeen]) -> frozenset[str]:
    """The services that refuse every gateway seen of them, of which there are several: none was
    accepted since the first of them is refused."""
    by_service: dict[str, list[LinkSeen]] = {}
    for look in looks:
        if look.service:
            by_service.setdefault(look.service, []).append(look)
    found = set()
    for service, seen in by_service.items():
        refused = [look for look in seen if look.refused]
        began = min((look.since for look in refused), default=0.0)
        if len({look.refused for look in refused}) > 1 and not any(
            look.accepted and look.at > began for look in seen
        ):
            found.add(service)
    return frozenset(found)


def others_seen_since(looks: Iterable[LinkSeen], one: LinkSeen) -> bool:
    """Whether every other gateway of the same service was looked at since that one is refused: only
    then it is known that it alone is."""
    return all(
        look.at > one.since
        for look in looks
        if look.service == one.service and look.refused != one.refused
    )
