"""Whether something else takes a planned change back, because it manages what would be changed. Pure."""

import dataclasses
from collections.abc import Iterable, Mapping

from deploy.kube.objects import Manifest
from deploy.observed.managers import Manager, manager_of
from deploy.plans.handover import spec_carried_by
from deploy.plans.plan import Plan
from deploy.rules.finding import Finding
from deploy.rules.managed import MANAGED_ELSEWHERE
from deploy.specs.gateway_spec import GatewaySpec


def managers_of(
    plan: Plan, observed: Mapping[tuple[str, str], Manifest | None]
) -> tuple[Manager, ...]:
    """Who manages the live objects that the plan changes or deletes, each once."""
    changed = (
        observed.get((change.kind, change.name))
        for change in plan.changes
        if change.change != "create"
    )
    found = (manager_of(live) for live in changed if live is not None)
    return tuple(dict.fromkeys(manager for manager in found if manager is not None))


def restarts_alone(spec: GatewaySpec, live: Manifest | None) -> bool:
    """Whether all that is new in the spec is when its pods are restarted: that stands in an
    annotation which nobody else declares, so nobody takes it back."""
    before = spec_carried_by(live)
    if before is None or before.rollout.restarted_at == spec.rollout.restarted_at:
        return False
    rollout = dataclasses.replace(spec.rollout, restarted_at=before.rollout.restarted_at)
    return dataclasses.replace(spec, rollout=rollout) == before


def accepted(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings, that of another manager denying nothing: it was said to be known."""
    return tuple(
        dataclasses.replace(finding, severity="warning")
        if finding.rule == MANAGED_ELSEWHERE and finding.severity == "deny"
        else finding
        for finding in findings
    )
