"""Events, counted and combined as client-go's recorder does."""

import time

from bot.sandbox.cluster.api import Api
from bot.sandbox.cluster.decoding import Options
from bot.sandbox.cluster.errors import ApiError
from bot.sandbox.cluster.kinds import EVENT
from bot.sandbox.cluster.objects import Obj, copy, name_of, namespace_of, timestamp, uid_of

_SIMILAR = 10
_INTERVAL_SECONDS = 600.0


class Recorder:
    """Writes events for one component. An event that repeats is counted; more than ten different
    messages of one reason in ten minutes become one combined event."""

    def __init__(self, api: Api, component: str, manager: str = "kube-controller-manager") -> None:
        self._api = api
        self._component = component
        self._manager = manager
        self._written: dict[tuple[str, ...], str] = {}
        self._similar: dict[tuple[str, ...], tuple[float, set[str]]] = {}

    def normal(self, about: Obj, reason: str, message: str) -> None:
        """Record something that went as it should."""
        self._record(about, "Normal", reason, message)

    def warning(self, about: Obj, reason: str, message: str) -> None:
        """Record trouble."""
        self._record(about, "Warning", reason, message)

    def _record(self, about: Obj, kind: str, reason: str, message: str) -> None:
        group: tuple[str, ...] = (uid_of(about), name_of(about), kind, reason)
        now = time.monotonic()
        seen_at, messages = self._similar.get(group, (now, set()))
        if now - seen_at > _INTERVAL_SECONDS:
            messages = set()
        messages.add(message)
        self._similar[group] = (now, messages)
        key = (*group, message)
        combined = len(messages) >= _SIMILAR
        if combined:
            message, key = f"(combined from similar events): {message}", group
        try:
            self._write(about, kind, reason, message, key, combined=combined)
        except ApiError:
            # An event that cannot be written, in a namespace that ends, is lost in a real cluster
            # too.
            self._written.pop(key, None)

    def _write(
        self,
        about: Obj,
        kind: str,
        reason: str,
        message: str,
        key: tuple[str, ...],
        *,
        combined: bool,
    ) -> None:
        namespace = namespace_of(about) or "default"
        options = Options(manager=self._manager)
        known = self._api.find(EVENT, namespace, self._written.get(key, ""))
        now = timestamp()
        if known is not None:
            event = copy(known)
            event["count"] = event.get("count", 1) + 1
            event["lastTimestamp"] = now
            event["message"] = message
            self._api.update(EVENT, namespace, name_of(known), event, options)
            return
        involved: Obj = {
            "kind": about["kind"],
            "name": name_of(about),
            "uid": uid_of(about),
            "apiVersion": about["apiVersion"],
            "resourceVersion": about["metadata"].get("resourceVersion", ""),
        }
        if namespace_of(about):
            involved["namespace"] = namespace_of(about)
        name = f"{name_of(about)}.{time.time_ns():x}"
        self._api.create(
            EVENT,
            namespace,
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"name": name, "namespace": namespace},
                "involvedObject": involved,
                "reason": reason,
                "message": message,
                "source": {"component": self._component},
                "firstTimestamp": now,
                "lastTimestamp": now,
                "count": 1,
                "type": kind,
                "reportingComponent": "" if combined else self._component,
            },
            options,
        )
        self._written[key] = name
