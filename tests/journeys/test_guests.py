"""Guests, people who have left and people of other workspaces may do nothing here, and read nothing."""

import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from tests.support.demo import Demo, Message, Person, is_answer, words
from tests.support.kubectl import Kubectl
from tests.support.waiting import until

GUEST = "You are a guest in this workspace"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    running = Demo(tmp_path_factory.mktemp("demo"))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def plan(demo: Demo) -> Message:
    """A plan for production that waits for its one approval."""
    return demo.person("ana").plans("deploy edge-1 --to west/prod --tag 2.11.1")


def answer(person: Person, act: Callable[[], Any]) -> str:
    """What the person is told when they do that."""
    before = {message["ts"] for message in person.messages()}
    act()

    def told() -> list[Message]:
        new = (m for m in person.messages() if m["ts"] not in before)
        return [m for m in new if m.get("is_ephemeral") and is_answer(m)]

    return words(until(told, "an answer")[0])


@pytest.mark.parametrize("name", ["gus", "sol"])
def test_a_guest_is_told_what_they_are_and_how_that_is_changed(demo: Demo, name: str) -> None:
    guest = demo.person(name)
    for text in ("whoami", "status", "pending", "logs legacy-9", "export legacy-9"):
        told = answer(guest, partial(guest.types, text))
        assert GUEST in told
        assert f"user ID U0{name.upper()}" in told


def test_no_form_opens_for_a_guest_and_their_home_tab_shows_no_gateway(demo: Demo) -> None:
    gus = demo.person("gus")
    gus.types("deploy")
    gus.sees(GUEST, ephemeral=True)
    assert gus.views() == []
    demo.post("open-home", user="gus")
    home = until(lambda: demo.get("views/gus")["home"], "the Home tab")
    assert GUEST in json.dumps(home)
    assert "legacy-9" not in json.dumps(home)


def test_the_buttons_of_a_plan_do_nothing_for_a_guest(demo: Demo, plan: Message) -> None:
    gus = demo.person("gus")
    for button in ("Approve", "Deny", "Cancel"):
        assert GUEST in answer(gus, partial(gus.clicks, plan, button))
    assert gus.views() == []


def test_an_approver_who_became_a_guest_or_was_deactivated_approves_nothing(
    demo: Demo, plan: Message
) -> None:
    chen, fay = demo.person("chen"), demo.person("fay")
    demo.post("person", user="chen", is_restricted=True)
    chen.clicks(plan, "Approve")
    chen.sees(GUEST, ephemeral=True)
    # What dee clicked before she left arrives late: she is still in the group of approvers.
    demo.person("dee").clicks(plan, "Approve")
    demo.post("members", channel="gateway-ops", user="fay", member=True)
    fay.clicks(plan, "Approve")
    fay.sees("You are not a member of the workspace", ephemeral=True)
    demo.person("ana").types("pending")
    shown = demo.person("ana").sees("1 open request.*edge-1", ephemeral=True)
    assert "Needs 1 approval from" in words(shown)
    ben = demo.person("ben")
    ben.clicks(plan, "Approve")
    done = ben.sees_at(plan, "pods ready after")
    assert re.findall(r"Approved by <@(\w+)>", words(done)) in ([], ["U0BEN"])
    kubectl = Kubectl(demo.kubeconfig, demo.data)
    deployments = kubectl("--context", "west", "-n", "prod", "get", "deployments", "-o", "name")
    assert "edge-1" in deployments
