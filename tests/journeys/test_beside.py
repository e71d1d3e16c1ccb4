"""Two actions of one gateway: the later plan says what else runs, and undoes nothing unseen.

The first one is held up by pods that do not get ready, so that the other is planned meanwhile.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest

from tests.journeys.test_deploy import TAG, deploy, named, objects
from tests.support.demo import Demo, Message, broken, words
from tests.support.waiting import until

NEWER = "2.12.1"
UNDER_WAY = r"`{kind}` by <@U0ANA> is running on this gateway \(action `[0-9A-Z]{{6}}`\)"
GATEWAYS = ("edge-1", "edge-2", "store-7")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    running = Demo(tmp_path_factory.mktemp("demo"))
    for name in GATEWAYS:
        deploy(running, name, "west/dev", replicas=1)
    yield running
    running.stop()


def live(demo: Demo, name: str) -> dict[str, Any]:
    return named(objects(demo, "deployments", "dev"), name)[0]


def image(demo: Demo, name: str) -> str:
    (container,) = live(demo, name)["spec"]["template"]["spec"]["containers"]
    return str(container["image"].rpartition(":")[2])


def token(demo: Demo, name: str) -> str:
    (container,) = live(demo, name)["spec"]["template"]["spec"]["containers"]
    env = {each["name"]: each for each in container["env"]}
    return str(env["config.service.auth"]["valueFrom"]["secretKeyRef"]["name"])


def held_up(demo: Demo) -> AbstractContextManager[None]:
    """New pods do not get ready while the block runs."""
    return broken(demo, "node west", "not_ready", True, False)


def begun(demo: Demo, command: str) -> Message:
    """An action of ana's that runs until its pods get ready."""
    ana = demo.person("ana")
    plan = ana.plans(command)
    ana.clicks(plan, "Confirm")
    return ana.sees_at(plan, "pods ready|Rotating|Verifying|Rolling out")


def fresh(demo: Demo, superseded: Message, pattern: str) -> Message:
    """The plan that takes the place of one that no longer in effect."""
    ivy = demo.person("ivy")
    ivy.sees_at(superseded, "superseded|no longer in effect|Nothing was changed")

    def look() -> Message | None:
        for message in reversed(ivy.messages()):
            said = words(message)
            if message["ts"] != superseded["ts"] and "Nothing has changed yet" in said:
                return message if re.search(pattern, said, re.DOTALL) else None
        return None

    return until(look, f"a fresh plan like {pattern}", 60)


def first_words(message: Message) -> str:
    """What stands right below the title."""
    return str(message["blocks"][1]["text"]["text"])


def test_a_restart_planned_during_a_scale_says_so_and_keeps_what_that_scaled_to(
    demo: Demo,
) -> None:
    ivy = demo.person("ivy")
    with held_up(demo):
        scaling = begun(demo, "scale edge-1 --replicas 2")
        plan = ivy.plans("restart edge-1")
        assert re.search(
            UNDER_WAY.format(kind="scale"), first_words(ivy.sees_at(plan, "is running"))
        )
        ivy.clicks(plan, "Confirm")
        ivy.sees_at(plan, "Waiting for action")
    ivy.sees_at(scaling, "2 of 2 pods ready after")
    ivy.sees_at(plan, "2 of 2 pods ready after")
    assert live(demo, "edge-1")["spec"]["replicas"] == 2


def test_a_scale_planned_during_a_restart_keeps_the_restart(demo: Demo) -> None:
    ivy = demo.person("ivy")

    def mark() -> str:
        return str(live(demo, "edge-1")["spec"]["template"]["metadata"]["annotations"].get(MARK))

    with held_up(demo):
        restarting = begun(demo, "restart edge-1")
        restarted = mark()
        plan = ivy.plans("scale edge-1 --replicas 3")
        assert "`restart` by <@U0ANA> is running" in first_words(plan)
    ivy.sees_at(restarting, "pods ready after")
    # Its plan still holds, and the line about the other is gone.
    ivy.clicks(
        ivy.sees_at(plan, r"^(?!.*is running on this gateway).*Nothing has changed"), "Confirm"
    )
    ivy.sees_at(plan, "3 of 3 pods ready after")
    assert mark() == restarted != "None"


MARK = "gateway-bot.io/restarted-at"


def test_a_deployment_planned_before_a_scale_ended_does_not_scale_back(demo: Demo) -> None:
    ivy = demo.person("ivy")
    old = ivy.plans(f"deploy edge-2 --to west/dev --tag {NEWER}")
    scaling = begun(demo, "scale edge-2 --replicas 2")
    ivy.sees_at(scaling, "2 of 2 pods ready after")
    plan = fresh(demo, old, NEWER)
    assert "spec.replicas" not in words(plan)
    ivy.clicks(plan, "Confirm")
    ivy.sees_at(plan, "2 of 2 pods ready after")
    assert (image(demo, "edge-2"), live(demo, "edge-2")["spec"]["replicas"]) == (NEWER, 2)


@pytest.mark.parametrize("confirmed", ["before", "after"])
def test_of_two_deployments_the_later_keeps_the_settings_of_the_earlier(
    demo: Demo, confirmed: str
) -> None:
    ivy, gateway = demo.person("ivy"), "store-7"
    level = "debug" if confirmed == "before" else "warn"
    tag = NEWER if confirmed == "before" else TAG
    now = image(demo, gateway)
    old = ivy.plans(f"deploy {gateway} --to west/dev --tag {tag}")
    with held_up(demo):
        first = begun(demo, f"deploy {gateway} --to west/dev --tag {now} --set logs.level={level}")
        ivy.sees_at(old, "`deploy` by <@U0ANA> is running on this gateway")
        if confirmed == "before":
            ivy.clicks(old, "Confirm")
            ivy.sees_at(old, "Waiting for action")
    ivy.sees_at(first, "pods ready after")
    plan = fresh(demo, old, tag)
    assert "logs.std.level" not in words(plan), "what the first one set is no change of this"
    ivy.clicks(plan, "Confirm")
    ivy.sees_at(plan, "pods ready after")
    assert image(demo, gateway) == tag
    (settings,) = named(objects(demo, "configmaps", "dev"), f"{gateway}-env")
    assert settings["data"]["telemetry.logs.std.level"] == level


def test_a_rotation_planned_during_a_deployment_keeps_its_version(demo: Demo) -> None:
    ivy = demo.person("ivy")
    before = token(demo, "edge-1")
    with held_up(demo):
        first = begun(demo, f"deploy edge-1 --to west/dev --tag {NEWER}")
        plan = ivy.plans("rotate edge-1")
        assert "`deploy` by <@U0ANA> is running" in first_words(plan)
        ivy.clicks(plan, "Confirm")
        ivy.sees_at(plan, "Waiting for action")
    ivy.sees_at(first, "pods ready after")
    ends: Callable[[], bool] = lambda: token(demo, "edge-1") != before  # noqa: E731
    until(ends, "the new token", 60)
    ivy.sees_at(plan, ":white_check_mark:|:warning: \\*")
    assert image(demo, "edge-1") == NEWER


def test_a_deployment_planned_during_a_rotation_keeps_its_token(demo: Demo) -> None:
    ivy = demo.person("ivy")
    old = ivy.plans(f"deploy edge-1 --to west/dev --tag {TAG}")
    with held_up(demo):
        first = begun(demo, "rotate edge-1")
        ivy.sees_at(old, "`rotate` by <@U0ANA> is running on this gateway")
        ivy.clicks(old, "Confirm")
        ivy.sees_at(old, "Waiting for action")
        rotated = token(demo, "edge-1")
    ivy.sees_at(first, ":white_check_mark:|:warning: \\*")
    plan = fresh(demo, old, TAG)
    ivy.clicks(plan, "Confirm")
    ivy.sees_at(plan, "pods ready after")
    assert (image(demo, "edge-1"), token(demo, "edge-1")) == (TAG, rotated)
