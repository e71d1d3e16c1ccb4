"""What was decided on is what is done: on a cluster that has moved, nothing is."""

import dataclasses
import datetime
from collections.abc import Iterator

import pytest

from deploy.actions.action import State, Step
from deploy.actions.fencing import Fences, lease_name
from deploy.errors import Refused
from deploy.kube.cluster import Cluster
from deploy.observed.installed import installed
from deploy.plans.plan import Plan
from deploy.plans.planning import Planner
from deploy.rendering.manifests import token_secret
from deploy.rollouts.applying import Applier
from deploy.rollouts.collecting import collect
from deploy.rollouts.deployer import Deployer
from deploy.rollouts.minting import Minter
from deploy.rollouts.removal import Remover, removal_plan
from deploy.specs.options import Objects
from tests.support.actions import replanning
from tests.support.custody import LocalCustody
from tests.support.gateway_bed import (
    INSTANCE,
    REF,
    SPEC,
    GatewayBed,
    Mint,
    RecordingRun,
    action_for,
    gateway_bed,
)
from tests.support.portal import portal


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayBed]:
    with gateway_bed(tmp_path_factory.mktemp("bed")) as found:
        yield found


class Bench:
    """Executors, and somebody else who changes the gateway."""

    def __init__(self, bed: GatewayBed) -> None:
        self.cluster = bed.cluster
        for kind in ("Deployment", "Service", "ConfigMap", "Secret", "PodDisruptionBudget"):
            for item in bed.cluster.list(kind, REF.namespace):
                bed.cluster.delete(kind, REF.namespace, item["metadata"]["name"])
        self.mint = Mint()
        clusters = {"west": bed.cluster}
        self.planner = Planner(clusters.__getitem__, list, instances={"contoso": INSTANCE})
        applier = Applier(clusters, Minter(self.mint, {"contoso": INSTANCE}, LocalCustody()))
        self.deployer = Deployer(applier, replanning(self.planner, clusters))
        self.remover = Remover(clusters)

    def moved(self) -> None:
        """Another action deploys the gateway."""
        plan = self.planner.plan(dataclasses.replace(SPEC, replicas=1), "OTHER1")
        run = RecordingRun()
        assert self.deployer.execute(action_for(plan, "OTHER1"), run).state is State.SUCCEEDED

    def removal(self) -> Plan:
        """What would be shown before it is deleted."""
        return removal_plan(self.cluster, installed(self.cluster, REF), volumes=False)


@pytest.fixture
def bench(bed: GatewayBed) -> Bench:
    return Bench(bed)


def test_a_gateway_that_changed_since_the_plan_was_shown_is_left_alone(bench: Bench) -> None:
    action = action_for(bench.planner.plan(SPEC, "ABC234"))
    bench.moved()
    before = bench.cluster.get("Deployment", REF.namespace, REF.name)
    outcome = bench.deployer.execute(action, RecordingRun())
    assert outcome.state is State.SUPERSEDED
    assert "Nothing was changed" in outcome.meaning
    assert bench.cluster.get("Deployment", REF.namespace, REF.name) == before
    assert len(bench.mint.asked) == 1


def test_where_a_run_that_died_had_begun_it_is_not_said_that_nothing_was_changed(
    bench: Bench,
) -> None:
    action = action_for(bench.planner.plan(SPEC, "ABC234"), steps=(Step("apply", 0.0),))
    bench.moved()
    outcome = bench.deployer.execute(action, RecordingRun())
    assert outcome.state is State.SUPERSEDED
    assert "Nothing was changed" not in outcome.meaning
    assert "interrupted run had started" in outcome.meaning


def test_more_than_was_shown_is_not_deleted(bench: Bench) -> None:
    bench.moved()
    plan = bench.removal()
    shown = dataclasses.replace(plan, changes=plan.changes[:-1])
    outcome = bench.remover.execute(action_for(shown, kind="delete"), RecordingRun())
    assert outcome.state is State.SUPERSEDED
    assert bench.removal().changes == plan.changes


def test_what_others_have_come_to_read_since_it_was_shown_stays(bench: Bench) -> None:
    bench.moved()
    plan = bench.removal()
    assert ("ConfigMap", "edge-1-env") in {(c.kind, c.name) for c in plan.changes}
    for item in portal(REF.namespace, "edge-2"):
        if item["kind"] == "Deployment":
            (container,) = item["spec"]["template"]["spec"]["containers"]
            container["envFrom"] = [{"configMapRef": {"name": "edge-1-env"}}]
            bench.cluster.create(item)
    outcome = bench.remover.execute(action_for(plan, kind="delete"), RecordingRun())
    assert outcome.state is State.SUCCEEDED
    assert outcome.happened.endswith(f"with {len(plan.changes) - 1} objects")
    assert (
        "ConfigMap edge-1-env stays: it no longer belongs to this gateway alone."
    ) in outcome.meaning
    assert bench.cluster.get("Deployment", REF.namespace, REF.name) is None
    assert bench.cluster.get("ConfigMap", REF.namespace, "edge-1-env") is not None


def test_a_deletion_that_was_begun_is_finished(bench: Bench) -> None:
    bench.moved()
    plan = bench.removal()
    bench.cluster.delete("Deployment", REF.namespace, REF.name)
    action = action_for(plan, kind="delete", steps=(Step("delete", 0.0),))
    assert bench.remover.execute(action, RecordingRun()).state is State.SUCCEEDED
    assert bench.cluster.list("Service", REF.namespace) == []


def test_a_token_that_was_minted_and_never_used_is_shown_and_goes_too(bench: Bench) -> None:
    bench.moved()
    instance, ends = INSTANCE, datetime.datetime.now(datetime.UTC)
    token = bench.mint.generate_token(instance, "edge-1", "secondary", ends)
    other = dataclasses.replace(SPEC, ref=dataclasses.replace(REF, name="edge-2"))
    for spec, name in ((SPEC, "edge-1-token-failed"), (other, "edge-2-token-used")):
        bench.cluster.create(token_secret(spec, name, token, "FAILED", "secondary"))
    plan = bench.removal()
    assert [c.name for c in plan.changes if c.kind == "Secret"] == [
        "edge-1-token-failed", "edge-1-token-other1",
    ]  # fmt: skip
    outcome = bench.remover.execute(action_for(plan, kind="delete"), RecordingRun())
    assert outcome.state is State.SUCCEEDED
    left = [item["metadata"]["name"] for item in bench.cluster.list("Secret", REF.namespace)]
    assert left == ["edge-2-token-used"]


def test_a_deletion_that_failed_halfway_can_be_asked_for_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.moved()
    delete = Cluster.delete

    def refusing(cluster: Cluster, kind: str, namespace: str, name: str) -> bool:
        if kind == "ConfigMap":
            raise Refused("The bot is not allowed to delete configmaps.")
        return delete(cluster, kind, namespace, name)

    with monkeypatch.context() as patched:
        patched.setattr(Cluster, "delete", refusing)
        outcome = bench.remover.execute(action_for(bench.removal(), kind="delete"), RecordingRun())
    assert outcome.state is State.FAILED
    assert outcome.remedy == "Delete it again: objects that are already gone cause no error."
    again = bench.remover.execute(action_for(bench.removal(), kind="delete"), RecordingRun())
    assert again.state is State.SUCCEEDED
    assert bench.cluster.get("ConfigMap", REF.namespace, "edge-1-env") is None


def test_a_gateway_whose_labels_say_the_same_as_anothers_touches_no_token_of_the_other(
    bench: Bench,
) -> None:
    """As two that were adopted from one release of a chart, which labels both with its name."""
    alike = Objects(selector=(("app", "edge-1"), ("app.kubernetes.io/instance", "release")))
    spec = dataclasses.replace(SPEC, objects=alike)
    plan = bench.planner.plan(spec, "OTHER1")
    assert (
        bench.deployer.execute(action_for(plan, "OTHER1"), RecordingRun()).state is State.SUCCEEDED
    )
    ends = datetime.datetime.now(datetime.UTC)
    token = bench.mint.generate_token(INSTANCE, "edge-2", "primary", ends)
    other = dataclasses.replace(spec, ref=dataclasses.replace(REF, name="edge-2"))
    bench.cluster.create(token_secret(other, "edge-2-token-used", token, "USED", "primary"))
    assert collect(bench.cluster, spec).deleted == ()
    shown = bench.removal().changes
    assert [c.name for c in shown if c.kind == "Secret"] == ["edge-1-token-other1"]


def test_a_deleted_gateway_leaves_no_lease(bench: Bench) -> None:
    bench.moved()
    Fences({"west": bench.cluster}).take(REF, "ABC234", "bot-1", 3, 30)
    plan = bench.removal()
    # An object that is gone since it was shown is no reason to keep the others.
    bench.cluster.delete("Service", REF.namespace, plan.changes[1].name)
    outcome = bench.remover.execute(action_for(plan, kind="delete"), RecordingRun())
    assert outcome.state is State.SUCCEEDED
    assert bench.cluster.get("Lease", REF.namespace, lease_name(REF)) is None
    assert bench.cluster.list("Secret", REF.namespace) == []
