"""Rotating tokens from Slack: one gateway, several, those of others, and one that Azure refuses."""

import base64
import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.journeys.test_deploy import TAG, deploy, kubectl, named, objects, running_again
from tests.support.demo import Demo, broken, words
from tests.support.waiting import until


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    running = Demo(tmp_path_factory.mktemp("demo"))
    deploy(running, "edge-1", "west/dev", replicas=2)
    deploy(running, "edge-2", "west/dev", replicas=1)
    yield running
    running.stop()


def secret_in_use(demo: Demo, name: str) -> dict[str, Any]:
    (deployment,) = named(objects(demo, "deployments", "dev"), name)
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    reference = container["env"][0]["valueFrom"]["secretKeyRef"]["name"]
    return named(objects(demo, "secrets", "dev"), reference)[0]


def test_a_rotation_is_planned_confirmed_followed_and_proven(demo: Demo) -> None:
    ana = demo.person("ana")
    before = secret_in_use(demo, "edge-1")
    plan = ana.plans("rotate edge-1 --ttl 20d")
    shown = words(plan)
    assert "Rotate the token of edge-1 on west/dev" in shown
    assert "New gateway token from the secondary key, for 20 days" in shown
    assert f"back to `{before['metadata']['name']}` if Azure refuses it" in shown
    assert "The token in use was made with the primary key." in shown
    ana.clicks(plan, "Confirm")
    ana.sees_at(plan, "Looking whether Azure takes the new token")
    done = words(ana.sees_at(plan, "2 of 2 pods run with the new token after"))
    assert "Nothing shows a refusal" in done
    after = secret_in_use(demo, "edge-1")
    assert after["metadata"]["name"] != before["metadata"]["name"]
    assert after["metadata"]["annotations"]["gateway-bot.io/token-key"] == "secondary"
    signature = base64.b64decode(after["data"]["value"]).rpartition(b"&")[2]
    written = b"".join(p.read_bytes() for p in (demo.data / "redis").rglob("*") if p.is_file())
    assert len(signature) > 80
    assert signature not in written
    assert signature.decode() not in json.dumps(demo.get("log")) + "".join(demo.lines)


def test_a_key_is_regenerated_only_where_no_pod_holds_its_token(demo: Demo) -> None:
    ana = demo.person("ana")
    ana.types("regenerate-key edge-1 --key secondary")
    ana.sees("still hold a token of the secondary key of edge-1.*Rotate", ephemeral=True)
    plan = ana.plans("regenerate-key edge-1 --key primary")
    assert "Key primary of contoso/edge-1" in words(plan)
    assert "Every token made with the primary key dies at once" in words(plan)
    ana.clicks(plan, "Confirm")
    ana.sees_at(plan, "The primary key of edge-1 is regenerated")


def test_a_token_that_azure_refuses_is_taken_back_and_said(demo: Demo) -> None:
    ana = demo.person("ana")
    before = secret_in_use(demo, "edge-1")
    plan = ana.plans("rotate edge-1")
    with broken(demo, "azure", "configuration_status", "403", "none"):
        ana.clicks(plan, "Confirm")
        failed = words(ana.sees_at(plan, "The token of before is in use again", 90))
    assert "Azure refuses the new token" in failed
    assert secret_in_use(demo, "edge-1") == before


def test_a_rotation_whose_plan_no_longer_holds_is_planned_anew(demo: Demo) -> None:
    ana = demo.person("ana")
    before = secret_in_use(demo, "edge-2")
    plan = ana.plans("rotate edge-2 --ttl 10d --key secondary")
    kubectl(demo, "delete", "poddisruptionbudget", "-n", "dev", "edge-2")
    ana.clicks(plan, "Confirm")
    ana.sees_at(plan, "has changed on the cluster since")
    anew = ana.sees("Rotate the token of edge-2.*Nothing has changed yet.*PodDisruptionBudget")
    assert "from the secondary key, for 10 days" in words(anew)
    ana.clicks(anew, "Cancel")
    ana.sees_at(anew, "Cancelled")
    assert secret_in_use(demo, "edge-2") == before


def test_a_gateway_of_others_is_to_be_adopted_first(demo: Demo) -> None:
    ana = demo.person("ana")
    ana.types("rotate legacy-9")
    ana.sees("legacy-9 was not deployed by this bot.*[Aa]dopt", ephemeral=True)


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("rotate", "The gateway is missing"),
        ("rotate edge-1 --all", "Name one gateway, or choose several"),
        ("rotate --all --expiring 3d", "--all or --expiring, not both"),
        ("rotate edge-1 --ttl 31d", "30 days at most"),
        ("rotate edge-1 --key third", "primary or secondary"),
        ("rotate --expiring soon", "is not a lifetime"),
    ],
)
def test_a_mistake_is_explained(demo: Demo, typed: str, answer: str) -> None:
    dan = demo.person("dan", "gateway-alerts")
    dan.types(typed)
    dan.sees(answer, ephemeral=True)


def test_a_bot_killed_while_it_verifies_ends_the_message_truly(demo: Demo) -> None:
    ana = demo.person("ana", "gateway-alerts")
    plan = ana.plans("rotate edge-2")
    ana.clicks(plan, "Confirm")
    ana.sees_at(plan, "Looking whether Azure takes the new token")
    before = demo.bot_pid()
    os.kill(before, signal.SIGKILL)
    until(lambda: running_again(demo, before), "a new bot", 30)
    ana.sees_at(plan, "1 of 1 pods run with the new token", 90)


def test_several_are_planned_each_for_itself_and_production_decides_on_its_own(demo: Demo) -> None:
    chen, ben = demo.person("chen", "gateway-alerts"), demo.person("ben", "gateway-alerts")
    plan = chen.plans(f"deploy store-7 --to west/prod --tag {TAG} --replicas 2")
    ben.clicks(plan, "Approve")
    ben.sees_at(plan, "2 of 2 pods ready after")
    chen.types("rotate --all")
    told = chen.sees("3 rotations.*planned", ephemeral=True)
    assert "1 of them waits for approvers" in words(told)
    assert "legacy-9" in words(told), "what is not planned is said"
    in_production = chen.sees("Rotate the token of store-7 on west/prod")
    chen.types("rotate --all")
    again = words(chen.sees("No rotation was planned", ephemeral=True))
    assert again.count("A rotation of it waits or runs already") == 3
    chen.clicks(told, "Confirm 2 rotations")
    waits = chen.sees("Rotate the token of edge-[12].*Waiting for action \\w+ to end", 30)
    assert "Needs 1 approval" in words(chen.sees_at(in_production, "store-7"))
    ben.clicks(in_production, "Approve")
    chen.sees_at(waits, "of . pods run with the new token", 60)
    for name, ready in (("edge-1", "2 of 2"), ("edge-2", "1 of 1"), ("store-7", "2 of 2")):
        chen.sees(f"Rotate the token of {name}.*{ready} pods run with the new token", 40)


def test_those_that_expire_soon_are_chosen_by_their_tokens(demo: Demo) -> None:
    ivy = demo.person("ivy", "gateway-alerts")
    ivy.types("rotate --expiring 2d")
    ivy.sees("No rotation was planned.*No token is known to expire within 2d", ephemeral=True)
