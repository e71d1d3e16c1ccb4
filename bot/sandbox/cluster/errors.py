"""Status errors, in the API server's own words."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bot.sandbox.cluster.kinds import Kind
from bot.sandbox.cluster.objects import Obj

IMMUTABLE = "field is immutable"


class ApiError(Exception):
    """A failed request: `code` is the HTTP status, `status` the whole Status object."""

    def __init__(
        self,
        code: int,
        reason: str | None,
        message: str,
        details: Obj | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.headers = headers or {}
        self.status: Obj = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
        }
        if reason:
            self.status["reason"] = reason
        if details is not None:
            self.status["details"] = details
        self.status["code"] = code


def _details(kind: Kind, name: str, **more: Any) -> Obj:
    details: Obj = {"name": name} if name else {}
    if kind.group:
        details["group"] = kind.group
    return {**details, "kind": kind.plural, **more}


def not_found(kind: Kind, name: str) -> ApiError:
    """404 for an object."""
    return ApiError(404, "NotFound", f'{kind.resource} "{name}" not found', _details(kind, name))


def already_exists(kind: Kind, name: str) -> ApiError:
    """409 for a create over an existing object."""
    return ApiError(
        409,
        "AlreadyExists",
        f'{kind.resource} "{name}" already exists',
        _details(kind, name),
    )


def conflict(kind: Kind, name: str, why: str) -> ApiError:
    """409 for a failed precondition."""
    message = f'Operation cannot be fulfilled on {kind.resource} "{name}": {why}'
    return ApiError(409, "Conflict", message, _details(kind, name))


def modified(kind: Kind, name: str) -> ApiError:
    """409 for a stale resourceVersion."""
    return conflict(
        kind,
        name,
        "the object has been modified; please apply your changes to the latest version "
        "and try again",
    )


def forbidden(kind: Kind, name: str, why: str) -> ApiError:
    """403 for one object."""
    return ApiError(
        403, "Forbidden", f'{kind.resource} "{name}" is forbidden: {why}', _details(kind, name)
    )


def bad_request(message: str) -> ApiError:
    """400."""
    return ApiError(400, "BadRequest", message)


def unauthorized() -> ApiError:
    """401."""
    return ApiError(401, "Unauthorized", "Unauthorized")


def method_not_allowed() -> ApiError:
    """405."""
    return ApiError(
        405,
        "MethodNotAllowed",
        "the server does not allow this method on the requested resource",
        {},
    )


def expired(message: str) -> ApiError:
    """410: the resource version asked for is compacted."""
    return ApiError(410, "Expired", message)


def server_error(message: str) -> ApiError:
    """500 without a reason, as server-side apply answers a body outside the schema."""
    return ApiError(500, None, message)


def internal_error(message: str) -> ApiError:
    """500 InternalError."""
    return ApiError(
        500,
        "InternalError",
        f"Internal error occurred: {message}",
        {"causes": [{"message": message}]},
    )


@dataclass(frozen=True)
class Cause:
    """One thing that is wrong with an object: `reason` is a FieldValue… word."""

    reason: str
    field: str
    message: str


def required(field: str, why: str = "") -> Cause:
    """A field that must be given."""
    return Cause("FieldValueRequired", field, f"Required value{': ' + why if why else ''}")


def invalid_value(field: str, value: Any, why: str) -> Cause:
    """A field whose value cannot be."""
    return Cause("FieldValueInvalid", field, f"Invalid value: {_shown(value)}: {why}")


def duplicate(field: str, value: Any) -> Cause:
    """A value that may occur once only."""
    return Cause("FieldValueDuplicate", field, f"Duplicate value: {_shown(value)}")


def unsupported(field: str, value: Any, allowed: Sequence[str]) -> Cause:
    """A value outside an enumeration, which is named in the order given."""
    values = ", ".join(f'"{item}"' for item in allowed)
    return Cause(
        "FieldValueNotSupported",
        field,
        f"Unsupported value: {_shown(value)}: supported values: {values}",
    )


def missing_value(field: str, value: Any, why: str = "") -> Cause:
    """A value that names what is not there."""
    return Cause(
        "FieldValueNotFound", field, f"Not found: {_shown(value)}{': ' + why if why else ''}"
    )


def forbidden_field(field: str, why: str) -> Cause:
    """A field that may not be set or changed."""
    return Cause("FieldValueForbidden", field, f"Forbidden: {why}")


def too_long(field: str, limit: int) -> Cause:
    """A value larger than allowed, in bytes."""
    return Cause("FieldValueTooLong", field, f"Too long: may not be more than {limit} bytes")


def _shown(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def invalid(kind_name: str, group: str, name: str, causes: Sequence[Cause]) -> ApiError:
    """422 with every cause listed."""
    texts = [f"{cause.field}: {cause.message}" for cause in causes]
    whole = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    qualified = f"{kind_name}.{group}" if group else kind_name
    details: Obj = {"name": name} if name else {}
    if group:
        details["group"] = group
    details["kind"] = kind_name
    details["causes"] = [
        {"reason": cause.reason, "message": cause.message, "field": cause.field} for cause in causes
    ]
    return ApiError(422, "Invalid", f'{qualified} "{name}" is invalid: {whole}', details)
