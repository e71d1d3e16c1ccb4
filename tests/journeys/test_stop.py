"""Stop: a running action ends at a safe point, and its message says what the cluster holds."""

from collections.abc import Iterator

import pytest

from tests.support.demo import Demo, broken, words

TAG = "2.11.1"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    running = Demo(tmp_path_factory.mktemp("demo"))
    yield running
    running.stop()


def test_a_rollout_that_hangs_is_stopped_and_what_waits_behind_it_continues(demo: Demo) -> None:
    ana, ivy = demo.person("ana"), demo.person("ivy")
    with broken(demo, "node west", "image_pull_fails", True, False):
        plan = ana.plans(f"deploy store-7 --to west/dev --tag {TAG} --replicas 1 --deadline 600")
        ana.clicks(plan, "Confirm")
        running = ana.sees_at(plan, "Rolling out")
        ana.clicks(running, "Stop rollout")
        stopped = words(ana.sees_at(plan, "Stopped by <@U0ANA>"))
        assert "Kubernetes finishes what was applied" in stopped
        assert TAG in stopped
        ana.clicks(running, "Stop rollout")
        ana.sees("already stopped", ephemeral=True)
    again = ivy.plans("restart store-7")
    ivy.clicks(again, "Confirm")
    ivy.sees_at(again, "1 of 1 pods ready after")


def test_in_production_an_approver_stops_it_and_others_may_not(demo: Demo) -> None:
    ana, ben, dan = (demo.person(name) for name in ("ana", "ben", "dan"))
    with broken(demo, "node west", "image_pull_fails", True, False):
        plan = ana.plans(f"deploy edge-2 --to west/prod --tag {TAG} --replicas 1 --deadline 600")
        ben.clicks(plan, "Approve")
        running = ana.sees_at(plan, "Rolling out")
        dan.clicks(running, "Stop rollout")
        dan.sees("may not stop|Allowed", ephemeral=True)
        name = words(running).rpartition("action `")[2][:6]
        ben.types(f"stop {name}")
        ben.sees(f"{name} is stopping", ephemeral=True)
        ana.sees_at(plan, "Stopped by <@U0BEN>")
    ben.types(f"stop {name}")
    ben.sees("already stopped", ephemeral=True)
