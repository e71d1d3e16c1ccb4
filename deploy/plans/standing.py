"""How what runs stands where a plan has nothing left to apply: that is not yet “no change”. Pure."""

from collections.abc import Sequence

from deploy.azure import host_of
from deploy.commands import Command
from deploy.kube.objects import Manifest
from deploy.masking import masked
from deploy.observed.effective import EffectiveSettings, Origin
from deploy.observed.given import given_among
from deploy.observed.progress import progress_of
from deploy.plans.plan import UNFINISHED, Plan
from deploy.rules.configuration import is_retired
from deploy.rules.finding import Finding
from deploy.specs.settings import ENDPOINT

_LONGEST = 300


def unfinished_rollout(
    plan: Plan, live: Manifest | None, objects: Sequence[Manifest]
) -> tuple[Finding, ...]:
    """That the pods of an empty plan do not all run, and where they fetch their configuration.

    `live` is the Deployment, `objects` are the plan's as they will be.
    """
    if not plan.empty or live is None:
        return ()
    progress = progress_of(live, (), ())
    if progress.complete or not progress.desired:
        return ()
    given = given_among(live, [each for each in objects if each["kind"] == "ConfigMap"])
    return (
        Finding(
            UNFINISHED,
            "warning",
            f"Its rollout has not finished: {progress.updated} of {progress.desired} pods replaced so far; "
            f"{progress.available} of {progress.desired} pods are available.",
            "Applying the same plan again does not help.",
            f"{fetched_from(given, plan.spec.apim.configuration_endpoint)} Check its pods: "
            f"{Command('status', plan.spec.ref)}.".strip(),
        ),
    )


def fetched_from(given: EffectiveSettings, wanted: str) -> str:
    """Where pods that are given this fetch their configuration, in sentences; `wanted` is what the
    spec says. Empty where it is not known."""
    found = given.find(ENDPOINT)
    if found is None:
        nothing = f"The pods have no {ENDPOINT}."
        return "" if given.unread else nothing
    if found.value is None:
        return (
            f"The pods fetch their configuration from the host that {_named(found.origin)} names."
        )
    endpoint = masked(found.value, _LONGEST)
    told = f"The pods fetch their configuration from {endpoint}, set by {_named(found.origin)}"
    if host_of(found.value) != host_of(wanted):
        told += f", instead of {wanted} as in the spec"
    ended = " Microsoft retired that service on 2023-10-01." if is_retired(found.value) else ""
    return f"{told}.{ended}"


def _named(origin: Origin) -> str:
    if origin.kind == "Deployment":
        return "a variable of the Deployment"
    return f"{origin.kind} {origin.name}" if origin.name else "a field of the pod"
