"""What a rule says about a gateway."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Exempted:
    """An agreement to live with a finding until a day, ISO 8601; an expired one no longer counts."""

    reason: str
    until: str
    expired: bool = False


@dataclass(frozen=True)
class Finding:
    """What a rule says about a gateway; one of severity `deny` keeps the plan from being confirmed.

    `fix_patch`, laid over the spec's mapping (deploy.specs.overlay.merged), would end it.
    """

    rule: str
    severity: Literal["info", "warning", "deny"]
    what: str
    why: str
    fix: str
    fix_patch: Mapping[str, Any] | None = None
    exempted: Exempted | None = None
