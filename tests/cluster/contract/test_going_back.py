"""A deployment that gets stuck brings the version before back, on each cluster."""

import dataclasses

import pytest

from deploy.actions.action import State
from deploy.kube.cluster import connect
from deploy.plans.planning import Planner
from deploy.rollouts.applying import Applier
from deploy.rollouts.deployer import Deployer
from deploy.rollouts.minting import Minter
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.options import Rollout
from tests.cluster.conftest import Target
from tests.cluster.contract.test_stuck import spec_for
from tests.support.actions import replanning
from tests.support.custody import LocalCustody
from tests.support.gateway_bed import INSTANCE, PATIENT, Mint, RecordingRun, action_for
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("needs_controllers")


@pytest.mark.parametrize("replicas", [1, 3])
def test_the_version_before_comes_back_and_none_of_its_pods_was_stopped(
    target: Target, ns: str, replicas: int
) -> None:
    cluster = connect(
        "west", kubeconfig=target.kubeconfig, context=target.context, timeouts=PATIENT
    )
    planner = Planner(lambda _: cluster, lambda: ("2.11.1",), instances={"contoso": INSTANCE})
    clusters = {"west": cluster}
    applier = Applier(clusters, Minter(Mint(), {"contoso": INSTANCE}, LocalCustody()))
    # The shortest deadline a spec may have is 30 s; eighteen are enough to see that nothing moves.
    deployer = Deployer(applier, replanning(planner, clusters), margin=-12.0)

    def deploy(spec: GatewaySpec, action_id: str) -> tuple[State, str]:
        plan = planner.plan(spec, action_id)
        outcome = deployer.execute(action_for(plan, action_id), RecordingRun())
        return outcome.state, outcome.happened

    def pods() -> set[str]:
        return {pod["metadata"]["name"] for pod in cluster.list("Pod", ns)}

    try:
        good = spec_for(target, ns, replicas=replicas)
        assert deploy(good, "ABC234")[0] is State.SUCCEEDED
        before = pods()
        rollout = Rollout(progress_deadline=30, automatic_rollback=True)
        asked = dataclasses.replace(good, tag="9.9.9", log_level="warn", rollout=rollout)
        state, happened = deploy(asked, "ABC235")
        assert state is State.FAILED
        assert f"so 2.11.1 is back: {replicas} of {replicas} pods ready." in happened
        assert before <= pods()
        until(lambda: pods() == before, "the pods of the failed version to be gone")
        assert planner.plan(good, "ABC236").empty
    finally:
        cluster.close()
