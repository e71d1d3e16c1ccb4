"""A namespace on one of the clusters, and the bot's own way of carrying changes out there."""

import contextlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.actions.action import Action, ChangeRequest, Outcome
from deploy.changes.kinds import Workings
from deploy.kube.cluster import Cluster, connect
from deploy.plans.plan import Plan
from deploy.plans.planning import Planner
from deploy.plans.preflight.outlook import Outlook, Reference
from deploy.plans.preflight.surroundings import Looking, Surroundings
from deploy.rollouts.applying import Applier
from deploy.rollouts.deployer import Deployer
from deploy.rollouts.minting import Minter
from deploy.rollouts.second_look import second_look
from deploy.rollouts.verification import Observing
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.options import Rollout
from tests.cluster.conftest import Target
from tests.cluster.contract.test_stuck import spec_for
from tests.support.actions import replanning, workings
from tests.support.custody import LocalCustody
from tests.support.gateway_bed import INSTANCE, PATIENT, Mint, RecordingRun, action_for
from tests.support.kube_api import JSON_PATCH, MERGE, Obj
from tests.support.kubectl import Kubectl

REPOSITORY = "mcr.microsoft.com/azure-api-management/gateway"
MIRROR = "mirror.example/azure-api-management/gateway"
OTHER, WANTED = f"{REPOSITORY}:2.10.0", f"{REPOSITORY}:2.11.1"
HASTY = Rollout(progress_deadline=30)
QUICK = Observing(quiet=0.5, patience=20.0, look=0.1)
RBAC = "/apis/rbac.authorization.k8s.io/v1"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"


class _Unseen(Looking):
    def outlook(self, references: Collection[Reference]) -> Outlook:
        return Outlook()


class _Blind(Surroundings):
    def begin(self, cluster: Cluster, namespace: str, references: Collection[Reference]) -> Looking:
        return _Unseen(cluster, namespace, {}, lambda: None, {})


@dataclass
class Bed:
    """A namespace on a cluster, and what carries changes out there."""

    target: Target
    ns: str
    cluster: Cluster
    home: Path
    stack: contextlib.ExitStack
    done: list[Action] = field(default_factory=list)
    blind: bool = False
    """Whether the bot may not look at what its pods will meet, so that only the rollout tells."""

    @property
    def path(self) -> str:
        return f"/apis/apps/v1/namespaces/{self.ns}/deployments/edge-1"

    @property
    def planner(self) -> Planner:
        return Planner(
            lambda name: self.cluster,
            lambda: ("2.11.1",),
            instances={"contoso": INSTANCE},
            repositories=(REPOSITORY, MIRROR),
            surroundings=_Blind() if self.blind else None,
        )

    def spec(self, **changes: Any) -> GatewaySpec:
        return spec_for(self.target, self.ns, **{"cpu": "100m", "rollout": HASTY, **changes})

    def deploy(
        self, spec: GatewaySpec, action_id: str = "ABC234", run: RecordingRun | None = None
    ) -> Outcome:
        clusters = {"west": self.cluster}
        applier = Applier(clusters, Minter(Mint(), {"contoso": INSTANCE}, LocalCustody()))
        # The shortest deadline a spec may have is 30 s; eighteen are enough to see that nothing moves.
        deployer = Deployer(applier, replanning(self.planner, clusters), margin=-12.0)
        plan = self.planner.plan(spec, action_id)
        assert not plan.denied, plan.findings
        action = action_for(plan, action_id)
        self.done.append(action)
        return deployer.execute(action, run or RecordingRun())

    def change(
        self,
        kind: str,
        request: ChangeRequest,
        action_id: str,
        run: RecordingRun | None = None,
        **changes: Any,
    ) -> Outcome:
        """Plan a change of that kind and carry it out."""
        plan = self.plan(kind, request, action_id)
        assert plan.digest, (plan.conflicts, plan.findings)
        action = action_for(plan, action_id, kind=kind, request=request, **changes)
        self.done.append(action)
        return self._workings(kind).executor.execute(action, run or RecordingRun())

    def plan(self, kind: str, request: ChangeRequest, action_id: str) -> Plan:
        """What a change of that kind would do."""
        return self._workings(kind).plan(request, action_id)

    def _workings(self, kind: str) -> Workings:
        clusters = {"west": self.cluster}
        applier = Applier(clusters, Minter(Mint(), {"contoso": INSTANCE}, LocalCustody()))
        means = {"planner": self.planner, "clusters": clusters, "applier": applier}
        return workings(**means, observing=QUICK)[kind]

    def look(self) -> str:
        """What a second look says of the last deployment."""
        return second_look({"west": self.cluster})(self.done[-1])

    def kubectl(self, *arguments: str) -> str:
        run = Kubectl(self.target.kubeconfig, self.home)
        return run("--context", self.target.context, "-n", self.ns, *arguments)

    def patch(self, body: Any, manager: str = "agent", form: str = MERGE) -> None:
        answer = self.target.api.request("PATCH", f"{self.path}?fieldManager={manager}", body, form)
        assert answer.status == 200, answer.body

    def image(self, image: str) -> None:
        at = "/spec/template/spec/containers/0/image"
        self.patch([{"op": "replace", "path": at, "value": image}], form=JSON_PATCH)

    def make(self, collection: str, body: Obj) -> None:
        """Create an object of the whole cluster until the test is over."""
        self.target.api.create(collection, body)
        path = f"{collection}/{body['metadata']['name']}"
        self.stack.callback(self.target.api.request, "DELETE", path)


@contextlib.contextmanager
def rollout_bed(target: Target, ns: str, home: Path) -> Iterator[Bed]:
    """Nothing is deployed yet."""
    cluster = connect(
        "west", kubeconfig=target.kubeconfig, context=target.context, timeouts=PATIENT
    )
    with contextlib.ExitStack() as stack:
        stack.callback(cluster.close)
        yield Bed(target, ns, cluster, home, stack)


def image_of(bed: Bed) -> str:
    return str(bed.target.api.get(bed.path)["spec"]["template"]["spec"]["containers"][0]["image"])


def namespace_deleted(bed: Bed) -> None:
    bed.target.api.delete(f"/api/v1/namespaces/{bed.ns}")
