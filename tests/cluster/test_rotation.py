"""Rotations under traffic: on the sandbox's cluster and on a real control plane none is dropped."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.sandbox.node.addresses import LOOPBACK, routed_range
from deploy.actions.action import State
from deploy.kube.cluster import connect
from deploy.specs.options import Placement, Toleration
from tests.cluster.conftest import joined
from tests.support.azure import azure_bed
from tests.support.control_plane import ControlPlane
from tests.support.gateway_bed import PATIENT
from tests.support.rotation_bed import RotationBed, hosts_of, spec_of
from tests.support.running_cluster import RunningCluster
from tests.support.traffic import traffic
from tests.support.waiting import until

SERVICE = "edge-1-live-traffic"


@pytest.fixture(scope="module", params=["sandbox", "real"])
def bed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RotationBed]:
    directory = tmp_path_factory.mktemp(request.param)
    if request.param == "real":
        plane = request.getfixturevalue("real_plane")
        if not plane.controllers:
            pytest.skip("this control plane is an API server alone, without controllers")
        yield from on(plane, directory, real=True)
        return
    with RunningCluster(directory, namespaces=(), with_kubelet=False) as cluster:
        yield from on(ControlPlane(cluster.kubeconfig(), "west"), directory, real=False)


def on(plane: ControlPlane, directory: Path, *, real: bool) -> Iterator[RotationBed]:
    """The gateway, deployed on nodes of ours, whose times pass ten times faster than in life."""
    with (
        azure_bed(directory) as azure,
        joined(
            plane,
            directory,
            routed_range() if real else LOOPBACK,
            "real" if real else "sandbox",
            hosts=hosts_of(azure),
            ca_pem=azure.authority.ca_pem,
            time_scale=0.1,
        ) as target,
    ):
        namespace = f"t-{secrets.token_hex(4)}"
        target.api.create("/api/v1/namespaces", {"metadata": {"name": namespace}})
        (toleration,) = target.placed["tolerations"]
        placement = Placement(
            node_selector=tuple(target.placed["nodeSelector"].items()),
            tolerations=(Toleration(key=toleration["key"], operator="Exists"),),
        )
        cluster = connect(
            "west", kubeconfig=plane.kubeconfig, context=plane.context, timeouts=PATIENT
        )
        ready = RotationBed(
            cluster,
            azure,
            target.fault,
            spec_of(namespace, placement=placement, replicas=3),
            plane.kubeconfig,
            plane.context,
            margin=60.0,
            patience=30.0,
        )
        try:
            outcome = ready.deploy()
            assert outcome.state is State.SUCCEEDED, outcome
            yield ready
        finally:
            cluster.close()
            target.api.request("DELETE", f"/api/v1/namespaces/{namespace}")


def test_a_rotation_under_a_hundred_requests_a_second_drops_none(bed: RotationBed) -> None:
    before, pods = bed.in_use(), bed.pods()
    with traffic(bed.kubeconfig, bed.context, bed.ref.namespace, SERVICE) as told:
        outcome = bed.rotate()
        assert outcome.state is State.SUCCEEDED, outcome
        # A Service gets to know of its last pod a little later than the bot does.
        until(lambda: len(told.pods) >= 6, "answers of old and new pods")
    assert told.dropped == []
    assert told.answered == told.sent > 0
    # It sends a hundred a second; what is less is the machine's.
    assert told.rate > 30
    assert not pods & bed.pods(), "every pod was replaced"
    assert bed.in_use().key != before.key
    assert bed.azure.poll(bed.token(bed.in_use().name)).status_code == 200


def test_a_token_that_azure_refuses_is_rolled_back_and_none_is_dropped(bed: RotationBed) -> None:
    before, pods = bed.in_use(), bed.pods()
    bed.mint_elsewhere()
    with traffic(bed.kubeconfig, bed.context, bed.ref.namespace, SERVICE) as told:
        outcome = bed.rotate()
    bed.mint_right()
    assert outcome.state is State.FAILED
    assert "Azure refuses the new token" in outcome.happened
    assert told.dropped == []
    assert told.answered == told.sent > 0
    assert (bed.in_use(), bed.pods()) == (before, pods)


def test_a_second_rotation_deletes_what_is_older_than_the_way_back(bed: RotationBed) -> None:
    before = bed.in_use()
    outcome = bed.rotate()
    assert outcome.state is State.SUCCEEDED, outcome
    assert {s for s in bed.secrets() if "-token-" in s} == {before.name, bed.in_use().name}


def test_a_rollout_past_its_deadline_is_taken_back_and_none_is_dropped(
    bed: RotationBed, request: pytest.FixtureRequest
) -> None:
    if request.config.getoption("--control-plane") != "required":
        pytest.skip("`make test-cluster` runs this: the shortest deadline is half a minute")
    before, pods = bed.in_use(), bed.pods()
    bed.nodes("slow_start_seconds", 3600)
    with traffic(bed.kubeconfig, bed.context, bed.ref.namespace, SERVICE) as told:
        outcome = bed.rotate()
    bed.nodes("slow_start_seconds", 0)
    assert outcome.state is State.FAILED
    assert "is in use again: Only 0 of 3 pods became ready" in outcome.happened
    assert told.dropped == []
    assert (bed.in_use(), bed.pods()) == (before, pods)
