"""The API server's Status errors, turned into sentences for a person.

What a real server answers in each case is recorded in tests/data/kubernetes-1.36.
"""

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from deploy.errors import (
    Conflict,
    GatewayBotError,
    InvalidInput,
    NotFound,
    NotGranted,
    Refused,
    Throttled,
    Unavailable,
)
from deploy.masking import masked

_NOT_ALLOWED = re.compile(
    r"cannot (?P<verb>\S+) resource \"(?P<resource>[^\"]+)\""
    r"(?: in API group \"(?P<group>[^\"]*)\")?"
)
_MANAGER = re.compile(r"conflict with \"(?P<manager>(?:[^\"\\]|\\.)*)\"")
_IMPERSONATE = "impersonate"
"""The verb; Kubernetes 1.37 names a narrower one, as in impersonate-on:user-info:list."""
_WEBHOOK_AWAY = "failed calling webhook"
_LONGEST = 4000
"""Of a server's message: it can list every field of an object."""
# Server-side apply reports a body outside the schema as 500 without a reason.
_NOT_RETRIED = ("failed to create typed patch object", "failed to convert new object")


class AlreadyExists(Conflict):
    """An object of that name is already there."""


class OwnershipConflicts(Conflict):
    """Server-side apply would change fields that other field managers own.

    `owners` are (manager, path) pairs, the paths as the server writes them.
    """

    def __init__(self, what: str, owners: tuple[tuple[str, str], ...]) -> None:
        managers = ", ".join(sorted({f"“{manager}”" for manager, _ in owners}))
        super().__init__(
            f"{what} has fields that were set by {managers}.",
            meaning=f"The change would overwrite {', '.join(path for _, path in owners)}.",
            remedy="To change them anyway, run the command again with `--take-over`.",
        )
        self.owners = owners


class Rejected(InvalidInput):
    """The API server rejects an object, in words of its own."""


class ResourceVersionExpired(Unavailable):
    """The resource version asked for is no longer kept: list again."""


class NamespaceEnds(Refused):
    """The namespace is being deleted: nothing can be created in it, and all in it goes."""

    def __init__(self, cluster: str, namespace: str) -> None:
        super().__init__(
            f"Namespace “{namespace}” on cluster “{cluster}” is being deleted.",
            meaning="Everything in it is deleted too.",
            remedy="Choose another namespace, or wait until this one has been created again.",
        )


def is_schema_error(status: int, message: str) -> bool:
    """Whether a 500 is the server's answer to a manifest outside the schema: never retried."""
    return status == 500 and any(text in message for text in _NOT_RETRIED)


def message_of(body: bytes) -> tuple[str, Mapping[str, Any]]:
    """The message of a Status and the Status itself; plain text counts as the message."""
    text = body.decode("utf-8", "replace")
    try:
        parsed = json.loads(text)
    except ValueError:
        return masked(text.strip(), 500), {}
    if not isinstance(parsed, dict):
        return "", {}
    return masked(str(parsed.get("message", "")), _LONGEST), parsed


def error_from(
    cluster: str,
    status: int,
    body: bytes,
    *,
    what: str,
    namespace: str | None = None,
    retry_after: float | None = None,
    tried: str = "",
) -> GatewayBotError:
    """The error for a failed request. `what` names the object or list, as in “Service x”; `tried` says
    what has been done about the credentials."""
    message, whole = message_of(body)
    reason = str(whole.get("reason", ""))
    details = whole.get("details") or {}
    if status == 401:
        return NotGranted(
            f"Cluster “{cluster}” rejected the bot's credentials.",
            meaning=tried,
            remedy="Ask whoever runs the bot to renew them.",
        )
    if status == 403:
        return _refused(cluster, message, what, namespace)
    if status == 404:
        return _missing(cluster, message, details, what, namespace)
    if status == 409:
        return _conflict(cluster, message, reason, details, what)
    if status == 410:
        return ResourceVersionExpired(
            f"Cluster “{cluster}” no longer has that version of {what}.", answered=True
        )
    if status in (400, 413, 415, 422) or is_schema_error(status, message):
        return _invalid(cluster, message, details, what)
    return (Throttled if status == 429 else Unavailable)(
        f"Cluster “{cluster}” answered {status} for {what}"
        + (f": {_sentence(message)}" if message else "."),
        retry_after=retry_after,
        untouched=status == 429,
        # Of one webhook, which may be that of one kind or namespace.
        answered=status == 500 and _WEBHOOK_AWAY in message,
    )


def _refused(cluster: str, message: str, what: str, namespace: str | None) -> GatewayBotError:
    place = f" in namespace “{namespace}”" if namespace else ""
    denied = _NOT_ALLOWED.search(message)
    if denied and denied["verb"].startswith(_IMPERSONATE):
        return NotGranted(
            "The bot is not allowed to impersonate the user that its kubeconfig sets for cluster "
            f"“{cluster}”.",
            remedy=(
                "Allow the bot's own user to impersonate that user with its groups, uid and "
                "extra, or remove `as` from the kubeconfig."
            ),
        )
    if denied:
        group = denied["group"]
        resource = f"{denied['resource']}.{group}" if group else denied["resource"]
        return NotGranted(
            f"The bot is not allowed to {denied['verb']} {resource}{place} on cluster “{cluster}”.",
            remedy=f"Add the verb “{denied['verb']}” on “{resource}” to the bot's Role there.",
        )
    if "exceeded quota" in message:
        return Refused(
            f"A resource quota{place} on cluster “{cluster}” does not allow {what}: "
            + _sentence(message[message.index("exceeded quota") :]),
            remedy="Request less, or have the quota raised.",
        )
    if "being terminated" in message and namespace:
        return NamespaceEnds(cluster, namespace)
    return Refused(f"Cluster “{cluster}” refused {what}: {_sentence(message)}")


def _missing(
    cluster: str, message: str, details: Mapping[str, Any], what: str, namespace: str | None
) -> GatewayBotError:
    if details.get("kind") == "namespaces":
        return missing_namespace(cluster, str(details.get("name", namespace)))
    if not details:
        return NotFound(f"Cluster “{cluster}” does not serve {what}: {_sentence(message)}")
    place = f" in namespace “{namespace}”" if namespace else ""
    return NotFound(f"There is no {what}{place} on cluster “{cluster}”.")


def missing_namespace(cluster: str, namespace: str, there: Iterable[str] = ()) -> NotFound:
    """The error for a namespace that is not there; `there` are those that are."""
    near = difflib.get_close_matches(namespace, list(there), n=1)
    return NotFound(
        f"There is no namespace “{namespace}” on cluster “{cluster}”.",
        remedy=f"Did you mean {near[0]}?"
        if near
        else "Check its spelling, or have it created first.",
    ).did_mean("namespace", *near)


def _conflict(
    cluster: str, message: str, reason: str, details: Mapping[str, Any], what: str
) -> GatewayBotError:
    owners = tuple(
        (_manager_in(str(cause.get("message", ""))), str(cause.get("field", "")))
        for cause in details.get("causes") or ()
        if cause.get("reason") == "FieldManagerConflict"
    )
    if owners:
        return OwnershipConflicts(what, owners)
    if reason == "AlreadyExists":
        return AlreadyExists(f"{what} already exists on cluster “{cluster}”.")
    return Conflict(
        f"{what} was changed by something else on cluster “{cluster}” at the same time.",
        meaning=_sentence(message),
        remedy="Try again.",
    )


def _manager_in(message: str) -> str:
    found = _MANAGER.search(message)
    return found["manager"] if found else message


def _invalid(cluster: str, message: str, details: Mapping[str, Any], what: str) -> GatewayBotError:
    causes = details.get("causes") or ()
    field = str(causes[0].get("field", "")) if causes else ""
    if any(cause.get("reason") == "FieldValueDuplicate" for cause in causes):
        return Rejected(
            f"Cluster “{cluster}” rejected {what}: {_sentence(message)}",
            field=field,
            meaning=(
                "Somebody else added the same entry under another number or name, and "
                "server-side apply keeps entries of others."
            ),
            remedy=(
                "Inspect it with `kubectl get … -o yaml --show-managed-fields`, remove the "
                "added entry, and run the command again."
            ),
        )
    return Rejected(f"Cluster “{cluster}” rejected {what}: {_sentence(message)}", field=field)


def _sentence(text: str) -> str:
    text = text.strip() or "it gave no reason"
    return text if text.endswith((".", "!", "?")) else f"{text}."
