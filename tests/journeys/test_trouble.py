"""What a person sees when a part is down, slow or wrong: one clear message, and never silence."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.demo import Demo, broken, words
from tests.support.kubectl import kubectl_path
from tests.support.waiting import until

TAG = "2.11.1"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    running = Demo(tmp_path_factory.mktemp("demo"))
    yield running
    running.stop()


@pytest.mark.parametrize(
    ("part", "name", "value", "mended", "answer"),
    [
        ("azure", "arm_status", "503", "none", "Resource Manager answered 503.*Try again"),
        ("azure", "arm_status", "403", "none", "role with the action .*gateways/read"),
        ("azure", "arm_garbage", True, False, "an unreadable answer"),
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


def test_while_azure_asks_to_wait_the_requester_knows_and_the_plan_follows(demo: Demo) -> None:
    chen = demo.person("chen")
    demo.fault("azure", "retry_after_seconds", 5)
    with broken(demo, "azure", "arm_status", "429", "none"):
        chen.types(f"deploy edge-2 --to west/dev --tag {TAG}")
        told = (
            "Planning `deploy edge-2`… Waiting for Azure. Azure is throttling the bot's requests."
        )
        chen.sees(re.escape(told), 60, ephemeral=True)
    chen.sees("Deploy edge-2 to west/dev.*Nothing has changed yet", 90, ephemeral=False)


def test_status_says_which_cluster_does_not_answer_and_shows_the_other(demo: Demo) -> None:
    ivy = demo.person("ivy")
    with broken(demo, "cluster east", "api_down", True, False):
        # The bot learns of it when it next asks that cluster.
        ivy.is_told("status", r"east.*\*legacy-9\*")


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
        dan.sees("Redis cannot be used now", 60, ephemeral=True)
    finally:
        os.kill(server, signal.SIGCONT)


def test_a_plan_is_not_applied_when_the_cluster_moved_in_between(demo: Demo) -> None:
    ana = demo.person("ana")
    ana.types(f"deploy legacy-9 --to east/dev --tag {TAG} --replicas 1")
    plan = ana.sees("Deploy legacy-9.*Nothing has changed yet", ephemeral=False)
    subprocess.run(
        [
            *(kubectl_path(), "--kubeconfig", str(demo.kubeconfig), "--context", "east"),
            *("-n", "dev", "create", "configmap", "legacy-9-env", "--from-literal=a=b"),
        ],
        check=True,
        capture_output=True,
    )
    ana.clicks(plan, "Confirm")
    ana.sees_at(plan, "has changed on the cluster since")

    def fresh() -> bool:
        """Another plan of the same, to be decided on anew."""
        return any(
            message["ts"] != plan["ts"]
            and "Deploy legacy-9" in words(message)
            and "Nothing has changed yet" in words(message)
            for message in ana.messages()
        )

    until(fresh, "a new plan")
    where = f"--kubeconfig {demo.kubeconfig} --context east -n dev get deployments -o name"
    found = subprocess.run(
        [kubectl_path(), *where.split()], capture_output=True, text=True, check=True
    )
    assert "legacy-9" not in found.stdout


def redis_pid(demo: Demo) -> int:
    listing = subprocess.run(
        ["ps", "-eo", "pid=,ppid=,comm="], capture_output=True, text=True, check=True
    ).stdout
    for line in listing.splitlines():
        pid, parent, command = line.split(maxsplit=2)
        if int(parent) == demo.pid and "valkey" in command:
            return int(pid)
    raise AssertionError(listing)


def test_a_request_that_slack_delivers_twice_is_answered_once(demo: Demo) -> None:
    chen = demo.person("chen", "gateway-alerts")
    with broken(demo, "slack", "duplicate_deliveries", True, False):
        chen.types(f"deploy edge-1 --to east/dev --tag {TAG} --replicas 1")
        plan = chen.sees("Deploy edge-1 to east/dev.*Nothing has changed yet", ephemeral=False)
        chen.clicks(plan, "Cancel")
        chen.sees("edge-1.*Cancelled by", ephemeral=False)
    shown = [m for m in chen.messages() if "Deploy edge-1 to east/dev" in words(m)]
    assert len(shown) == 1


@pytest.mark.parametrize("fault", ["refresh", "disconnect_warning", "tcp_abort"])
def test_a_dropped_connection_is_made_anew_and_commands_go_on(demo: Demo, fault: str) -> None:
    dan = demo.person("dan", "gateway-alerts")
    demo.fault("slack", "drop_sockets", fault)
    until(lambda: dan.types("help")["ok"], "an answered command", 60)
    until(lambda: demo.get("state")["transport"]["connections"] >= 2, "both connections", 90)


def test_a_slack_that_fails_for_a_while_still_gets_the_final_message(demo: Demo) -> None:
    ivy = demo.person("ivy")
    ivy.types(f"deploy edge-1 --to west/dev --tag {TAG} --replicas 1")
    plan = ivy.sees("Deploy edge-1 to west/dev.*Nothing has changed yet", ephemeral=False)
    with broken(demo, "slack", "api_error", "503", "none"):
        ivy.clicks(plan, "Confirm")
        until(lambda: "1/1" in kubectl_get(demo), "the rollout itself")
    ivy.sees("edge-1.*1 of 1 pods ready after", 90, ephemeral=False)


def kubectl_get(demo: Demo) -> str:
    return subprocess.run(
        [
            *(kubectl_path(), "--kubeconfig", str(demo.kubeconfig), "--context", "west"),
            *("-n", "dev", "get", "deployment", "edge-1", "--ignore-not-found"),
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
