"""Admission webhooks: servers of others that change or refuse what is written.

A write is one step of this cluster, so all else waits while a webhook is asked.
"""

import base64
import contextlib
import http.client
import json
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

from bot.sandbox.cluster.errors import ApiError, internal_error
from bot.sandbox.cluster.kinds import MUTATING_WEBHOOKS, NAMESPACE, VALIDATING_WEBHOOKS, Kind
from bot.sandbox.cluster.objects import Obj, get, name_of, namespace_of, new_uid
from bot.sandbox.cluster.patches import json_patch
from bot.sandbox.cluster.selectors import selects
from bot.sandbox.cluster.store import Store

_VERSION = "admission.k8s.io/v1"


class Webhooks:
    """Asks those that are configured in `store`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def mutate(self, kind: Kind, obj: Obj, old: Obj | None, *, dry_run: bool) -> Obj:
        """The object as mutating webhooks leave it. ApiError for what one refuses, and 500 where one
        does not answer."""
        for hook in self._asked(MUTATING_WEBHOOKS, kind, obj, old):
            answer = _call(hook, kind, obj, old, dry_run=dry_run)
            patch = answer.get("patch")
            if patch:
                obj = json_patch(obj, json.loads(base64.b64decode(patch)))
        return obj

    def validate(self, kind: Kind, obj: Obj, old: Obj | None, *, dry_run: bool) -> None:
        """ApiError for what a validating webhook refuses, and 500 where one does not answer."""
        for hook in self._asked(VALIDATING_WEBHOOKS, kind, obj, old):
            _call(hook, kind, obj, old, dry_run=dry_run)

    def _asked(self, configured: Kind, kind: Kind, obj: Obj, old: Obj | None) -> Iterator[Obj]:
        if kind.group == configured.group:
            # Else one that is wrong could never be mended.
            return
        found = sorted(self._store.all(configured), key=name_of)
        for hook in (each for item in found for each in item.get("webhooks") or []):
            rules = hook.get("rules") or []
            if any(_covers(rule, kind, old) for rule in rules) and self._selected(hook, kind, obj):
                yield hook

    def _selected(self, hook: Obj, kind: Kind, obj: Obj) -> bool:
        if not selects(hook.get("objectSelector") or {}, obj):
            return False
        if not kind.namespaced and kind is not NAMESPACE:
            return True
        space = obj if kind is NAMESPACE else self._store.get(NAMESPACE, "", namespace_of(obj))
        return space is not None and selects(hook.get("namespaceSelector") or {}, space)


def _covers(rule: Obj, kind: Kind, old: Obj | None) -> bool:
    operation = "CREATE" if old is None else "UPDATE"
    return all(
        wanted in listed or "*" in listed
        for wanted, listed in (
            (operation, rule.get("operations") or []),
            (kind.group, rule.get("apiGroups") or []),
            (kind.version, rule.get("apiVersions") or []),
            (kind.plural, rule.get("resources") or []),
        )
    )


def _call(hook: Obj, kind: Kind, obj: Obj, old: Obj | None, *, dry_run: bool) -> Obj:
    resource = {"group": kind.group, "version": kind.version, "resource": kind.plural}
    request: Obj = {
        "uid": new_uid(),
        "kind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
        "resource": resource,
        "name": name_of(obj),
        "namespace": namespace_of(obj),
        "operation": "CREATE" if old is None else "UPDATE",
        "object": {**obj, "apiVersion": kind.api_version, "kind": kind.kind},
        "oldObject": old,
        "dryRun": dry_run,
    }
    name, seconds = hook["name"], float(hook.get("timeoutSeconds") or 10)
    try:
        answer = _ask(hook.get("clientConfig") or {}, request, seconds)
    except (OSError, http.client.HTTPException, ValueError) as problem:
        if hook.get("failurePolicy") == "Ignore":
            return {}
        at = get(hook, "clientConfig", "url", default="")
        raise internal_error(
            f'failed calling webhook "{name}": failed to call webhook: Post '
            f'"{at}?timeout={seconds:g}s": {problem}'
        ) from problem
    if not answer.get("allowed"):
        raise _denied(name, answer.get("status") or {})
    return answer


def _ask(client: Obj, request: Obj, seconds: float) -> Obj:
    at = urlsplit(client.get("url") or "")
    if not at.hostname:
        raise OSError("this cluster has no network of Services")
    bundle = base64.b64decode(client.get("caBundle") or "").decode()
    trusted = ssl.create_default_context(cadata=bundle or None)
    connection = http.client.HTTPSConnection(
        at.hostname, at.port or 443, timeout=seconds, context=trusted
    )
    review = {"apiVersion": _VERSION, "kind": "AdmissionReview", "request": request}
    with contextlib.closing(connection):
        headers = {"Content-Type": "application/json"}
        connection.request("POST", at.path or "/", json.dumps(review), headers)
        said = json.loads(connection.getresponse().read())
    answer: Obj = said.get("response") or {}
    return answer


def _denied(name: str, status: Obj) -> ApiError:
    words = f'admission webhook "{name}" denied the request'
    why = status.get("message") or status.get("reason")
    said = f"{words}: {why}" if why else f"{words} without explanation"
    return ApiError(max(int(status.get("code") or 0), 400), status.get("reason"), said)
