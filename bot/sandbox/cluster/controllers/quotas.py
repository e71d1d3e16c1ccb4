"""ResourceQuota status."""

from collections.abc import Iterable

from bot.sandbox.cluster.api import Api
from bot.sandbox.cluster.kinds import EVENT, QUOTA
from bot.sandbox.cluster.objects import copy, get, name_of, namespace_of
from bot.sandbox.cluster.quotas import usage
from bot.sandbox.cluster.store import Change, Key


class QuotaController:
    """Counts what a namespace uses of its quotas."""

    name = "resource-quota"

    def __init__(self, api: Api) -> None:
        self._api = api

    def keys(self, change: Change) -> Iterable[Key]:
        """The quotas of a namespace in which something came, went or changed."""
        if change.storage == EVENT.storage:
            return []
        space = namespace_of(change.obj)
        return [(space, name_of(q)) for q in self._api.store.all(QUOTA, space)] if space else []

    def all_keys(self) -> Iterable[Key]:
        """Every quota."""
        return [(namespace_of(q), name_of(q)) for q in self._api.store.all(QUOTA)]

    def reconcile(self, key: Key) -> float | None:
        """Write the counts."""
        quota = self._api.find(QUOTA, *key)
        if quota is None:
            return None
        hard = get(quota, "spec", "hard", default={})
        status = {"hard": hard, "used": usage(self._api.store, quota)}
        if status != quota.get("status"):
            changed = copy(quota)
            changed["status"] = status
            self._api.update_status(QUOTA, changed, "kube-controller-manager")
        return None
