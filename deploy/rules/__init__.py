"""Production rules: what Microsoft's and Kubernetes' guidance say of a gateway's objects.

They judge what a plan would apply and what is live on a cluster alike, whoever made it.
"""

import datetime
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from deploy.kube.objects import Manifest
from deploy.rules.exemptions import Exemption, exempt
from deploy.rules.finding import Finding
from deploy.rules.rule import Severity
from deploy.rules.table import BINDING, DENIED_IN_PRODUCTION, RULE_IDS, RULES
from deploy.rules.view import Facts, view_of

__all__ = [
    "BINDING",
    "DENIED_IN_PRODUCTION",
    "RULE_IDS",
    "Exemption",
    "Facts",
    "Severity",
    "check",
    "denied",
    "most_severe_first",
]

_ORDER = ("deny", "warning", "info")


def check(
    manifests: Sequence[Manifest],
    facts: Facts,
    exemptions: Sequence[Exemption] = (),
    severities: Mapping[str, Severity] = MappingProxyType({}),
    *,
    today: datetime.date,
) -> tuple[Finding, ...]:
    """What the rules say of the gateway among `manifests`, most severe first, exempted ones last.

    `severities` are those that count instead of the table's, by rule. Never raises, whatever the
    objects look like; says nothing where there is no Deployment.
    """
    view = view_of(manifests, facts)
    if view is None:
        return ()
    found = [
        exempt(
            Finding(
                rule.id,
                severities.get(rule.id) or rule.usual(facts.production),
                rule.what,
                rule.why,
                rule.remedy(view),
                rule.patch,
            ),
            exemptions,
            today,
        )
        for rule in RULES
        if rule.strikes(view)
    ]
    return most_severe_first(found)


def denied(
    production: bool,
    exemptions: Sequence[Exemption] = (),
    severities: Mapping[str, Severity] = MappingProxyType({}),
    *,
    today: datetime.date,
) -> frozenset[str]:
    """The rules that deny a plan where these settings count."""
    agreed = {each.rule for each in exemptions if each.until >= today}
    return frozenset(
        rule.id
        for rule in RULES
        if rule.id not in agreed and (severities.get(rule.id) or rule.usual(production)) == "deny"
    )


def most_severe_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings as people read them; exempted ones last."""
    return tuple(sorted(findings, key=lambda f: (_is_exempt(f), _ORDER.index(f.severity))))


def _is_exempt(finding: Finding) -> bool:
    return finding.exempted is not None and not finding.exempted.expired
