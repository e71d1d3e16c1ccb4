"""Approval windows whose messages need nobody to post them."""

from typing import Any

from deploy.actions.audit import AuditLog
from deploy.actions.windows import Windows


def windows_of(client: Any, audit: AuditLog | None = None) -> Windows:
    """Windows in that Redis; each is taken for shown at once."""
    return Windows(client, audit or AuditLog(client), lambda key: True)


def is_open(windows: Windows, key: str) -> bool:
    """Whether this very opening is open now."""
    window = windows.at(key)
    return window is not None and window.open
