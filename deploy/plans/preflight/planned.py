"""The pre-flight checks of a plan that is being made."""

import dataclasses
from collections.abc import Sequence

from deploy.kube.objects import Manifest
from deploy.plans.binding import Observed
from deploy.plans.preflight.foreseen import foreseen
from deploy.plans.preflight.outlook import Reference, Wanted
from deploy.plans.preflight.references import references_of
from deploy.plans.preflight.surroundings import Looking
from deploy.rules.finding import Finding
from deploy.specs.gateway_spec import GatewaySpec

UNDECIDED = "undecided"
"""The name of a token's Secret that nobody has chosen yet."""


def needed(outline: Sequence[Manifest]) -> frozenset[Reference]:
    """What pods need that the outline of a plan does not make."""
    deployment = next(item for item in outline if item["kind"] == "Deployment")
    made = {_reference(item) for item in outline} | {("Secret", UNDECIDED)}
    return references_of(deployment["spec"]["template"]["spec"]) - made


def foreseen_of(
    spec: GatewaySpec,
    becoming: Sequence[Observed],
    secret: str | None,
    around: Looking,
    space: Manifest,
    *,
    denied: frozenset[str],
    lenient: bool,
) -> tuple[Finding, ...]:
    """What would fail once these objects are applied in the namespace `space`. `secret` is that of the
    token, on which is decided elsewhere. `denied` are the rules that deny a plan there. With
    `lenient` nothing is denied."""
    after = next(each for each in becoming if each.merged["kind"] == "Deployment")
    least = int(after.merged["spec"].get("replicas", 1))
    if spec.autoscaling.most is not None:
        least = max(least, spec.autoscaling.least)
    wanted = Wanted(after.merged, after.live, least, max(least, spec.autoscaling.most or 0))
    made = {_reference(each.merged) for each in becoming} | {("Secret", secret or "")}
    asked = references_of(wanted.pod) - made
    own = [each for each in becoming if each.merged["kind"] == "PersistentVolumeClaim"]
    claims = {each.merged["metadata"]["name"]: each.merged for each in own if each.live is None}
    outlook = around.outlook(asked)
    there = {_reference(each.merged): each.merged for each in own if each.live is not None}
    found = {**outlook.found, **there}
    outlook = dataclasses.replace(outlook, space=space, denied=denied, found=found)
    written = [each.wanted for each in becoming]
    closes = any(each.merged["kind"] == "NetworkPolicy" and each.live is None for each in becoming)
    return foreseen(
        wanted, outlook, claims=claims, made=made, written=written, closes=closes, lenient=lenient
    )


def _reference(item: Manifest) -> Reference:
    return item["kind"], item["metadata"]["name"]
