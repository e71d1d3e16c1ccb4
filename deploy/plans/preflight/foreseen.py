"""Every pre-flight check of a plan, in one place. Pure."""

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence

from deploy.kube.objects import Manifest
from deploy.plans.preflight.classes import class_findings
from deploy.plans.preflight.fields import field_findings
from deploy.plans.preflight.nodes import node_findings
from deploy.plans.preflight.outlook import Outlook, Reference, Wanted
from deploy.plans.preflight.quota import limit_findings, quota_findings
from deploy.plans.preflight.references import reference_findings, references_of
from deploy.plans.preflight.storage import storage_findings
from deploy.plans.preflight.unseen import unseen_findings
from deploy.plans.preflight.users import user_findings
from deploy.rules.finding import Finding
from deploy.rules.reading import at


def foreseen(
    wanted: Wanted,
    outlook: Outlook,
    *,
    claims: Mapping[str, Manifest],
    made: Collection[Reference],
    written: Sequence[Manifest] = (),
    closes: bool = False,
    lenient: bool,
) -> tuple[Finding, ...]:
    """What would fail. `made` is what the plan makes besides the Deployment, of which
    `claims` are volumes, and `written` the objects as they are sent; `closes` says that a NetworkPolicy
    is among them that there was not. With `lenient`, as for a rotation
    that may be a token's last chance, nothing is denied."""
    found: list[Finding] = []
    for finding in (
        *field_findings(written, outlook.version),
        *_closed(wanted, closes=closes),
        *_each(wanted, outlook, claims, made),
    ):
        denies = finding.severity == "deny"
        milder = dataclasses.replace(finding, severity="warning") if lenient and denies else finding
        if milder not in found:
            found.append(milder)
    return tuple(found)


def _closed(wanted: Wanted, *, closes: bool) -> Iterator[Finding]:
    if closes and wanted.running:
        yield Finding(
            "network-policy",
            "warning",
            "The NetworkPolicy is new and takes effect at once on the running pods.",
            "It blocks everything that it does not allow, such as sidecars, a service mesh, and "
            "backends on ports other than 443.",
            "Compare it with the connections that the pods use. Allow more with "
            "networkPolicy.ingress and networkPolicy.egress.",
        )


def _each(
    wanted: Wanted,
    outlook: Outlook,
    claims: Mapping[str, Manifest],
    made: Collection[Reference],
) -> Iterator[Finding]:
    if wanted.replaces and at(wanted.deployment, "spec", "paused"):
        yield Finding(
            "paused",
            "deny",
            "The Deployment is paused, so Kubernetes does not replace its pods.",
            "The rollout would not start until somebody resumes it.",
            "Run `kubectl rollout resume`, or ask whoever paused it.",
        )
    if not wanted.starts:
        return
    yield from quota_findings(wanted, outlook)
    yield from limit_findings(wanted, outlook)
    for kind, name in sorted(references_of(wanted.pod)):
        if kind == "PersistentVolumeClaim":
            claim = claims.get(name) or outlook.found.get((kind, name))
            yield from storage_findings(wanted, outlook, claim, new=name in claims)
    yield from reference_findings(wanted, outlook, made)
    yield from class_findings(wanted, outlook)
    yield from user_findings(wanted, outlook)
    yield from node_findings(wanted, outlook)
    yield from unseen_findings(wanted, outlook, claims.values())
