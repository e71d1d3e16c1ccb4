"""A kind of change that only tests know: a note on a gateway's Deployment, which moves no pod.

It stands in for whatever kind comes next: all it uses is what every line of deploy.changes.kinds
may use.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from deploy.actions.action import Action, Outcome, State
from deploy.actions.executor import Run
from deploy.changes.kinds import Kind, Means, Workings
from deploy.errors import GatewayBotError
from deploy.gateway import GatewayRef
from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.observed.installed import deployment_of, installed
from deploy.observed.pods import token_secret_of
from deploy.plans.binding import Observed, build_plan
from deploy.plans.plan import Plan
from deploy.retry import PATIENCE
from deploy.rollouts.verdicts import superseded
from deploy.rollouts.work import APPLY, Work
from deploy.tokens.token_plan import TokenPlan

ANNOTATE = "annotate"
NOTE = "example.com/note"
MANAGER = "notes"
"""A field manager of its own, so that a note is no part of what was deployed."""


@dataclass(frozen=True)
class NoteRequest:
    """What is to stand on the gateway."""

    ref: GatewayRef
    note: str

    def to_mapping(self) -> dict[str, Any]:
        """The request, JSON-able."""
        return {"ref": dataclasses.asdict(self.ref), "note": self.note}

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any]) -> Self:
        """The request that `to_mapping` wrote."""
        return cls(GatewayRef(**data["ref"]), str(data["note"]))


class Annotator:
    """The executor: plan again, compare, write, read back. Every step may be repeated."""

    def __init__(
        self, clusters: Mapping[str, Cluster], replan: Callable[[NoteRequest], Plan]
    ) -> None:
        self._clusters = clusters
        self._replan = replan

    def execute(self, action: Action, run: Run) -> Outcome:
        """Write the note, unless an earlier run has. Raises RunLost when it must stop."""
        work = Work(action, run, PATIENCE, "Annotate it again")
        try:
            return self._execute(work)
        except GatewayBotError as error:
            return work.failure(error)

    def _execute(self, work: Work) -> Outcome:
        action, run, request = work.action, work.run, note_request(work.action)
        cluster = self._clusters[request.ref.cluster].guarded(run.guard, run.unconfirmed)
        run.step("plan", "Checking the plan against the cluster again")
        plan = work.patiently(lambda: self._replan(request))
        if plan.digest != action.digest and not (work.applying and plan.empty):
            return superseded(plan, begun=work.applying)
        if not plan.empty:
            run.step(APPLY, "Writing the note")
            work.applying = True
            work.patiently(lambda: cluster.apply(_wanted(request), force=True, manager=MANAGER))
        work.applied = True
        run.step("check", "Reading the note back")
        found = work.patiently(lambda: note_of(deployment_of(cluster, request.ref)))
        if found != request.note:
            return Outcome(State.FAILED, f"{request.ref} says something else by now.")
        return Outcome(State.SUCCEEDED, f"The note is on {request.ref}.")


def note_of(deployment: Manifest) -> str:
    """The note that a Deployment carries; empty without one."""
    return str((deployment["metadata"].get("annotations") or {}).get(NOTE, ""))


def note_request(action: Action) -> NoteRequest:
    """What such an action was asked for with."""
    assert isinstance(action.request, NoteRequest)
    return action.request


def _workings(means: Means) -> Workings:
    def plan(request: NoteRequest, action_id: str = "") -> Plan:
        cluster = means.clusters[request.ref.cluster]
        gateway = installed(cluster, request.ref)
        wanted = _wanted(request)
        merged = cluster.apply(wanted, dry_run=True, force=True, manager=MANAGER)
        used = token_secret_of(gateway.deployment["spec"]["template"]["spec"])
        return build_plan(
            gateway.spec,
            cluster_uid=cluster.uid(request.ref.namespace),
            observed=(Observed(wanted, gateway.deployment, merged),),
            token=TokenPlan(used[0] if used else None, mint=False, expires_at=None, reason=""),
        )

    def left(action: Action) -> Outcome:
        request = note_request(action)
        there = note_of(deployment_of(means.clusters[request.ref.cluster], request.ref))
        how = "after" if there == request.note else "before"
        return Outcome(State.STOPPED, f"Stopped {how} the note was written.", f"It says “{there}”.")

    return Workings(plan, Annotator(means.clusters, plan), left)


def _wanted(request: NoteRequest) -> Manifest:
    ref = request.ref
    metadata = {"name": ref.name, "namespace": ref.namespace, "annotations": {NOTE: request.note}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata}


ANNOTATING = Kind(ANNOTATE, NoteRequest, _workings)
