"""What a plan changes of where a gateway's token ends up. Pure.

A token that stays in its Secret still goes elsewhere when its pods run another image, ask another
host, resolve its name otherwise or trust another certificate. This is read off the plan's object
changes, so it holds however the change was asked for.
"""

import re
from collections.abc import Iterator
from typing import Any, Literal

from deploy.images.names import repository_of
from deploy.plans.diff import keyed, step
from deploy.plans.plan import FieldChange, ObjectChange, Plan

Redirection = Literal["endpoint", "image", "names", "proxy", "authorities", "certificates"]

_SETTINGS: dict[str, Redirection] = {
    "config.service.endpoint": "endpoint",
    "http_proxy": "proxy",
    "https_proxy": "proxy",
    "all_proxy": "proxy",
    "no_proxy": "proxy",
    "certificates.local.ca.enabled": "authorities",
    "config.service.endpoint.disablecertificatevalidation": "certificates",
    "security.certificate-revocation.validation.enabled": "certificates",
}
"""By setting, in lower case: .NET reads names of settings without case."""

_POD = r"spec\.template\.spec\."
_CONTAINER = _POD + r"(?:initContainers|containers)\[[^\]]*\]\."
_FIELDS: tuple[tuple[re.Pattern[str], Redirection], ...] = (
    (re.compile(_POD + r"(dnsPolicy|dnsConfig|hostAliases|hostNetwork)\b"), "names"),
    (re.compile(_POD + r"volumes\[ca-certificates\]"), "authorities"),
    (re.compile(_CONTAINER + r"volumeMounts\[[^\]]*ca-certificates[^\]]*\]"), "authorities"),
)
_IMAGE = re.compile(_CONTAINER + "image")
_VARIABLE = re.compile(_CONTAINER + r"env\[([^\]]*)\]")
_SOURCES = re.compile(_CONTAINER + "envFrom")
_DATA = re.compile(r'data(?:\.([^.\["]+)|\["([^"]+)"\])')

_Leaf = tuple[str, Any, Any]


def redirections(plan: Plan) -> frozenset[Redirection]:
    """What the plan changes of where the token is sent or held, for a gateway that runs already.

    A Deployment that is created has no token yet: then one is minted. A ConfigMap that was there
    before it may be what other pods run on.
    """
    created = any(c.kind == "Deployment" and c.change == "create" for c in plan.changes)
    return frozenset(
        kind
        for change in plan.changes
        if not created or (change.kind, change.change) == ("ConfigMap", "update")
        for kind in _touched(change)
    )


def _touched(change: ObjectChange) -> Iterator[Redirection]:
    if change.kind == "ConfigMap" and change.change == "create":
        # The earlier settings of its pods cannot be seen.
        yield from _SETTINGS.values()
        return
    for path, old, new in _leaves(change):
        if change.kind == "ConfigMap" and (found := _DATA.match(path)):
            yield from _of_setting(found[1] or found[2])
        elif change.kind == "Deployment":
            yield from _of_pods(path, old, new)


def _of_pods(path: str, old: Any, new: Any) -> Iterator[Redirection]:
    if _IMAGE.fullmatch(path) and repository_of(str(old)) != repository_of(str(new)):
        yield "image"
    if found := _VARIABLE.match(path):
        yield from _of_setting(found[1])
    if _SOURCES.match(path):
        yield from _SETTINGS.values()
    yield from (kind for pattern, kind in _FIELDS if pattern.match(path))


def _of_setting(name: str) -> Iterator[Redirection]:
    kind = _SETTINGS.get(name.lower())
    if kind is not None:
        yield kind


def _leaves(change: ObjectChange) -> Iterator[_Leaf]:
    """The changes down to single values: a whole list or mapping may be shown as one field."""
    for field in change.fields:
        yield from _descend(field)


def _descend(field: FieldChange) -> Iterator[_Leaf]:
    old, new = _below(field.old), _below(field.new)
    if old is None or new is None or field.old == field.new:
        yield field.path, field.old, field.new
        return
    inside_list = isinstance(field.old or field.new, list)
    for key in [*old, *(k for k in new if k not in old)]:
        if old.get(key) != new.get(key):
            path = step(field.path, key, in_list=inside_list)
            yield from _descend(FieldChange(path, old.get(key), new.get(key)))


def _below(value: Any) -> dict[str, Any] | None:
    """What a value holds by key; None for a single value, or a list whose entries have no key."""
    if value is None:
        return {}
    if isinstance(value, dict):
        return value
    return keyed(value) if isinstance(value, list) and value else None
