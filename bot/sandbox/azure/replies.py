"""Answers in the words of Azure Resource Manager and Entra."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web


def arm_error(
    status: int,
    code: str,
    message: str,
    *,
    details: Sequence[Mapping[str, str]] = (),
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """ARM's error body (common types v5)."""
    error: dict[str, Any] = {"code": code, "message": message}
    if details:
        error["details"] = list(details)
    return web.json_response({"error": error}, status=status, headers=headers)


def validation(target: str, message: str) -> web.Response:
    """A body API Management does not take."""
    return arm_error(
        400,
        "ValidationError",
        "One or more fields contain incorrect values:",
        details=[{"code": "ValidationError", "target": target, "message": message}],
    )


def entra_error(status: int, error: str, number: int, text: str) -> web.Response:
    """Entra's error body, with its AADSTS number."""
    return web.json_response(
        {
            "error": error,
            "error_description": f"AADSTS{number}: {text} Trace ID: {uuid.uuid4()}",
            "error_codes": [number],
            "trace_id": str(uuid.uuid4()),
            "correlation_id": str(uuid.uuid4()),
        },
        status=status,
    )
