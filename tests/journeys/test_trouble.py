"""What a person sees when a part is down, slow or wrong: one clear message, and never silence."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.demo import Demo, words

TAG = "2.11.1"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    running = Demo(tmp_path_factory.mktemp("demo"))
    yield running
    running.stop()


@contextmanager
def broken(demo: Demo, part: str, name: str, value: Any, mended: Any) -> Iterator[None]:
    demo.fault(part, name, value)
    try:
        yield
    finally:
        demo.fault(part, name, mended)


@pytest.mark.parametrize(
    ("part", "name", "value", "mended", "answer"),
    [
        ("azure", "arm_status", "503", "none", "Azure Resource Manager answered 503"),
        ("azure", "arm_status", "403", "none", "lacks the right .*gateways/read"),
        ("azure", "arm_status", "429", "none", "Azure limits how often"),
        ("azure", "arm_garbage", True, False, "something unreadable"),
        ("cluster west", "api_down", True, False, "west.* answer"),
        ("cluster west", "api_error", "503", "none", "west"),
    ],
)
def test_a_service_that_does_not_answer_is_named(
    demo: Demo, part: str, name: str, value: Any, mended: Any, answer: str
) -> None:
    dan = demo.person("dan", "gateway-alerts")
    with broken(demo, part, name, value, mended):
        dan.types(f"deploy edge-1 --to west/dev --tag {TAG}")
        dan.sees(answer, 60, ephemeral=True)


def test_status_says_which_cluster_does_not_answer_and_shows_the_other(demo: Demo) -> None:
    ivy = demo.person("ivy")
    with broken(demo, "cluster east", "api_down", True, False):
        ivy.types("status")
        shown = words(ivy.sees("GATEWAY", 60, ephemeral=True))
    assert "legacy-9" in shown
    assert "east" in shown


def test_the_form_says_what_could_not_be_asked(demo: Demo) -> None:
    ben = demo.person("ben")
    with broken(demo, "azure", "arm_status", "403", "none"):
        ben.types("deploy")
        form = ben.form("deploy", 60)
    assert "gateways/read" in str(form["blocks"][0])
    demo.post("view", user="ben", view_id=form["id"], type="close")


def test_a_command_while_redis_hangs_is_answered_in_time(demo: Demo) -> None:
    dan = demo.person("dan", "gateway-alerts")
    server = redis_pid(demo)
    os.kill(server, signal.SIGSTOP)
    try:
        assert dan.types("status")["ok"]
        dan.sees("Redis cannot be used just now", 10, ephemeral=True)
    finally:
        os.kill(server, signal.SIGCONT)


def test_an_image_that_cannot_be_pulled_is_told_while_it_rolls_out_and_at_the_end(
    demo: Demo,
) -> None:
    ana = demo.person("ana")
    with broken(demo, "node west", "image_pull_fails", True, False):
        ana.types(f"deploy store-7 --to west/dev --tag {TAG} --replicas 1 --deadline 30")
        plan = ana.sees("Deploy store-7.*Nothing has changed yet", ephemeral=False)
        ana.clicks(plan, "Confirm")
        ana.sees("Rolling out.*(ErrImagePull|ImagePullBackOff)", 30, ephemeral=False)
        failed = words(ana.sees("The rollout did not finish", 100, ephemeral=False))
    assert "0 of 1 pods ready" in failed
    assert "Last event" in failed
    assert "Check that the tag exists" in failed


def test_an_update_that_cannot_start_leaves_the_version_before_serving(demo: Demo) -> None:
    ana = demo.person("ana")
    ana.types(f"deploy edge-2 --to east/dev --tag {TAG} --replicas 1 --deadline 30")
    ana.clicks(ana.sees("Deploy edge-2.*Nothing has changed yet", ephemeral=False), "Confirm")
    ana.sees("Deploy edge-2.*1 of 1 pods ready after", 60, ephemeral=False)
    with broken(demo, "node east", "image_pull_fails", True, False):
        ana.types("deploy edge-2 --to east/dev --tag 2.12.1")
        plan = ana.sees("Deploy edge-2.*Nothing has changed yet", ephemeral=False)
        assert "2.11.1 → " in words(plan)
        ana.clicks(plan, "Confirm")
        failed = ana.sees("edge-2.*The rollout did not finish", 100, ephemeral=False)
    assert "still serve" in words(failed)


def test_a_plan_is_not_applied_when_the_cluster_moved_in_between(demo: Demo) -> None:
    ana = demo.person("ana")
    ana.types(f"deploy legacy-9 --to east/dev --tag {TAG} --replicas 1")
    plan = ana.sees("Deploy legacy-9.*Nothing has changed yet", ephemeral=False)
    subprocess.run(
        [
            *("kubectl", "--kubeconfig", str(demo.kubeconfig), "--context", "east"),
            *("-n", "dev", "create", "configmap", "legacy-9-env", "--from-literal=a=b"),
        ],
        check=True,
        capture_output=True,
    )
    ana.clicks(plan, "Confirm")
    ana.sees("legacy-9.*has changed on the cluster since", ephemeral=False)


def redis_pid(demo: Demo) -> int:
    listing = subprocess.run(
        ["ps", "-eo", "pid=,ppid=,comm="], capture_output=True, text=True, check=True
    ).stdout
    for line in listing.splitlines():
        pid, parent, command = line.split(maxsplit=2)
        if int(parent) == demo.pid and "valkey" in command:
            return int(pid)
    raise AssertionError(listing)
