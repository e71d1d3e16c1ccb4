"""A connection that is made while others already work: its kubeconfig runs somebody else's program."""

from collections.abc import Callable
from typing import TypeVar

from deploy.errors import Unavailable
from deploy.flight import Flight
from deploy.kube.connection import Connection
from deploy.kube.delegating import DelegatingConnection

T = TypeVar("T")


class LateConnection(DelegatingConnection):
    """Makes the connection with the first call, or goes on with making it; each call waits no longer
    than `seconds` for that."""

    def __init__(self, cluster: str, making: Flight[Connection], seconds: float) -> None:
        self._cluster = cluster
        self._making = making
        self._seconds = seconds
        self._made: Connection | None = None

    def _through(self, call: Callable[[Connection], T]) -> T:
        return call(self._connection())

    def ahead(self) -> float:
        """As the connection says."""
        return self._made.ahead() if self._made else 0.0

    def close(self) -> None:
        """As the connection does."""
        if self._made:
            self._made.close()

    def _connection(self) -> Connection:
        if self._made is None:
            try:
                self._made = self._making.wait(self._seconds)
            except TimeoutError:
                raise Unavailable(
                    f"The credentials for cluster “{self._cluster}” are not there yet.",
                    meaning="Its kubeconfig runs a program for them, which has not ended.",
                    remedy="Ask whoever runs the bot to look at its kubeconfig.",
                    untouched=True,
                ) from None
        return self._made
