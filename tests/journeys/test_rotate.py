"""Rotating tokens from Slack: one gateway, several, those of others, and one that Azure refuses."""

import base64
import json
import os
import re
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.journeys.test_deploy import TAG, deploy, kubectl, named, objects, running_again
from tests.support.demo import Demo, Person, broken, words
from tests.support.waiting import until

# Another bot takes up what one has left after a minute or more.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    running = Demo(tmp_path_factory.mktemp("demo"))
    deploy(running, "edge-1", "west/dev", replicas=2)
    deploy(running, "edge-2", "west/dev", replicas=1)
    yield running
    running.stop()


ROTATED = {"edge-1": "dev", "edge-2": "dev", "store-7": "prod"}
"""Where each of several that are rotated is."""


def secret_in_use(demo: Demo, name: str, namespace: str = "dev") -> dict[str, Any]:
    (deployment,) = named(objects(demo, "deployments", namespace), name)
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    reference = container["env"][0]["valueFrom"]["secretKeyRef"]["name"]
    return named(objects(demo, "secrets", namespace), reference)[0]


def test_a_rotation_is_planned_confirmed_followed_and_proven(demo: Demo) -> None:
    ana = demo.person("ana")
    before = secret_in_use(demo, "edge-1")
    plan = ana.plans("rotate edge-1 --ttl 20d")
    shown = words(plan)
    assert "Rotate the token of edge-1 on west/dev" in shown
    assert "New gateway token from the secondary key, valid until <!date^" in shown
    assert f"On failure: back to Secret {before['metadata']['name']}" in shown
    assert "The token in use was made with the primary key." in shown
    ana.clicks(plan, "Confirm")
    ana.sees_at(plan, "Checking whether Azure accepts the new token")
    done = words(ana.sees_at(plan, "2 of 2 pods run with the new token after"))
    assert "There is no sign that Azure refuses it" in done
    after = secret_in_use(demo, "edge-1")
    assert after["metadata"]["name"] != before["metadata"]["name"]
    assert after["metadata"]["annotations"]["gateway-bot.io/token-key"] == "secondary"
    signature = base64.b64decode(after["data"]["value"]).rpartition(b"&")[2]
    written = b"".join(p.read_bytes() for p in (demo.data / "redis").rglob("*") if p.is_file())
    assert len(signature) > 80
    assert signature not in written
    assert signature.decode() not in json.dumps(demo.get("log")) + "".join(demo.lines)


def test_those_that_expire_soon_are_chosen_by_their_tokens(demo: Demo) -> None:
    ivy = demo.person("ivy", "gateway-alerts")
    ivy.types("rotate --expiring 2d")
    ivy.sees("Nothing was planned.*No token is known to expire within 2d", ephemeral=True)


def test_a_key_is_regenerated_only_where_no_pod_holds_its_token(demo: Demo) -> None:
    ana = demo.person("ana")
    ana.types("regenerate-key edge-1 --key secondary")
    ana.sees("still hold a token of the secondary key of edge-1.*Rotate", ephemeral=True)
    plan = ana.plans("regenerate-key edge-1 --key primary")
    assert "Key primary of contoso/edge-1" in words(plan)
    assert "Every token made with the primary key stops working at once" in words(plan)
    ana.clicks(plan, "Confirm")
    ana.sees_at(plan, "The primary key of edge-1 is regenerated")


def test_a_token_that_azure_refuses_is_taken_back_and_said(demo: Demo) -> None:
    ana = demo.person("ana")
    before = secret_in_use(demo, "edge-1")
    plan = ana.plans("rotate edge-1")
    with broken(demo, "azure", "configuration_status", "403", "none"):
        ana.clicks(plan, "Confirm")
        failed = words(ana.sees_at(plan, "The previous token is in use again", 90))
    assert "Azure refuses the new token" in failed
    assert secret_in_use(demo, "edge-1") == before


def test_a_rotation_whose_plan_no_longer_holds_is_planned_anew(demo: Demo) -> None:
    ana = demo.person("ana")
    used = secret_in_use(demo, "edge-2")["metadata"]["name"]
    plan = ana.plans("rotate edge-2 --ttl 10d")
    assert "from the secondary key, valid until" in words(plan)
    made_with(demo, used, "secondary")
    ana.clicks(plan, "Confirm")
    ana.sees_at(plan, "has changed on the cluster since")
    anew = ana.sees("Rotate the token of edge-2.*Nothing has changed yet.*with the secondary key")
    assert "from the primary key, valid until" in words(anew)
    ana.clicks(anew, "Cancel")
    ana.sees_at(anew, "Cancelled")
    assert secret_in_use(demo, "edge-2")["metadata"]["name"] == used
    made_with(demo, used, "primary")


def made_with(demo: Demo, secret: str, key: str) -> None:
    note = f"gateway-bot.io/token-key={key}"
    kubectl(demo, "annotate", "--overwrite", "-n", "dev", "secret", secret, note)


def test_a_gateway_of_others_is_to_be_adopted_first(demo: Demo) -> None:
    ana = demo.person("ana")
    ana.types("rotate legacy-9")
    ana.sees("legacy-9 was not deployed by this bot.*[Aa]dopt", ephemeral=True)


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("rotate", "Required: a gateway"),
        ("rotate edge-1 --all", "Name one gateway, or choose several"),
        ("rotate --all --expiring 3d", "`--all` or `--expiring`, not both"),
        ("rotate edge-1 --ttl 31d", "at most 30 days"),
        ("rotate edge-1 --key third", "primary or secondary"),
        ("rotate --expiring soon", "is not a valid lifetime"),
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
    ana.sees_at(plan, "Checking whether Azure accepts the new token")
    before = demo.bot_pid()
    os.kill(before, signal.SIGKILL)
    until(lambda: running_again(demo, before), "a new bot", 90)
    ana.sees_at(plan, "1 of 1 pods run with the new token", 90)


def test_several_are_one_message_whose_table_equals_what_the_cluster_holds(demo: Demo) -> None:
    chen, ben = demo.person("chen"), demo.person("ben")
    plan = chen.plans(f"deploy store-7 --to west/prod --tag {TAG} --replicas 2")
    ben.clicks(plan, "Approve")
    ben.sees_at(plan, "2 of 2 pods ready after")
    before = {name: secret_in_use(demo, name, space) for name, space in ROTATED.items()}
    chen.types("rotate --all")
    top = chen.sees("Rotate the tokens of 3 gateways", ephemeral=False)
    top = chen.sees_at(top, "Approve 1 plan.*Confirm 2 plans")
    shown = words(top)
    assert "1 waiting for approval, 2 waiting for confirmation, 1 not planned" in shown
    assert "west/dev/legacy-9*: was not deployed by this bot" in shown
    until(lambda: len(planned(chen, top)) == 3, "every plan in the thread")
    chen.types("rotate --all")
    again = words(chen.sees("Nothing was planned", ephemeral=True))
    assert again.count("A rotation is already pending or running") == 3
    chen.clicks(top, "Approve 1 plan")
    chen.sees("Nothing was changed by this click", ephemeral=True)
    chen.clicks(top, "Confirm 2 plans")
    chen.sees_at(top, "edge-1\\* (approved|running|done).*1 waiting for approval|2 of 3 done")
    kubectl(demo, "delete", "deployment", "-n", "prod", "store-7")
    ben.clicks(top, "Approve 1 plan")
    ended = words(chen.sees_at(top, "2 of 3 done, 1 (failed|superseded).*Ended", 150))
    assert ":white_check_mark: *edge-1* done" in ended
    assert ":white_check_mark: *edge-2* done" in ended
    for name in ("edge-1", "edge-2"):
        now = secret_in_use(demo, name)["metadata"]["name"]
        assert now != before[name]["metadata"]["name"]
    assert named(objects(demo, "deployments", "prod"), "store-7") == []
    # What is said of its end comes after its message says so.
    until(lambda: any("has ended" in line for line in thread(chen, top)), "the end in the thread")
    lines = [line for line in thread(chen, top) if line not in planned(chen, top)]
    assert len([line for line in lines if "<@U0CHEN>" in line]) == 2, "called for, and ended"
    assert len([line for line in lines if "<!subteam^" in line]) == 1
    assert not [m for m in chen.messages() if is_top(m) and "Rotate the token of" in words(m)
                and float(m["ts"]) > float(top["ts"])]  # fmt: skip


def test_a_bot_killed_while_it_plans_several_leaves_one_message_of_all(demo: Demo) -> None:
    ana = demo.person("ana")
    before = demo.bot_pid()
    ana.types("rotate --all --ttl 9d")
    top = ana.sees("Rotate the tokens of 2 gateways.*(being planned|waiting)", ephemeral=False)
    os.kill(before, signal.SIGKILL)
    until(lambda: running_again(demo, before), "a new bot", 90)
    # Another bot takes up a request a minute after the last sign of the one that had it.
    top = ana.sees_at(top, "Confirm 2 plans", 120)
    shown = words(top)
    assert "2 waiting for confirmation" in shown
    # A bot that dies while it posts one of them holds its message for another forty seconds.
    until(lambda: len(planned(ana, top)) == 2, "every plan in the thread", 90)
    ana.clicks(top, "Cancel 2 plans")
    ana.sees_at(top, "2 cancelled")
    until(lambda: any("has ended" in line for line in thread(ana, top)), "the end")
    assert len(planned(ana, top)) == 2
    asked = [m for m in ana.messages() if is_top(m) and "Rotate the tokens of 2" in words(m)]
    assert len(asked) == 1


def is_top(message: dict[str, Any]) -> bool:
    return message.get("thread_ts") in (None, message["ts"])


def thread(person: Person, top: dict[str, Any]) -> list[str]:
    """What stands in the thread of that message."""
    return [
        message["text"]
        for message in person.messages()
        if message.get("thread_ts") == top["ts"] and message["ts"] != top["ts"]
    ]


def planned(person: Person, top: dict[str, Any]) -> list[str]:
    """The messages of single rotations in that thread."""
    asked = re.compile(r"<@\w+>( asks|'s request) to rotate the token of ")
    return [line for line in thread(person, top) if asked.match(line)]
