"""Furnishes new namespaces and empties ending ones."""

from collections.abc import Iterable

from bot.sandbox.cluster.api import Api
from bot.sandbox.cluster.bootstrap import furnish_namespace
from bot.sandbox.cluster.deletion import delete
from bot.sandbox.cluster.kinds import KINDS, NAMESPACE
from bot.sandbox.cluster.objects import is_terminating, name_of, namespace_of
from bot.sandbox.cluster.store import Change, Key


class NamespaceController:
    """An ending namespace goes when the last object in it has gone."""

    name = "namespace"

    def __init__(self, api: Api) -> None:
        self._api = api

    def keys(self, change: Change) -> Iterable[Key]:
        """The changed namespace, or the one of an object that went."""
        if change.storage == NAMESPACE.storage:
            return [("", name_of(change.obj))]
        gone = change.type == "DELETED" and namespace_of(change.obj)
        if gone:
            return [("", namespace_of(change.obj))]
        return []

    def all_keys(self) -> Iterable[Key]:
        """Every namespace."""
        return [("", name_of(n)) for n in self._api.store.all(NAMESPACE)]

    def reconcile(self, key: Key) -> float | None:
        """Furnish or empty one namespace."""
        namespace = self._api.find(NAMESPACE, *key)
        if namespace is None:
            return None
        name = name_of(namespace)
        if not is_terminating(namespace):
            furnish_namespace(self._api, name)
            return None
        left = False
        for kind in KINDS:
            if not kind.namespaced or kind.stored_as:
                continue
            for obj in self._api.store.all(kind, name):
                if not is_terminating(obj):
                    delete(self._api, kind, name, name_of(obj))
            left = left or bool(self._api.store.all(kind, name))
        if not left:
            self._api.store.remove(NAMESPACE, "", name)
        return None
