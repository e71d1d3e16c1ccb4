"""A connection that reaches its cluster through another one."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from deploy.kube.connection import Connection, Query, Stream

T = TypeVar("T")


class DelegatingConnection(ABC):
    """Each call is one to the other connection; what is done around it, or that the other has to be
    made first, is said in `_through`."""

    @abstractmethod
    def _through(self, call: Callable[[Connection], T]) -> T:
        """What `call` gives for the other connection."""

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
        return self._through(
            lambda connection: connection.request(
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
            )
        )

    def read(
        self,
        path: str,
        *,
        what: str,
        namespace: str | None,
        query: Query,
        take: Callable[[Iterator[bytes]], T],
    ) -> T:
        """As the connection does."""
        return self._through(
            lambda connection: connection.read(
                path, what=what, namespace=namespace, query=query, take=take
            )
        )

    def stream(
        self,
        path: str,
        *,
        what: str,
        namespace: str | None,
        query: Query,
        silence: float,
        watch: bool = False,
    ) -> Stream:
        """As the connection does."""
        return self._through(
            lambda connection: connection.stream(
                path, what=what, namespace=namespace, query=query, silence=silence, watch=watch
            )
        )

    def answer(self, path: str) -> tuple[int, bytes]:
        """As the connection does."""
        return self._through(lambda connection: connection.answer(path))
