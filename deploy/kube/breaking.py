"""A connection that knows whether its cluster has answered lately."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from deploy.breaker import Breaker
from deploy.kube.connection import Connection
from deploy.kube.delegating import DelegatingConnection

T = TypeVar("T")


@dataclass(frozen=True)
class BreakingConnection(DelegatingConnection):
    """`patient` waits all the same, and finds out for the others."""

    connection: Connection
    breaker: Breaker
    patient: bool

    def _through(self, call: Callable[[Connection], T]) -> T:
        return self.breaker.call(lambda: call(self.connection), patient=self.patient)

    def ahead(self) -> float:
        """As the connection says."""
        return self.connection.ahead()

    def close(self) -> None:
        """As the connection does."""
        self.connection.close()
