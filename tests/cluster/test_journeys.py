"""The journeys of a person, with a real control plane as the cluster `west`."""

import base64
import json
import os
import signal
from collections.abc import Iterator

import pytest

from tests.cluster.conftest import named_west
from tests.journeys.test_deploy import TAG, deploy, kubectl, named, objects, running_again
from tests.support.control_plane import ControlPlane
from tests.support.demo import Demo, broken, words
from tests.support.waiting import until


@pytest.fixture(scope="module")
def demo(whole_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    data = tmp_path_factory.mktemp("demo")
    running = Demo(data / "demo", "--kubeconfig", str(named_west(whole_plane, data / "west")))
    yield running
    running.stop()


def test_a_gateway_is_deployed_from_the_form(demo: Demo) -> None:
    ana = demo.person("ana")
    assert ana.types("deploy")["ok"]
    form = ana.form("deploy")
    assert "west/dev" in ana.options(form, "deploy_place", "west dev")
    sent = ana.submits(
        form,
        deploy_gateway="contoso/edge-1",
        deploy_place="west/dev",
        deploy_tag=TAG,
        deploy_replicas="2",
    )
    assert sent == {"ok": True}
    plan = ana.sees("Nothing has changed yet", ephemeral=False)
    assert not named(objects(demo, "deployments", "dev"), "edge-1")
    ana.clicks(plan, "Confirm")
    ana.sees_at(plan, "2 of 2 pods ready after")
    assert "successfully rolled out" in kubectl(
        demo, "rollout", "status", "-n", "dev", "deployment/edge-1", "--watch=false"
    )
    ana.types(f"deploy edge-1 --to west/dev --tag {TAG} --replicas 2")
    ana.sees("No change: west/dev/edge-1", ephemeral=True)


def test_its_objects_are_as_planned_and_its_token_is_in_its_secret_alone(demo: Demo) -> None:
    deploy(demo, "store-7", "west/dev", replicas=2)
    (deployment,) = named(objects(demo, "deployments", "dev"), "store-7")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    reference = container["env"][0]["valueFrom"]["secretKeyRef"]
    (secret,) = named(objects(demo, "secrets", "dev"), reference["name"])
    assert secret["immutable"] is True
    for kind, name in (
        ("services", "store-7-live-traffic"),
        ("services", "store-7-instance-discovery"),
        ("configmaps", "store-7-env"),
        ("poddisruptionbudgets", "store-7"),
    ):
        assert named(objects(demo, kind, "dev"), name), name
    signature = base64.b64decode(secret["data"]["value"]).rpartition(b"&")[2]
    assert len(signature) > 80
    written = b"".join(p.read_bytes() for p in (demo.data / "redis").rglob("*") if p.is_file())
    assert signature not in written
    assert signature.decode() not in json.dumps(demo.get("log")) + "".join(demo.lines)


def test_production_changes_only_once_an_approver_approved_the_plan(demo: Demo) -> None:
    ana, ben = demo.person("ana"), demo.person("ben")
    plan = ana.plans(f"deploy edge-1 --to west/prod --tag {TAG}")
    ana.clicks(plan, "Approve")
    ana.sees("somebody else must approve or deny it", ephemeral=True)
    assert objects(demo, "deployments", "prod") == []
    ben.clicks(plan, "Approve")
    ben.sees_at(plan, "3 of 3 pods ready after", 90)
    assert named(objects(demo, "deployments", "prod"), "edge-1")


def test_status_proves_a_gateway_by_its_pods_and_its_own_status_path(demo: Demo) -> None:
    deploy(demo, "edge-2", "west/dev", replicas=2)
    ivy = demo.person("ivy", "gateway-alerts")
    # What the bot watches comes a moment after what it follows.
    proved = "edge-2 on west/dev.*2 of 2 pods.*its status path answers"
    # Other tests on the same control plane have gateways of the same name.
    told = ivy.is_told("status west/dev/edge-2", proved)
    ivy.clicks(told, "More details")
    shown = until(
        lambda: "edge-2-live-traffic" in (said := str(ivy.views())) and said, "More details"
    )
    assert "pending" in shown, "nothing here gives load balancers an address"


def test_scaling_down_is_done_only_when_the_pods_are_gone(demo: Demo) -> None:
    deploy(demo, "edge-2", "west/dev", replicas=3)
    deploy(demo, "edge-2", "west/dev", replicas=1)
    (live,) = named(objects(demo, "deployments", "dev"), "edge-2")
    assert live["status"]["replicas"] == 1


def test_a_changed_gateway_is_shown_as_a_difference_and_rolled_out(demo: Demo) -> None:
    ivy = demo.person("ivy")
    plan = ivy.plans("deploy edge-2 --to west/dev --tag 2.12.1 --replicas 1")
    assert "2.11.1 → " in words(plan)
    assert "ConfigMap" not in words(plan), "only what differs is shown"
    ivy.clicks(plan, "Confirm")
    ivy.sees_at(plan, "1 of 1 pods ready after")
    (live,) = named(objects(demo, "deployments", "dev"), "edge-2")
    assert live["spec"]["template"]["spec"]["containers"][0]["image"].endswith(":2.12.1")


def test_a_field_that_somebody_else_owns_is_named_and_taken_only_when_asked(demo: Demo) -> None:
    kubectl(demo, "set", "resources", "-n", "dev", "deployment/store-7", "--limits=memory=3Gi")
    chen = demo.person("chen")
    command = f"deploy store-7 --to west/dev --tag {TAG} --replicas 2"
    chen.types(command)
    shown = words(chen.sees("kubectl.*limits.memory|limits.memory.*kubectl"))
    assert "take" in shown.lower()
    plan = chen.plans(f"{command} --take-over")
    chen.clicks(plan, "Confirm")
    chen.sees_at(plan, "2 of 2 pods ready after")
    (live,) = named(objects(demo, "deployments", "dev"), "store-7")
    assert live["spec"]["replicas"] == 2
    (container,) = live["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["memory"] != "3Gi"


def test_a_plan_is_not_applied_when_the_cluster_moved_in_between(demo: Demo) -> None:
    ana = demo.person("ana")
    plan = ana.plans("deploy edge-2 --to west/dev --tag 2.10.0 --replicas 1")
    kubectl(demo, "set", "image", "-n", "dev", "deployment/edge-2", "edge-2=example.com/other:1")
    ana.clicks(plan, "Confirm")
    ana.sees_at(plan, "has changed on the cluster since")

    def versions() -> int:
        owners = [o["metadata"]["ownerReferences"] for o in objects(demo, "replicasets", "dev")]
        return sum(owner[0]["name"] == "edge-2" for owner in owners)

    # kubectl knows of no version before while the new one has no ReplicaSet.
    until(lambda: versions() > 1, "the new ReplicaSet")
    kubectl(demo, "rollout", "undo", "-n", "dev", "deployment/edge-2")


def test_an_image_that_cannot_be_pulled_is_told_while_it_rolls_out_and_at_the_end(
    demo: Demo,
) -> None:
    ana = demo.person("ana")
    with broken(demo, "node west", "image_pull_fails", True, False):
        # A tag that no test before has left on a node, which would then not pull it.
        plan = ana.plans("deploy store-7 --to west/dev --tag 2.12.0 --replicas 2 --deadline 30")
        ana.clicks(plan, "Confirm")
        ana.sees_at(
            plan, "Stuck: the image's registry cannot be used.*(ErrImagePull|ImagePullBackOff)"
        )
        failed = words(ana.sees_at(plan, "The rollout did not finish", 150))
    assert "still serve" in failed


def test_a_bot_killed_during_a_rollout_ends_the_message_truly(demo: Demo) -> None:
    ana = demo.person("ana", "gateway-alerts")
    with broken(demo, "node west", "slow_start_seconds", 6, 0):
        plan = ana.plans(f"deploy legacy-9 --to west/dev --tag {TAG} --replicas 2")
        ana.clicks(plan, "Confirm")
        until(lambda: named(objects(demo, "deployments", "dev"), "legacy-9"), "an apply")
        before = demo.bot_pid()
        os.kill(before, signal.SIGKILL)
        until(lambda: running_again(demo, before), "a new bot", 90)
        ana.sees_at(plan, "Done: 2 of 2 pods ready after", 90)
