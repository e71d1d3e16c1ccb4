"""What a namespace's ResourceQuotas count, and what they let nobody create."""

from collections.abc import Iterable
from decimal import Decimal

from bot.sandbox.cluster import quantity
from bot.sandbox.cluster.errors import ApiError, forbidden
from bot.sandbox.cluster.kinds import CLAIM, KINDS, POD, QUOTA, SERVICE, Kind
from bot.sandbox.cluster.objects import Obj, get, name_of, namespace_of
from bot.sandbox.cluster.store import Store

_CONTAINERS = ("initContainers", "containers")
_GROUPS = {
    "cpu": ("requests", "cpu"),
    "memory": ("requests", "memory"),
    **{f"{group}.{name}": (group, name)
       for group in ("requests", "limits") for name in ("cpu", "memory")},
}  # fmt: skip
"""Where each container says what a quota counts; each must say it then."""


def check_quota(store: Store, kind: Kind, obj: Obj) -> None:
    """Refuse a create that would exceed a ResourceQuota of its namespace, or leaves out what one
    counts (403)."""
    for limits in store.all(QUOTA, namespace_of(obj)) if kind.namespaced else ():
        if not _in_scope(limits, kind, obj):
            continue
        hard = get(limits, "spec", "hard", default={})
        if kind is POD and (missing := _unsaid(obj, hard)):
            words = f"failed quota: {name_of(limits)}: must specify {missing}"
            raise forbidden(kind, name_of(obj), words)
        used = usage(store, limits)
        asked = demand(kind, obj, hard)
        over = [
            name
            for name, amount in asked.items()
            if quantity.parse(used[name]) + quantity.parse(amount) > quantity.parse(hard[name])
        ]
        if over:
            raise _exceeded(kind, obj, limits, over, asked, used, hard)


def usage(store: Store, quota: Obj) -> dict[str, str]:
    """How much of each name a quota limits is in use in its namespace."""
    total = {name: quantity.parse("0") for name in get(quota, "spec", "hard", default={})}
    for kind in KINDS:
        if not kind.namespaced or kind.stored_as:
            continue
        for obj in store.all(kind, namespace_of(quota)):
            if kind is POD and get(obj, "status", "phase") in ("Succeeded", "Failed"):
                continue
            if not _in_scope(quota, kind, obj):
                continue
            for name, amount in demand(kind, obj, total).items():
                total[name] += quantity.parse(amount)
    return {name: quantity.canonical(str(amount)) for name, amount in total.items()}


def demand(kind: Kind, obj: Obj, hard: Iterable[str]) -> dict[str, str]:
    """What one object counts for each name a quota limits."""
    found: dict[str, str] = {}
    for name in hard:
        if name in (kind.plural, f"count/{kind.resource}"):
            found[name] = "1"
        elif kind is POD and name in _GROUPS:
            found[name] = _summed(obj, *_GROUPS[name])
        elif kind is CLAIM and name == "requests.storage":
            found[name] = get(obj, "spec", "resources", "requests", "storage", default="0")
        elif kind is SERVICE and name in ("services.loadbalancers", "services.nodeports"):
            of_type = get(obj, "spec", "type") == (
                "LoadBalancer" if name == "services.loadbalancers" else "NodePort"
            )
            found[name] = "1" if of_type else "0"
    return found


def _summed(pod: Obj, group: str, resource: str) -> str:
    """Over the containers, but no less than the largest that only starts the pod; what a runtime
    class takes for each pod comes on top."""

    def said(container: Obj) -> Decimal:
        return quantity.parse(get(container, "resources", group, resource, default="0"))

    inits = get(pod, "spec", "initContainers", default=[])
    stay = [each for each in inits if each.get("restartPolicy") == "Always"]
    total = sum(map(said, [*get(pod, "spec", "containers", default=[]), *stay]), Decimal(0))
    total = max([total, *map(said, inits)])
    overhead = quantity.parse(get(pod, "spec", "overhead", resource, default="0"))
    if group == "requests" or total:
        total += overhead
    return quantity.canonical(str(total))


def _unsaid(pod: Obj, hard: Iterable[str]) -> str:
    missing: dict[str, list[str]] = {}
    for name in sorted(set(hard) & set(_GROUPS)):
        group, resource = _GROUPS[name]
        without = [
            container["name"]
            for part in _CONTAINERS
            for container in get(pod, "spec", part, default=[])
            if get(container, "resources", group, resource) is None
        ]
        if without:
            missing[name] = without
    return "; ".join(f"{name} for: {','.join(sorted(who))}" for name, who in missing.items())


def _in_scope(quota: Obj, kind: Kind, obj: Obj) -> bool:
    scopes = get(quota, "spec", "scopes", default=[])
    selected = get(quota, "spec", "scopeSelector", "matchExpressions", default=[])
    if kind is not POD:
        return not scopes and not selected
    bare = get(obj, "status", "qosClass") == "BestEffort"
    holds = {"BestEffort": bare, "NotBestEffort": not bare}
    ends = get(obj, "spec", "activeDeadlineSeconds") is not None
    holds |= {"Terminating": ends, "NotTerminating": not ends}
    if not all(holds.get(scope, False) for scope in scopes):
        return False
    chosen = get(obj, "spec", "priorityClassName", default="")
    return all(_selects(each, chosen, holds) for each in selected)


def _selects(expression: Obj, chosen: str, holds: dict[str, bool]) -> bool:
    if expression.get("scopeName") != "PriorityClass":
        return holds.get(expression.get("scopeName", ""), False)
    listed = chosen in (expression.get("values") or [])
    answers = {
        "In": listed,
        "NotIn": not listed,
        "Exists": bool(chosen),
        "DoesNotExist": not chosen,
    }
    return answers.get(expression.get("operator", ""), False)


def _exceeded(
    kind: Kind,
    obj: Obj,
    limits: Obj,
    over: list[str],
    asked: dict[str, str],
    used: dict[str, str],
    hard: dict[str, str],
) -> ApiError:
    def listing(values: dict[str, str]) -> str:
        return ",".join(f"{name}={values[name]}" for name in sorted(over))

    return forbidden(
        kind,
        name_of(obj),
        f"exceeded quota: {name_of(limits)}, requested: {listing(asked)}, "
        f"used: {listing(used)}, limited: {listing(hard)}",
    )
