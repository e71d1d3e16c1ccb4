"""Answers in the words of Azure Resource Manager and Entra."""

import datetime
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web


class ArmError(Exception):
    """A refusal in ARM's error body (common types v5)."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        details: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code)
        self.status = status
        self._error: dict[str, Any] = {"code": code, "message": message}
        if details:
            self._error["details"] = list(details)
        self._headers = headers

    def response(self) -> web.Response:
        """The answer that says it."""
        return web.json_response({"error": self._error}, status=self.status, headers=self._headers)


def invalid(target: str, message: str) -> ArmError:
    """A field that API Management does not take, in the form of its observed answers."""
    return ArmError(
        400,
        "ValidationError",
        "One or more fields contain incorrect values:",
        details=[{"code": "ValidationError", "target": target, "message": message}],
    )


def not_found(what: str) -> ArmError:
    """API Management's word for something inside a service that is not there."""
    return ArmError(404, "ResourceNotFound", f"{what} not found.")


def entra_error(status: int, error: str, number: int, text: str) -> web.Response:
    """Entra's error body, with its AADSTS number."""
    trace, correlation = str(uuid.uuid4()), str(uuid.uuid4())
    at = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    return web.json_response(
        {
            "error": error,
            "error_description": f"AADSTS{number}: {text} Trace ID: {trace} "
            f"Correlation ID: {correlation} Timestamp: {at}",
            "error_codes": [number],
            "timestamp": at,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": f"https://login.microsoftonline.com/error?code={number}",
        },
        status=status,
    )
