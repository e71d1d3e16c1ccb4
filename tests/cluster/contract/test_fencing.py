"""The Lease of a gateway: one holder, rising fences, and nobody writes who is not the holder."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest

from deploy.actions.fencing import (
    FENCE_ANNOTATION,
    FenceHeld,
    FenceLost,
    Fences,
    FenceTooLow,
    held_of,
    lease_name,
)
from deploy.errors import Conflict, NotFound
from deploy.gateway import ApimGateway, GatewayRef
from deploy.kube.cluster import Cluster, connect
from deploy.plans.plan import Plan
from deploy.rendering.manifests import render
from deploy.rollouts.rollout import apply_plan
from deploy.specs.gateway_spec import GatewaySpec
from deploy.tokens.token_plan import TokenPlan
from tests.cluster.conftest import Target
from tests.support.gateway_bed import PATIENT


@pytest.fixture(scope="module")
def west(target: Target) -> Iterator[Cluster]:
    found = connect("west", kubeconfig=target.kubeconfig, context=target.context, timeouts=PATIENT)
    yield found
    found.close()


@pytest.fixture
def ref(ns: str) -> GatewayRef:
    return GatewayRef("west", ns, "edge-1")


@pytest.fixture
def fences(west: Cluster) -> Fences:
    return Fences({"west": west})


def lease(west: Cluster, ref: GatewayRef) -> dict[str, Any]:
    found = west.get("Lease", ref.namespace, lease_name(ref))
    assert found is not None
    return found


def test_who_takes_it_is_written_where_the_gateway_is(
    west: Cluster, fences: Fences, ref: GatewayRef
) -> None:
    assert fences.seen(ref) == 0
    fences.take(ref, "AAAAAA", "bot-1", 7, 30)
    spec = lease(west, ref)["spec"]
    assert (spec["holderIdentity"], spec["leaseDurationSeconds"]) == ("bot-1", 30)
    assert spec["acquireTime"] == spec["renewTime"]
    held = held_of(lease(west, ref))
    assert (held.fence, held.action_id, held.transitions) == (7, "AAAAAA", 0)
    assert held.until == pytest.approx(west.now() + 30, abs=15)
    assert fences.seen(ref) == 7


def test_a_gateway_whose_name_is_longer_than_a_label_may_be_has_one_too(
    fences: Fences, ns: str
) -> None:
    name = f"a-release-{'long-' * 11}azure-api-management-gateway"
    ref = GatewayRef("west", ns, name)
    fences.take(ref, "AAAAAA", "bot-1", 7, 30).guard()
    assert fences.seen(ref) == 7


def test_one_of_an_earlier_version_is_taken_and_relabelled_and_others_labels_stay(
    west: Cluster, fences: Fences, ref: GatewayRef
) -> None:
    fences.take(ref, "AAAAAA", "bot-1", 7, 30).release()
    left = lease(west, ref)
    earlier = {
        "app.kubernetes.io/managed-by": "gateway-bot",
        "app.kubernetes.io/instance": "edge-1",
    }
    metadata = {**left["metadata"], "labels": {**earlier, "team": "edge"}}
    west.replace({**left, "metadata": metadata})
    fences.take(ref, "BBBBBB", "bot-2", 8, 30)
    assert lease(west, ref)["metadata"]["labels"] == {
        "app.kubernetes.io/managed-by": "gateway-bot",
        "gateway-bot.io/part-of": "edge-1",
        "team": "edge",
    }


def test_taking_it_again_for_the_same_run_is_no_error(fences: Fences, ref: GatewayRef) -> None:
    fences.take(ref, "AAAAAA", "bot-1", 7, 30)
    fences.take(ref, "AAAAAA", "bot-1", 7, 30).guard()


def test_nobody_takes_it_from_one_who_is_at_work(fences: Fences, ref: GatewayRef) -> None:
    first = fences.take(ref, "AAAAAA", "bot-1", 7, 30)
    with pytest.raises(FenceHeld) as held:
        fences.take(ref, "BBBBBB", "bot-2", 8, 30)
    assert held.value.holder == "bot-1"
    assert 20 < held.value.seconds <= 30
    first.release()
    fences.take(ref, "BBBBBB", "bot-2", 8, 30).guard()


def test_one_that_is_not_renewed_is_taken_and_the_first_may_not_write(
    west: Cluster, fences: Fences, ref: GatewayRef
) -> None:
    first = fences.take(ref, "AAAAAA", "bot-1", 7, 30)
    stale = lease(west, ref)
    stale["spec"]["renewTime"] = "2026-01-01T00:00:00.000000Z"
    west.replace(stale)
    second = fences.take(ref, "BBBBBB", "bot-2", 8, 30)
    second.guard()
    assert held_of(lease(west, ref)).transitions == 1
    guarded = west.guarded(first.guard)
    cases = (
        lambda: guarded.create(config_map(ref)),
        lambda: guarded.apply(config_map(ref)),
        lambda: guarded.replace(stale),
        lambda: guarded.replace_fields(stale, {"/metadata/managedFields": []}),
        lambda: guarded.delete("Lease", ref.namespace, lease_name(ref)),
        first.renew,
    )
    for write in cases:
        with pytest.raises(FenceLost):
            write()
    first.release()
    second.guard()
    assert guarded.get("ConfigMap", ref.namespace, "never") is None
    assert guarded.apply(config_map(ref), dry_run=True)["metadata"]["name"] == "never"


@pytest.mark.parametrize("fence", [6, 7])
def test_a_fence_that_is_not_higher_is_refused(fences: Fences, fence: int, ref: GatewayRef) -> None:
    fences.take(ref, "AAAAAA", "bot-1", 7, 30).release()
    with pytest.raises(FenceTooLow) as low:
        fences.take(ref, "BBBBBB", "bot-2", fence, 30)
    assert low.value.fence == 7


def test_a_fence_given_out_twice_serves_one(fences: Fences, ref: GatewayRef) -> None:
    first = fences.take(ref, "AAAAAA", "bot-1", 7, 30)
    with pytest.raises(FenceHeld):
        fences.take(ref, "AAAAAA", "bot-2", 7, 30)
    first.release()
    with pytest.raises(FenceTooLow):
        fences.take(ref, "AAAAAA", "bot-2", 7, 30)


def test_a_lease_that_was_deleted_is_held_by_nobody(
    west: Cluster, fences: Fences, ref: GatewayRef
) -> None:
    first = fences.take(ref, "AAAAAA", "bot-1", 7, 30)
    west.delete("Lease", ref.namespace, lease_name(ref))
    with pytest.raises(FenceLost):
        first.guard()
    first.release()


def test_one_renews_it_by_looking_when_half_of_its_time_is_over(
    west: Cluster, fences: Fences, ref: GatewayRef
) -> None:
    hold = fences.take(ref, "AAAAAA", "bot-1", 7, 0.0)
    before = lease(west, ref)["spec"]["renewTime"]
    hold.guard()
    assert lease(west, ref)["spec"]["renewTime"] > before


def test_what_others_have_written_into_it_stays(
    west: Cluster, fences: Fences, ref: GatewayRef
) -> None:
    fences.take(ref, "AAAAAA", "bot-1", 7, 30).release()
    other = lease(west, ref)
    other["metadata"]["annotations"]["team"] = "edge"
    other["metadata"]["annotations"][FENCE_ANNOTATION] = "what?"
    west.replace(other)
    fences.take(ref, "BBBBBB", "bot-2", 1, 30)
    assert lease(west, ref)["metadata"]["annotations"]["team"] == "edge"


def test_a_write_of_what_others_have_changed_is_refused(
    west: Cluster, fences: Fences, ref: GatewayRef
) -> None:
    hold = fences.take(ref, "AAAAAA", "bot-1", 7, 30)
    read = lease(west, ref)
    hold.renew()
    with pytest.raises(Conflict):
        west.replace({**read, "spec": {**read["spec"], "holderIdentity": "bot-2"}})


def test_a_run_that_pauses_between_its_guard_and_its_write_overwrites_nothing(
    west: Cluster, fences: Fences, ref: GatewayRef
) -> None:
    spec = GatewaySpec(
        ref=ref, apim=ApimGateway("contoso", "edge-1", "contoso.example"), tag="2.11.1", replicas=2
    )
    write(west, spec, "t-1", "AAAAAA")
    overtaking = fences.take(ref, "AAAAAA", "bot-1", 7, 30)
    looked: list[int] = []

    def guard_then_pause() -> None:
        overtaking.guard()
        looked.append(1)
        if len(looked) == 1:
            # The pause outlasts the lease: another run takes it, writes, and is done.
            stale = lease(west, ref)
            stale["spec"]["renewTime"] = "2026-01-01T00:00:00.000000Z"
            west.replace(stale)
            fences.take(ref, "BBBBBB", "bot-2", 8, 30)
            newer = dataclasses.replace(spec, tag="2.12.1")
            write(west, newer, "t-2", "BBBBBB")

    late = west.guarded(guard_then_pause)
    with pytest.raises(FenceLost):
        write(late, spec, "t-1", "AAAAAA")
    assert len(looked) == 1, "it looked before its write, and the second look ended it"
    live = west.get("Deployment", ref.namespace, ref.name)
    assert live is not None
    assert live["spec"]["template"]["spec"]["containers"][0]["image"].endswith(":2.12.1")
    assert live["metadata"]["annotations"]["gateway-bot.io/action"] == "BBBBBB"


def write(cluster: Cluster, spec: GatewaySpec, secret: str, action_id: str) -> None:
    """Apply the gateway's Deployment alone."""
    objects = tuple(o for o in render(spec, secret) if o["kind"] == "Deployment")
    token = TokenPlan(secret, mint=False, expires_at=None, reason="")
    plan = Plan(spec, "", objects, (), token)
    apply_plan(cluster, plan, action_id=action_id, requester="U1")


def test_without_the_namespace_or_the_cluster_there_is_none(
    fences: Fences, ref: GatewayRef
) -> None:
    with pytest.raises(NotFound, match="no namespace"):
        fences.take(GatewayRef("west", "nowhere", "edge-1"), "AAAAAA", "bot-1", 1, 30)
    with pytest.raises(NotFound, match="no longer in the bot's settings"):
        fences.take(GatewayRef("north", "dev", "edge-1"), "AAAAAA", "bot-1", 1, 30)


def config_map(ref: GatewayRef) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "never", "namespace": ref.namespace},
        "data": {},
    }
