"""Exemptions: which findings somebody has agreed to live with, why, and until when. Pure."""

import dataclasses
import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from deploy.rules.finding import Exempted, Finding


@dataclass(frozen=True)
class Exemption:
    """One agreement; `until` is its last day."""

    rule: str
    reason: str
    until: datetime.date


def exempt(finding: Finding, exemptions: Sequence[Exemption], today: datetime.date) -> Finding:
    """The finding with what was agreed on it: as info while that holds, unchanged afterwards."""
    ours = next((each for each in exemptions if each.rule == finding.rule), None)
    if ours is None:
        return finding
    over = ours.until < today
    return dataclasses.replace(
        finding,
        severity=finding.severity if over else "info",
        exempted=Exempted(ours.reason, ours.until.isoformat(), expired=over),
    )
