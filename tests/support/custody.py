"""Custody of gateway resources without a Redis, for tests of what is done while they are held."""

import contextlib
from collections.abc import Iterator

from deploy.gateway import GatewayRef, GatewayResource
from deploy.governance.admitted import TokenInUse
from deploy.governance.custody import Keep


class LocalCustody:
    """Remembers in order what was held, recorded and admitted."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.admitted: dict[TokenInUse, tuple[GatewayResource, frozenset[str]]] = {}

    @contextlib.contextmanager
    def held(self, resource: GatewayResource, action_id: str) -> Iterator[Keep]:
        """Always free."""
        self.log.append(f"held {resource.gateway}")
        try:
            yield lambda: self.log.append("kept")
        finally:
            self.log.append("let go")

    def record_now(self, resource: GatewayResource, ref: GatewayRef) -> None:
        """Remember it."""
        self.log.append(f"recorded {ref}")

    def admit(
        self,
        token: TokenInUse,
        resource: GatewayResource,
        action_id: str,
        decided_by: frozenset[str],
    ) -> None:
        """Remember it."""
        self.log.append(f"admitted {token.secret}")
        self.admitted[token] = (resource, decided_by)

    def decided_by(self, token: TokenInUse, resource: GatewayResource) -> frozenset[str]:
        """Who decided on it."""
        of, names = self.admitted.get(token, (resource, frozenset[str]()))
        return names if of == resource else frozenset()
