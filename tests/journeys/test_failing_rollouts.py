"""Rollouts that do not finish: the message says which pods and why, and what to do."""

from collections.abc import Iterator

import pytest

from deploy.actions.connection import connect
from tests.support.demo import Demo, broken, words
from tests.support.kube_api import KubeApi
from tests.support.waiting import until

TAG = "2.11.1"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    running = Demo(tmp_path_factory.mktemp("demo"))
    yield running
    running.stop()


def test_an_image_that_cannot_be_pulled_is_told_while_it_rolls_out_and_at_the_end(
    demo: Demo,
) -> None:
    ana = demo.person("ana")
    with broken(demo, "node west", "image_pull_fails", True, False):
        ana.types(f"deploy store-7 --to west/dev --tag {TAG} --replicas 1 --deadline 30")
        plan = ana.sees("Deploy store-7.*Nothing has changed yet", ephemeral=False)
        ana.clicks(plan, "Confirm")
        ana.sees("Rolling out.*(ErrImagePull|ImagePullBackOff)", 60, ephemeral=False)
        failed = words(ana.sees("The rollout did not finish", 150, ephemeral=False))
    assert "0 of 1 pod" in failed
    assert "Last event" in failed
    assert "Kubernetes keeps trying until the registry works" in failed


def test_an_update_that_cannot_start_leaves_the_version_before_serving(demo: Demo) -> None:
    ana = demo.person("ana")
    ana.types(f"deploy edge-2 --to east/dev --tag {TAG} --replicas 1 --deadline 30")
    ana.clicks(ana.sees("Deploy edge-2.*Nothing has changed yet", ephemeral=False), "Confirm")
    ana.sees("Deploy edge-2.*1 of 1 pods ready after", 90, ephemeral=False)
    with broken(demo, "node east", "image_pull_fails", True, False):
        ana.types("deploy edge-2 --to east/dev --tag 2.12.1")
        plan = ana.sees("Deploy edge-2.*Nothing has changed yet", ephemeral=False)
        assert "2.11.1 → " in words(plan)
        ana.clicks(plan, "Confirm")
        failed = ana.sees("edge-2.*The rollout did not finish", 150, ephemeral=False)
    assert "still serve" in words(failed)


def test_what_is_deleted_after_a_success_is_reported_in_its_thread_once(demo: Demo) -> None:
    ana = demo.person("ana")
    ana.types(f"deploy edge-1 --to east/dev --tag {TAG} --replicas 1 --deadline 60")
    ana.clicks(ana.sees("Deploy edge-1.*Nothing has changed yet", ephemeral=False), "Confirm")
    done = ana.sees("Deploy edge-1.*1 of 1 pods ready after", 90, ephemeral=False)
    KubeApi(demo.kubeconfig, "east").request(
        "DELETE", "/apis/apps/v1/namespaces/dev/deployments/edge-1"
    )
    redis = connect(f"unix://{demo.data}/redis/valkey.sock")
    index = "gateway-bot:{looks}"
    due = until(lambda: redis.zrange(index, 0, -1), "a look that is due some time")
    redis.zadd(index, dict.fromkeys(due, 0), xx=True)
    line = ana.sees_below(done, "This is no longer in effect")
    assert "The Deployment “edge-1” is gone from east/dev." in words(line)
    until(lambda: not redis.exists(index), "every look")
    assert len([m for m in ana.messages() if "This is no longer in effect" in words(m)]) == 1


def test_a_rollout_that_is_stuck_says_so_is_waited_for_and_then_rolled_back_by_a_decided_plan(
    demo: Demo,
) -> None:
    ana, ivy = demo.person("ana"), demo.person("ivy")
    first = ana.plans(f"deploy store-7 --to east/dev --tag {TAG} --replicas 1 --deadline 600")
    ana.clicks(first, "Confirm")
    ana.sees_at(first, "1 of 1 pods ready after")
    with broken(demo, "node east", "image_pull_fails", True, False):
        plan = ana.plans("deploy store-7 --to east/dev --tag 2.12.1")
        ana.clicks(plan, "Confirm")
        stuck = ana.sees_at(plan, r"Stuck: the (image|registry)")
        assert "Kubernetes keeps trying until the registry works" in words(stuck)
        # An edit notifies nobody.
        ana.sees_below(plan, r"\A<@U0ANA> \*Deploy store-7 .*Stuck: the ")
        ivy.clicks(stuck, "Keep waiting")
        ivy.sees("Only the requester or an approver", ephemeral=True)
        ana.clicks(stuck, "Logs")
        ana.sees("Logs of pod `store-7", ephemeral=False)
        ana.clicks(stuck, "Keep waiting")
        waited = ana.sees_at(plan, "<@U0ANA> decided to keep waiting")
        assert "Stuck" not in words(waited)
        before = {message["ts"] for message in ana.messages()}
        ana.clicks(waited, "Roll back…")
        ana.sees_at(plan, "Stopped by <@U0ANA>")
        back = until(
            lambda: next(
                (
                    message
                    for message in ana.messages()
                    if message["ts"] not in before and "Nothing has changed yet" in words(message)
                ),
                None,
            ),
            "the plan of the rollback",
        )
        assert "Roll back store-7" in words(back)
        ana.clicks(back, "Confirm")
        done = words(ana.sees_at(back, "1 of 1 pods ready after"))
        assert TAG in done
