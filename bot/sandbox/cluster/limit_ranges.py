"""What a namespace's LimitRanges fill into a pod, and what they do not allow it."""

from collections.abc import Iterator

from bot.sandbox.cluster import quantity
from bot.sandbox.cluster.errors import forbidden
from bot.sandbox.cluster.kinds import LIMIT_RANGE, POD
from bot.sandbox.cluster.objects import Obj, get, name_of, namespace_of
from bot.sandbox.cluster.store import Store


def limit_pod(store: Store, pod: Obj) -> None:
    """Fill the defaults into a new pod; ApiError 403 for what is out of range."""
    limits = [
        limit
        for found in store.all(LIMIT_RANGE, namespace_of(pod))
        for limit in get(found, "spec", "limits", default=[])
    ]
    containers = [
        container
        for part in ("initContainers", "containers")
        for container in get(pod, "spec", part, default=[])
    ]
    for container in containers:
        for limit in limits:
            if limit["type"] == "Container":
                _fill(container["resources"], limit)
    wrong = [words for limit in limits for words in _wrong(limit, pod, containers)]
    if wrong:
        said = wrong[0] if len(wrong) == 1 else f"[{', '.join(wrong)}]"
        raise forbidden(POD, name_of(pod), said)


def complete(limit: Obj) -> None:
    """The defaults of one limit: a default limit is its maximum, a default request the default limit
    or else the minimum."""
    if limit.get("type") != "Container":
        return
    most = {**(limit.get("max") or {}), **(limit.get("default") or {})}
    least = {**(limit.get("min") or {}), **most, **(limit.get("defaultRequest") or {})}
    if most:
        limit["default"] = most
    if least:
        limit["defaultRequest"] = least


def _fill(resources: Obj, limit: Obj) -> None:
    for group, source in (("limits", "default"), ("requests", "defaultRequest")):
        for name, amount in (limit.get(source) or {}).items():
            resources.setdefault(group, {}).setdefault(name, amount)


def _wrong(limit: Obj, pod: Obj, containers: list[Obj]) -> Iterator[str]:
    kind = limit["type"]
    if kind == "Container":
        for container in containers:
            said = container["resources"]
            yield from _outside(limit, said.get("requests") or {}, said.get("limits") or {})
    elif kind == "Pod":
        yield from _outside(limit, _summed(pod, "requests"), _summed(pod, "limits"))


def _summed(pod: Obj, group: str) -> Obj:
    total: Obj = {}
    for container in get(pod, "spec", "containers", default=[]):
        for name, amount in (get(container, "resources", group) or {}).items():
            summed = quantity.parse(total.get(name, "0")) + quantity.parse(amount)
            total[name] = quantity.canonical(str(summed))
    return total


def _outside(limit: Obj, requests: Obj, most: Obj) -> Iterator[str]:
    kind = limit["type"]
    for name, bound in (limit.get("min") or {}).items():
        told = f"minimum {name} usage per {kind} is {bound}"
        if name not in requests:
            yield f"{told}.  No request is specified"
        elif quantity.parse(requests[name]) < quantity.parse(bound):
            yield f"{told}, but request is {requests[name]}"
    for name, bound in (limit.get("max") or {}).items():
        told = f"maximum {name} usage per {kind} is {bound}"
        if name not in most:
            yield f"{told}.  No limit is specified"
        elif quantity.parse(most[name]) > quantity.parse(bound):
            yield f"{told}, but limit is {most[name]}"
    for name, bound in (limit.get("maxLimitRequestRatio") or {}).items():
        told = f"{name} max limit to request ratio per {kind} is {bound}"
        if not quantity.parse(requests.get(name, "0")):
            yield f"{told}, but no request is specified or request is 0"
        elif not quantity.parse(most.get(name, "0")):
            yield f"{told}, but no limit is specified or limit is 0"
        else:
            ratio = quantity.parse(most[name]) / quantity.parse(requests[name])
            if ratio > quantity.parse(bound):
                yield f"{told}, but provided ratio is {ratio:.6f}"
