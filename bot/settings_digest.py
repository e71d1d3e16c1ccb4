"""What tells whether two bots run with the same settings."""

import hashlib
import json
from typing import Any

from bot.settings import Settings

_OWN: dict[str, Any] = {
    "redis": {"url"},
    "health": True,
    "slack": {"http": {"host", "port"}},
    "event_grid": {"host", "port"},
}
"""Where a process listens is its own affair, and how it reaches Redis may hold a password."""


def settings_digest(settings: Settings) -> str:
    """The same for the same settings, in whatever order and layout they are written."""
    dumped = settings.model_dump(mode="json", exclude=_OWN)
    return hashlib.sha256(json.dumps(dumped, sort_keys=True).encode()).hexdigest()[:12]
