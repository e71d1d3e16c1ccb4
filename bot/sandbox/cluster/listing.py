"""Lists: selection, paging and the resource version they are of."""

import base64
import json
from collections.abc import Callable, Mapping

from bot.sandbox.cluster.decoding import from_storage
from bot.sandbox.cluster.errors import ApiError, bad_request, expired
from bot.sandbox.cluster.kinds import Kind
from bot.sandbox.cluster.objects import Obj, labels_of, name_of, namespace_of
from bot.sandbox.cluster.selectors import parse_fields, parse_labels
from bot.sandbox.cluster.store import Store


def selection(kind: Kind, query: Mapping[str, str], name: str = "") -> Callable[[Obj], bool]:
    """The test of a request's labelSelector and fieldSelector (and of a single name). ApiError
    400."""
    labels = parse_labels(query.get("labelSelector", ""))
    fields = parse_fields(query.get("fieldSelector", ""), kind.resource)

    def selects(obj: Obj) -> bool:
        return (
            (not name or name_of(obj) == name)
            and all(term.matches(labels_of(obj)) for term in labels)
            and all(term.matches(obj) for term in fields)
        )

    return selects


def check_version(store: Store, text: str, *, watching: bool = False) -> None:
    """Refuse a resource version that is no number (a list: 400, a watch: 500 as the real one), or
    lies in the future (504)."""
    if not text:
        return
    if not text.isdigit():
        problem = (
            f"resourceVersion: Invalid value: {json.dumps(text)}: strconv.ParseUint: parsing "
            f"{json.dumps(text)}: invalid syntax"
        )
        if watching:
            raise ApiError(500, None, problem)
        raise ApiError(400, "BadRequest", f"invalid resource version: {problem}")
    if int(text) > store.version:
        message = "Too large resource version"
        details: Obj = {
            "causes": [{"reason": "ResourceVersionTooLarge", "message": message}],
            "retryAfterSeconds": 1,
        }
        raise ApiError(
            504,
            "Timeout",
            f"Timeout: {message}: {text}, current: {store.version}",
            details,
            {"Retry-After": "1"},
        )


def list_objects(
    store: Store, kind: Kind, namespace: str, query: Mapping[str, str]
) -> tuple[list[Obj], Obj]:
    """The chosen objects and the list's metadata. ApiError 400, 410 or 504."""
    selects = selection(kind, query)
    check_version(store, query.get("resourceVersion", ""))
    found = [
        shown for obj in store.all(kind, namespace) if selects(shown := from_storage(kind, obj))
    ]
    limit = int(query.get("limit") or 0)
    start, version = _continued(query.get("continue", ""), store)
    if start is not None:
        found = [obj for obj in found if _position(obj) > start]
    metadata: Obj = {"resourceVersion": version}
    if limit and len(found) > limit:
        rest = len(found) - limit
        found = found[:limit]
        metadata["continue"] = _token(int(version), found[-1])
        if not query.get("labelSelector") and not query.get("fieldSelector"):
            metadata["remainingItemCount"] = rest
    return found, metadata


def _position(obj: Obj) -> str:
    return f"{namespace_of(obj)}/{name_of(obj)}"


def _token(version: int, last: Obj) -> str:
    raw = {"v": "meta.k8s.io/v1", "rv": version, "start": f"{_position(last)}\x00"}
    return (
        base64.urlsafe_b64encode(json.dumps(raw, separators=(",", ":")).encode())
        .decode()
        .rstrip("=")
    )


def _continued(token: str, store: Store) -> tuple[str | None, str]:
    if not token:
        return None, str(store.version)
    try:
        raw = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        version, start = int(raw["rv"]), str(raw["start"]).rstrip("\x00")
    except (ValueError, KeyError, TypeError) as error:
        raise bad_request(f"continue key is not valid: {error}") from error
    if version < store.compacted:
        raise expired(
            "The provided continue parameter is too old to display a consistent list result. "
            "You can start a new list without the continue parameter."
        )
    return start, str(version)
