"""A connection that knows whether its cluster has answered lately."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from deploy.breaker import Breaker
from deploy.kube.connection import Connection, Query, Stream


@dataclass(frozen=True)
class BreakingConnection:
    """`patient` waits all the same, and finds out for the others."""

    connection: Connection
    breaker: Breaker
    patient: bool

    def request(
        self,
        method: str,
        path: str,
        *,
        what: str,
        namespace: str | None = None,
        query: Query | None = None,
        body: Any = None,
        content_type: str = "application/json",
        repeat: bool = False,
        before: Callable[[], None] | None = None,
        doubtful: Callable[[], None] | None = None,
        warned: Callable[[tuple[str, ...]], None] | None = None,
    ) -> bytes:
        """As the connection does."""
        return self.breaker.call(
            lambda: self.connection.request(
                method,
                path,
                what=what,
                namespace=namespace,
                query=query,
                body=body,
                content_type=content_type,
                repeat=repeat,
                before=before,
                doubtful=doubtful,
                warned=warned,
            ),
            patient=self.patient,
        )

    def stream(
        self, path: str, *, what: str, namespace: str | None, query: Query, silence: float
    ) -> Stream:
        """As the connection does."""
        return self.breaker.call(
            lambda: self.connection.stream(
                path, what=what, namespace=namespace, query=query, silence=silence
            ),
            patient=self.patient,
        )

    def answer(self, path: str) -> tuple[int, bytes]:
        """As the connection does."""
        return self.breaker.call(lambda: self.connection.answer(path), patient=self.patient)

    def ahead(self) -> float:
        """As the connection says."""
        return self.connection.ahead()

    def close(self) -> None:
        """As the connection does."""
        self.connection.close()
