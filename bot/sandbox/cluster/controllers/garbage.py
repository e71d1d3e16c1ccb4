"""The garbage collector: objects whose owners are gone go too."""

from collections.abc import Iterable

from bot.sandbox.cluster.api import Api
from bot.sandbox.cluster.deletion import (
    FOREGROUND,
    ORPHAN,
    DeleteOptions,
    delete,
    drop_finalizer,
)
from bot.sandbox.cluster.kinds import KINDS, Kind, by_kind
from bot.sandbox.cluster.objects import (
    Obj,
    copy,
    get,
    is_terminating,
    name_of,
    namespace_of,
    uid_of,
)
from bot.sandbox.cluster.store import Change, Key

_STORED = tuple(k for k in KINDS if not k.stored_as and len(k.verbs) > 1)
_BY_STORAGE = {k.storage: k for k in _STORED}


class GarbageCollector:
    """Deletes dependents of deleted owners, and does what foreground and orphan deletion ask for.

    Its keys are UIDs of owners, with the storage of the owner in the first place.
    """

    name = "garbage-collector"

    def __init__(self, api: Api) -> None:
        self._api = api

    def keys(self, change: Change) -> Iterable[Key]:
        """The owner that is gone or going, and the owners of an object that came or went."""
        if change.type == "DELETED" or is_terminating(change.obj):
            yield (change.storage, uid_of(change.obj))
        if change.type != "MODIFIED":
            for reference in get(change.obj, "metadata", "ownerReferences", default=[]):
                yield ("", reference["uid"])

    def all_keys(self) -> Iterable[Key]:
        """Every owner that anything names."""
        for _, obj in self._api.store.everything():
            for reference in get(obj, "metadata", "ownerReferences", default=[]):
                yield ("", reference["uid"])

    def reconcile(self, key: Key) -> float | None:
        """Collect what one owner leaves behind."""
        uid = key[1]
        dependents = [
            (_BY_STORAGE[storage], obj)
            for storage, obj in self._api.store.everything()
            if any(r["uid"] == uid for r in get(obj, "metadata", "ownerReferences", default=[]))
        ]
        owner = self._owner(key, dependents)
        if owner is None:
            for kind, obj in dependents:
                if not self._has_other_owner(obj, uid):
                    self._collect(kind, obj, "Background")
            return None
        kind, obj = owner
        finalizers = get(obj, "metadata", "finalizers", default=[])
        if not is_terminating(obj):
            return None
        if ORPHAN in finalizers:
            for below, dependent in dependents:
                self._disown(below, dependent, uid)
            drop_finalizer(self._api, kind, obj, ORPHAN)
        elif FOREGROUND in finalizers:
            for below, dependent in dependents:
                self._collect(below, dependent, "Foreground")
            if not dependents:
                drop_finalizer(self._api, kind, obj, FOREGROUND)
        return None

    def _owner(self, key: Key, dependents: list[tuple[Kind, Obj]]) -> tuple[Kind, Obj] | None:
        storage, uid = key
        kinds = [_BY_STORAGE[storage]] if storage in _BY_STORAGE else []
        for _, obj in dependents:
            for reference in get(obj, "metadata", "ownerReferences", default=[]):
                if reference["uid"] == uid:
                    try:
                        kinds.append(by_kind(reference["apiVersion"], reference["kind"]))
                    except KeyError:
                        # An owner of a kind this server does not have cannot be found gone.
                        return None
        for kind in dict.fromkeys(kinds):
            for obj in self._api.store.all(kind):
                if uid_of(obj) == uid:
                    return kind, obj
        return None

    def _has_other_owner(self, obj: Obj, uid: str) -> bool:
        others = {
            r["uid"] for r in get(obj, "metadata", "ownerReferences", default=[]) if r["uid"] != uid
        }
        return bool(others) and any(uid_of(o) in others for _, o in self._api.store.everything())

    def _collect(self, kind: Kind, obj: Obj, propagation: str) -> None:
        if self._api.find(kind, namespace_of(obj), name_of(obj)) is None or is_terminating(obj):
            return
        options = DeleteOptions(propagation=propagation)
        delete(self._api, kind, namespace_of(obj), name_of(obj), options)

    def _disown(self, kind: Kind, obj: Obj, uid: str) -> None:
        changed = copy(obj)
        left = [r for r in changed["metadata"]["ownerReferences"] if r["uid"] != uid]
        if left:
            changed["metadata"]["ownerReferences"] = left
        else:
            changed["metadata"].pop("ownerReferences")
        self._api.store.put(kind, changed)
