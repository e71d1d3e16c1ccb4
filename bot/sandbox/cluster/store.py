"""The objects, their resource versions, and the history that watches are fed from."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from bot.sandbox.cluster.kinds import Kind
from bot.sandbox.cluster.objects import Obj, name_of, namespace_of

Key = tuple[str, str]


@dataclass(frozen=True)
class Change:
    """One write: `obj` after it (before it for a deletion), `old` before it."""

    version: int
    storage: str
    type: Literal["ADDED", "MODIFIED", "DELETED"]
    obj: Obj
    old: Obj | None


class Store:
    """All state of the API server. Stored objects are never changed in place, so they may be
    shared."""

    def __init__(self, history: int = 5000) -> None:
        self.version = 100
        self.compacted = 0
        self._tables: dict[str, dict[Key, Obj]] = {}
        self._history: deque[Change] = deque(maxlen=history)
        self._listeners: list[Callable[[Change], None]] = []

    def listen(self, listener: Callable[[Change], None]) -> Callable[[], None]:
        """Call `listener` after each write, until the returned function is called."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def get(self, kind: Kind, namespace: str, name: str) -> Obj | None:
        """The stored object; None when there is none."""
        return self._tables.get(kind.storage, {}).get((namespace, name))

    def all(self, kind: Kind, namespace: str = "") -> list[Obj]:
        """The objects of a kind, in all namespaces for an empty one, ordered as lists are."""
        table = self._tables.get(kind.storage, {})
        return [table[key] for key in sorted(table) if not namespace or key[0] == namespace]

    def everything(self) -> Iterator[tuple[str, Obj]]:
        """Each stored object with its table's name."""
        for storage, table in self._tables.items():
            for obj in list(table.values()):
                yield storage, obj

    def put(self, kind: Kind, obj: Obj) -> Obj:
        """Store `obj` under a new resource version and return it as stored."""
        table = self._tables.setdefault(kind.storage, {})
        key = (namespace_of(obj), name_of(obj))
        old = table.get(key)
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)
        table[key] = obj
        self._record(Change(self.version, kind.storage, "MODIFIED" if old else "ADDED", obj, old))
        return obj

    def remove(self, kind: Kind, namespace: str, name: str) -> Obj:
        """Drop the object and return it as the deletion's event shows it."""
        old = self._tables[kind.storage].pop((namespace, name))
        self.version += 1
        last = {**old, "metadata": {**old["metadata"], "resourceVersion": str(self.version)}}
        self._record(Change(self.version, kind.storage, "DELETED", last, old))
        return last

    def _record(self, change: Change) -> None:
        if len(self._history) == self._history.maxlen:
            self.compacted = self._history[0].version
        self._history.append(change)
        for listener in list(self._listeners):
            listener(change)

    def compact(self) -> None:
        """Forget the history, as etcd's compaction does every five minutes."""
        self._history.clear()
        self.compacted = self.version

    def since(self, version: int, storage: str) -> Iterable[Change]:
        """The changes of a table after `version`."""
        return [c for c in self._history if c.version > version and c.storage == storage]

    def snapshot(self) -> dict[str, Any]:
        """Everything stored, as JSON data."""
        return {
            "version": self.version,
            "tables": {name: list(table.values()) for name, table in self._tables.items()},
        }

    def restore(self, data: dict[str, Any]) -> None:
        """Take a snapshot's place; the history before it is compacted, so watches start anew."""
        self._tables = {
            name: {(namespace_of(obj), name_of(obj)): obj for obj in objects}
            for name, objects in data["tables"].items()
        }
        # Versions may never go back: a client that saw a later one would wait for ever.
        self.version = max(self.version, int(data["version"])) + 1
        self.compact()
