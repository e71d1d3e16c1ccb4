"""Whether a namespace's ResourceQuotas and LimitRanges let the pods be made. Pure."""

import math
from collections.abc import Collection, Iterator, Mapping
from fractions import Fraction
from typing import Any

from deploy.kube.objects import Manifest
from deploy.plans.preflight.classes import priority_of, with_runtime
from deploy.plans.preflight.outlook import Outlook, Wanted
from deploy.plans.preflight.resources import (
    Amounts,
    of_container,
    of_kind,
    of_pod,
    shown,
    with_overhead,
)
from deploy.rules.finding import Finding
from deploy.rules.reading import amount, at, mapping, mappings, text

_PODS = ("pods", "count/pods")
_SAME = {"cpu": "requests.cpu", "memory": "requests.memory"}
_NEEDED = ("requests.cpu", "requests.memory", "limits.cpu", "limits.memory")
_STOPS_ALL = "rollout-stops-all"
_ONE_BY_ONE = {"rollout": {"maxUnavailable": 1, "maxSurge": 0}}


def quota_findings(wanted: Wanted, outlook: Outlook) -> Iterator[Finding]:
    """What a ResourceQuota does not let be made."""
    asked = of_pod(wanted.pod, outlook.limits or ())
    each = with_overhead(asked, with_runtime(wanted.pod, outlook))
    for quota in outlook.quotas or ():
        if _counts(quota, priority_of(wanted.pod, outlook), asked):
            yield from _of_quota(wanted, outlook, quota, each)


def _of_quota(
    wanted: Wanted, outlook: Outlook, quota: Manifest, each: Amounts
) -> Iterator[Finding]:
    name, hard = quota["metadata"]["name"], _amounts(quota, "hard")
    unsaid = [key for key in _NEEDED if key in hard and not _all_say(wanted.pod, outlook, key)]
    if unsaid:
        # Pods that run without it had it filled in by an admission webhook, or are older.
        before = wanted.running and not any(
            _all_say(wanted.pod_now, outlook, key) for key in unsaid
        )
        unread = outlook.limits is None
        unless = (
            ("; a LimitRange may set them, but the bot cannot read LimitRanges") if unread else ""
        )
        yield Finding(
            "quota",
            "warning" if before or unread else "deny",
            f"Quota {name} requires {', '.join(unsaid)}, which the pods do not set.",
            "Kubernetes does not create pods without the values that a quota of their namespace "
            f"counts{unless}.",
            f"Set {', '.join(f'resources.{_field(key)}' for key in unsaid)}.",
        )
        return
    used, per = _amounts(quota, "used"), {**each, **dict.fromkeys(_PODS, Fraction(1))}
    counted = [key for key in hard if per.get(key)]
    if not counted:
        return
    free = {key: hard[key] - used.get(key, Fraction()) for key in counted}
    room, tightest = min((math.floor(free[key] / per[key]), key) for key in counted)
    ever = min(math.floor(hard[key] / per[key]) for key in counted)
    left = shown(max(free[tightest], Fraction()), tightest)
    taken = f"{tightest}: {shown(per[tightest], tightest)} for each pod, {left} left."
    more = max(0, wanted.least - wanted.running)
    if room < more:
        yield Finding(
            "quota",
            "deny" if ever < wanted.least else "warning",
            f"Quota {name} has room for {max(room, 0)} of {more} more pods.",
            taken,
            "Request less, or have the quota raised.",
        )
    elif wanted.least and wanted.replaces and wanted.gives_up_none and room - more < 1:
        several = wanted.least > 1
        # The rule would deny the plan that this leads to.
        offered = several or _STOPS_ALL not in outlook.denied
        yield Finding(
            "quota",
            "deny" if ever <= wanted.least else "warning",
            f"Quota {name} has no room for the extra pod that the rollout needs.",
            taken,
            "Replace the pods one by one; one fewer serves traffic during the rollout."
            if several
            else "Stop the pod before starting the new one; nothing serves traffic in between."
            if offered
            else "Request less, or have the quota raised.",
            _ONE_BY_ONE if offered else None,
        )


def limit_findings(wanted: Wanted, outlook: Outlook) -> Iterator[Finding]:
    """What a LimitRange does not allow."""
    limits = outlook.limits or ()
    # An admission webhook may give pods what their template lacks, as it did for those that run.
    before = set(_refused(wanted.pod_now, limits)) if wanted.running else set()
    for each in _refused(wanted.pod, limits):
        name, what, wrong = each
        yield Finding(
            "limit-range",
            "warning" if each in before else "deny",
            f"LimitRange {name} does not allow this {what}.",
            f"{wrong}.",
            "Change `resources` to stay within that range.",
        )


def _refused(
    pod: Mapping[str, Any], limits: Collection[Manifest]
) -> Iterator[tuple[str, str, str]]:
    """The LimitRange, what of the pod it does not allow, and why."""
    for container in mappings(pod.get("containers")):
        asked, what = of_container(container, limits), f"container {text(container.get('name'))}"
        for name, limit in of_kind(limits, "Container"):
            for wrong in (*_outside(asked, limit), *_overfilled(container, asked, limit)):
                yield name, what, wrong
    for name, limit in of_kind(limits, "Pod"):
        for wrong in _outside(of_pod(pod, limits), limit):
            yield name, "pod", wrong


def _outside(asked: Amounts, limit: Mapping[str, Any]) -> Iterator[str]:
    for name, title in (("cpu", "CPU"), ("memory", "Memory")):
        request, most = asked.get(f"requests.{name}"), asked.get(f"limits.{name}")
        highest = amount(mapping(limit.get("max")).get(name))
        lowest = amount(mapping(limit.get("min")).get(name))
        ratio = amount(mapping(limit.get("maxLimitRequestRatio")).get(name))
        if highest is not None and (most is None or most > highest):
            has = "no limit" if most is None else f"a limit of {shown(most, name)}"
            yield f"{title} has {has}; the maximum is {shown(highest, name)}"
        elif lowest is not None and (request is None or request < lowest):
            has = "no request" if request is None else f"a request of {shown(request, name)}"
            yield f"{title} has {has}; the minimum is {shown(lowest, name)}"
        elif ratio is not None and request and most and most / request > ratio:
            has = f"{float(most / request):g} times its request"
            yield f"{title} has a limit of {has}; the maximum is {float(ratio):g} times"


def _overfilled(
    container: Mapping[str, Any], asked: Amounts, limit: Mapping[str, Any]
) -> Iterator[str]:
    """A default limit that is less than what the container requests, which no pod may have."""
    for name, title in (("cpu", "CPU"), ("memory", "Memory")):
        if amount(at(container, "resources", "limits", name)) is not None:
            continue
        request, filled = asked.get(f"requests.{name}"), amount(at(limit, "default", name))
        if filled is not None and request is not None and request > filled:
            has = f"a request of {shown(request, name)} and no limit"
            yield f"{title} has {has}; the default limit is {shown(filled, name)}"


def _all_say(pod: Mapping[str, Any], outlook: Outlook, key: str) -> bool:
    every = (*mappings(pod.get("containers")), *mappings(pod.get("initContainers")))
    return all(key in of_container(each, outlook.limits or ()) for each in every)


def _field(key: str) -> str:
    return key.removeprefix("requests.")


def _amounts(quota: Manifest, which: str) -> Amounts:
    said = mapping(at(quota, "status", which)) or mapping(at(quota, "spec", which))
    found = {_SAME.get(key, key): amount(value) for key, value in said.items()}
    return {key: value for key, value in found.items() if value is not None}


def _counts(quota: Manifest, priority: str | None, asked: Amounts) -> bool:
    """Whether a quota counts pods of that priority class whose containers ask for so much (Kubernetes
    documentation, "Quota scopes"). A runtime's overhead makes no pod another than best effort."""
    said = at(quota, "spec", "scopes")
    scopes = [str(scope) for scope in said] if isinstance(said, list) else []
    selected = mappings(at(quota, "spec", "scopeSelector", "matchExpressions"))
    answers = {"BestEffort": not asked, "NotBestEffort": bool(asked), "NotTerminating": True}
    if not all(answers.get(scope, False) for scope in scopes):
        return False
    return all(_selects(expression, priority, answers) for expression in selected)


def _selects(
    expression: Mapping[str, Any], priority: str | None, answers: Mapping[str, bool]
) -> bool:
    scope, operator = text(expression.get("scopeName")), text(expression.get("operator"))
    if scope != "PriorityClass":
        return answers.get(scope, False)
    if priority is None:
        return False
    values = expression.get("values")
    listed = isinstance(values, list) and priority in values
    return {
        "In": listed,
        "NotIn": not listed,
        "Exists": bool(priority),
        "DoesNotExist": not priority,
    }.get(operator, False)
