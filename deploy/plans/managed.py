"""Whether something else takes a planned change back, because it manages what would be changed. Pure."""

import dataclasses
from collections.abc import Iterable, Mapping

from deploy.kube.objects import Manifest
from deploy.observed.inventory import is_adopted
from deploy.observed.managers import Manager, manager_of
from deploy.plans.plan import Plan
from deploy.rules.finding import Finding
from deploy.rules.managed import MANAGED_ELSEWHERE


def managers_of(
    plan: Plan, observed: Mapping[tuple[str, str], Manifest | None]
) -> tuple[Manager, ...]:
    """The managers of the live objects that the plan changes or deletes, each once."""
    changed = (
        observed.get((change.kind, change.name))
        for change in plan.changes
        if change.change != "create"
    )
    deployment = observed.get(("Deployment", plan.spec.ref.name))
    adopted = deployment is not None and is_adopted(deployment)
    found = (manager_of(live, adopted=adopted) for live in changed if live is not None)
    return tuple(dict.fromkeys(manager for manager in found if manager is not None))


def accepted(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings, that of another manager denying nothing: it was said to be known."""
    return tuple(
        dataclasses.replace(finding, severity="warning")
        if finding.rule == MANAGED_ELSEWHERE and finding.severity == "deny"
        else finding
        for finding in findings
    )
