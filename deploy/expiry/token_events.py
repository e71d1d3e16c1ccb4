"""What Azure says of tokens: kept, shown with the gateway, and weighed against its warnings."""

import logging
from collections.abc import Collection, Sequence

from deploy.actions.codec import Unreadable
from deploy.errors import GatewayBotError
from deploy.expiry.azure_events import AzureEvents
from deploy.expiry.event_grid import TokenEvent
from deploy.expiry.tracker import Tracker
from deploy.gateway import GatewayRef
from deploy.health.heartbeat import AzureEvent

log = logging.getLogger(__name__)


class TokenEvents:
    """`services` are the API Management services of the settings, in lower case."""

    def __init__(self, events: AzureEvents, tracker: Tracker, services: Collection[str]) -> None:
        self._events = events
        self._tracker = tracker
        self._services = tuple(services)

    def about(self, ref: GatewayRef) -> Sequence[AzureEvent]:
        """What Azure said of the tokens of that gateway's instances; nothing while Redis is away."""
        try:
            tracked = self._tracker.find(ref)
            if tracked is None or not tracked.facts.gateway:
                return ()
            return self._events.of_services(self._services, tracked.facts.gateway)
        except Unreadable:
            # Which the tracker has reported.
            return ()
        except GatewayBotError as error:
            log.info("what Azure said of %s cannot be read: %s", ref, error)
            return ()

    def take(self, event: TokenEvent) -> None:
        """Keep what Azure said, and look whether somebody is to be warned. Taking it again does
        nothing. Raises what Redis raises."""
        if event.service not in self._services:
            log.warning(
                "Event Grid reports on %s, which is not a service of this bot", event.service
            )
            return
        self._events.take(event)
        self._weigh(event.gateway, event)

    def recall(self) -> None:
        """Look at all of them again: Azure says it once, perhaps before the gateway was seen."""
        for service, gateway in self._events.known():
            for event in self._events.about(service, gateway):
                self._weigh(gateway, event)

    def _weigh(self, gateway: str, event: AzureEvent | TokenEvent) -> None:
        for tracked in self._tracker.named(gateway):
            self._tracker.azure(
                tracked.ref,
                expired=event.expired,
                expires_at=event.expires_at,
                instance=event.instance,
            )
