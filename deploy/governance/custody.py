"""What surrounds every mint and regeneration of a gateway's token: one at a time, and on record."""

import contextlib
import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from deploy.actions.leases import GatewayLeases
from deploy.errors import GatewayBotError, Unavailable
from deploy.gateway import GatewayRef, GatewayResource
from deploy.governance.admitted import AdmittedTokens, TokenInUse
from deploy.governance.placements import PlacementRecord

log = logging.getLogger(__name__)

_LEASE_SECONDS = 25.0
"""Longer than Azure is asked for (deploy.azure), shorter than an action waits (deploy.retry)."""

Keep = Callable[[], None]
"""Hold the resource for a full lease more, right before Azure is asked. Unavailable when another
action has it by now."""


class Custody(Protocol):
    """The bot's hold on gateway resources."""

    def held(self, resource: GatewayResource, action_id: str) -> AbstractContextManager[Keep]:
        """Hold the resource, so that what is required is computed and Azure asked in one.
        Unavailable while another action holds it."""

    def record_now(self, resource: GatewayResource, ref: GatewayRef) -> None:
        """Record that a token is about to be at `ref`, before Azure is asked for it."""

    def admit(
        self,
        token: TokenInUse,
        resource: GatewayResource,
        action_id: str,
        decided_by: frozenset[str],
    ) -> None:
        """Record that the action, on which those environments decided, minted that token."""

    def decided_by(self, token: TokenInUse, resource: GatewayResource) -> frozenset[str]:
        """The environments that decided that token; none where no action has recorded it."""


class SharedCustody:
    """Custody by the Redis that all bots share."""

    def __init__(
        self,
        leases: GatewayLeases,
        placements: PlacementRecord,
        admitted: AdmittedTokens,
        owner: str,
    ) -> None:
        self._leases = leases
        self._owner = owner
        self.record_now = placements.record_now
        self.admit = admitted.admit
        self.decided_by = admitted.decided_by

    @contextlib.contextmanager
    def held(self, resource: GatewayResource, action_id: str) -> Iterator[Keep]:
        """See Custody. A lease that runs out because its bot died is free after 25 s."""
        name = f"apim:{resource}"
        lease = self._leases.acquire(name, action_id, self._owner, _LEASE_SECONDS)
        if not lease.fence:
            raise Unavailable(
                f"Action {lease.action_id} is changing the tokens of {resource.gateway}.",
                meaning="Tokens of one gateway are minted one at a time.",
                untouched=True,
            )

        def keep() -> None:
            if not self._leases.renew(name, self._owner, lease.fence, _LEASE_SECONDS):
                raise Unavailable(
                    "The bot waited too long for its turn to change the token of "
                    f"{resource.gateway}.",
                    meaning="Another action may be changing it now.",
                    untouched=True,
                )

        try:
            yield keep
        finally:
            try:
                self._leases.renew(name, self._owner, lease.fence, 0)
            except GatewayBotError as error:
                log.info("the lease of %s expires: %s", resource, error)
