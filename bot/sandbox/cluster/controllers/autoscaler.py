"""HorizontalPodAutoscaler without a metrics server: it keeps the target within its bounds."""

from collections.abc import Iterable

from bot.sandbox.cluster import errors
from bot.sandbox.cluster.api import Api
from bot.sandbox.cluster.controllers.events import Recorder
from bot.sandbox.cluster.decoding import Options
from bot.sandbox.cluster.errors import ApiError
from bot.sandbox.cluster.kinds import DEPLOYMENT, HPA, KINDS, Kind
from bot.sandbox.cluster.objects import (
    Obj,
    condition_of,
    copy,
    get,
    name_of,
    namespace_of,
    timestamp,
)
from bot.sandbox.cluster.store import Change, Key
from bot.sandbox.cluster.subresources import scale_of, update_scale

_NO_METRICS = (
    "unable to get metrics for resource {name}: unable to fetch metrics from resource metrics API: "
    "the server could not find the requested resource (get pods.metrics.k8s.io)"
)


class AutoscalerController:
    """Looks at each autoscaler every `sync_seconds`, beginning with its creation."""

    name = "horizontal-pod-autoscaler"

    def __init__(self, api: Api, sync_seconds: float) -> None:
        self._api = api
        self._sync_seconds = sync_seconds
        self._events = Recorder(api, "horizontal-pod-autoscaler")
        self._known: set[Key] = set()

    def keys(self, change: Change) -> Iterable[Key]:
        """An autoscaler whose bounds changed. A new one waits for its turn, as it does in a real
        cluster."""
        if change.storage != HPA.storage or change.type == "DELETED":
            return []
        if change.old is not None and change.old.get("spec") == change.obj.get("spec"):
            return []
        return [(namespace_of(change.obj), name_of(change.obj))]

    def all_keys(self) -> Iterable[Key]:
        """Every autoscaler."""
        return [(namespace_of(h), name_of(h)) for h in self._api.store.all(HPA)]

    def reconcile(self, key: Key) -> float | None:
        """Keep the target's replicas between the bounds and write the status."""
        autoscaler = self._api.find(HPA, *key)
        if autoscaler is None:
            self._known.discard(key)
            return None
        if key not in self._known:
            self._known.add(key)
            return self._sync_seconds
        try:
            self._sync(autoscaler)
        except ApiError as error:
            self._events.warning(autoscaler, "FailedGetScale", error.message)
            conditions = _with(
                autoscaler,
                (
                    "AbleToScale",
                    "False",
                    "FailedGetScale",
                    "the HPA controller was unable to get the target's current scale: "
                    f"{error.message}",
                ),
            )
            self._write(
                autoscaler, {**get(autoscaler, "status", default={}), "conditions": conditions}
            )
        return self._sync_seconds

    def _sync(self, autoscaler: Obj) -> None:
        kind, target = self._target(autoscaler)
        spec = autoscaler["spec"]
        now = get(scale_of(target), "spec", "replicas", default=0)
        low, high = spec.get("minReplicas", 1), spec["maxReplicas"]
        conditions = _with(
            autoscaler,
            (
                "AbleToScale",
                "True",
                "SucceededGetScale",
                "the HPA controller was able to get the target's current scale",
            ),
        )
        if now == 0:
            conditions = _put(
                conditions,
                (
                    "ScalingActive",
                    "False",
                    "ScalingDisabled",
                    "scaling is disabled since the replica count of the target is zero",
                ),
            )
            self._write(autoscaler, _status(autoscaler, 0, 0, conditions))
            return
        wanted = min(max(now, low), high)
        if wanted != now:
            text = "Current number of replicas below Spec.MinReplicas"
            if now > high:
                text = "Current number of replicas above Spec.MaxReplicas"
            scale = copy(scale_of(target))
            scale["spec"]["replicas"] = wanted
            options = Options(manager="kube-controller-manager")
            update_scale(self._api, kind, namespace_of(target), name_of(target), scale, options)
            self._events.normal(
                autoscaler, "SuccessfulRescale", f"New size: {wanted}; reason: {text}"
            )
            conditions = _put(
                conditions,
                (
                    "AbleToScale",
                    "True",
                    "SucceededRescale",
                    f"the HPA controller was able to update the target scale to {wanted}",
                ),
            )
            self._write(autoscaler, _status(autoscaler, now, wanted, conditions))
            return
        name = get(spec.get("metrics", [{}])[0], "resource", "name", default="cpu")
        why = f"failed to get {name} utilization: {_NO_METRICS.format(name=name)}"
        self._events.warning(autoscaler, "FailedGetResourceMetric", why)
        self._events.warning(
            autoscaler,
            "FailedComputeMetricsReplicas",
            f"invalid metrics (1 invalid out of 1), first error is: failed to get {name} resource "
            f"metric value: {why}",
        )
        conditions = _put(
            conditions,
            (
                "ScalingActive",
                "False",
                "FailedGetResourceMetric",
                f"the HPA was unable to compute the replica count: {why}",
            ),
        )
        self._write(autoscaler, _status(autoscaler, now, 0, conditions))

    def _target(self, autoscaler: Obj) -> tuple[Kind, Obj]:
        reference = autoscaler["spec"]["scaleTargetRef"]
        for kind in KINDS:
            if kind.kind == reference["kind"] and "scale" in kind.subresources:
                found = self._api.get(kind, namespace_of(autoscaler), reference["name"])
                return kind, found
        raise errors.not_found(DEPLOYMENT, reference["name"])

    def _write(self, autoscaler: Obj, status: Obj) -> None:
        if status != autoscaler.get("status"):
            changed = copy(autoscaler)
            changed["status"] = status
            self._api.update_status(HPA, changed, "kube-controller-manager")


def _status(autoscaler: Obj, current: int, desired: int, conditions: list[Obj]) -> Obj:
    status = dict(get(autoscaler, "status", default={}))
    status.pop("currentMetrics", None)
    status |= {"desiredReplicas": desired, "conditions": conditions}
    if current:
        status["currentReplicas"] = current
    return status


def _with(autoscaler: Obj, *states: tuple[str, str, str, str]) -> list[Obj]:
    conditions: list[Obj] = copy(get(autoscaler, "status", "conditions", default=[]))
    for state in states:
        conditions = _put(conditions, state)
    return conditions


def _put(conditions: list[Obj], state: tuple[str, str, str, str]) -> list[Obj]:
    kind, status, reason, message = state
    before = condition_of({"status": {"conditions": conditions}}, kind)
    since = before["lastTransitionTime"] if before and before["status"] == status else timestamp()
    new = {
        "type": kind,
        "status": status,
        "lastTransitionTime": since,
        "reason": reason,
        "message": message,
    }
    if before is None:
        return [*conditions, new]
    return [new if c["type"] == kind else c for c in conditions]
