"""A kind of change that the product does not know, added by its lines in the public tables alone.

It is a note on a gateway: tests/support/annotating holds its line in the table of kinds, its words
and its verb. Nothing else of the bot knows of it, and it lives as every other kind does.
"""

import os
import re
import signal
from collections.abc import Iterator

import pytest

from deploy.actions.connection import connect
from tests.journeys.test_deploy import TAG, deploy, kubectl, named, objects
from tests.support.annotating.kind import NOTE
from tests.support.demo import Demo, Message, Person, broken, words
from tests.support.waiting import until

SLOW_MS = 3000
"""Long enough that a person sees each step."""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    running = Demo(tmp_path_factory.mktemp("demo"), program="tests.support.annotating")
    deploy(running, "edge-1", "west/dev", replicas=1)
    plan = running.person("ana").plans(f"deploy edge-2 --to west/prod --tag {TAG} --replicas 1")
    running.person("ben").clicks(plan, "Approve")
    running.person("ana").sees_at(plan, "1 of 1 pods ready after")
    yield running
    running.stop()


def note(demo: Demo, name: str = "edge-1", namespace: str = "dev") -> str:
    (found,) = named(objects(demo, "deployments", namespace), name)
    return str(found["metadata"]["annotations"].get(NOTE, ""))


def by_hand(demo: Demo, text: str, name: str = "edge-1", namespace: str = "dev") -> None:
    change = f"{NOTE}={text}"
    kubectl(demo, "annotate", "--overwrite", "-n", namespace, f"deployment/{name}", change)


def annotate(person: Person, text: str, gateway: str = "edge-1") -> Message:
    return person.plans(f'annotate {gateway} --note "{text}"')


def name_and_digest(plan: Message) -> tuple[str, str]:
    found = re.search(r"Action `(\w+)` · plan `(\w+)`", words(plan))
    assert found
    return found[1], found[2]


def compares(demo: Demo, plan: Message) -> str:
    """The action's id, once it runs and compares the plan: its message may show that later, or not,
    as Slack's limits have it."""
    name, _ = name_and_digest(plan)
    redis = connect(f"unix://{demo.data}/redis/valkey.sock")
    steps = f"gateway-bot:{{a:{name}}}:steps"
    until(lambda: any('"plan"' in step for step in redis.lrange(steps, 0, -1)), "the step")
    return name


def thread_once(person: Person, plan: Message, last: str) -> list[str]:
    """The lines under the plan, once one says `last`: they come after the message itself."""

    def look() -> list[str]:
        said = [words(m) for m in person.messages() if m.get("thread_ts") == plan["ts"] != m["ts"]]
        return said if any(last in line for line in said) else []

    return until(look, f"{last!r} in the thread", 60)


def test_it_is_found_where_people_look_for_what_the_bot_can_do(demo: Demo) -> None:
    ana = demo.person("ana")
    ana.types("help")
    ana.sees("`annotate` puts a note on a gateway", ephemeral=True)
    ana.types("annotate --help")
    ana.sees("--note &lt;text&gt;.*what it is to say", ephemeral=True)
    ana.types("annotate edge-1")
    ana.sees("Required: `--note`", ephemeral=True)


def test_outside_production_its_requester_confirms_it_and_its_end_is_true(demo: Demo) -> None:
    ana, ivy = demo.person("ana"), demo.person("ivy")
    plan = annotate(ana, "read the runbook")
    said = words(plan)
    assert "Annotate edge-1 on west/dev" in said
    assert "wants to annotate this" in said
    # A long line of the diff goes on below, as a phone shows it.
    assert f'annotations["{NOTE}"]:readtherunbook' in "".join(said.split())
    assert "Restarts no pod" in said
    ivy.clicks(plan, "Confirm")
    ivy.sees("Only the requester may do this.*<@U0ANA>", ephemeral=True)
    assert not note(demo)
    ana.clicks(plan, "Confirm")
    ana.sees_at(plan, "The note is on west/dev/edge-1")
    assert note(demo) == "read the runbook"
    ana.types('annotate edge-1 --note "read the runbook"')
    ana.sees("No change: west/dev/edge-1", ephemeral=True)


def test_in_production_approvers_decide_and_the_digest_binds(demo: Demo) -> None:
    ana, ben = demo.person("ana"), demo.person("ben")
    plan = annotate(ana, "owned by payments", "edge-2")
    assert "Needs 1 approval from <!subteam^S0APPROVE>" in words(plan)
    name, digest = name_and_digest(plan)
    ana.clicks(plan, "Approve")
    ana.sees("somebody else must approve or deny it", ephemeral=True)
    ben.types("pending")
    ben.sees("Annotate edge-2 on west/prod.*You can approve or deny this", ephemeral=True)
    ben.types(f"approve {name} --plan 0123456789ab")
    ben.sees("current plan of this request is another one", ephemeral=True)
    assert not note(demo, "edge-2", "prod")
    ben.types(f"approve {name} --plan {digest}")
    ana.sees_at(plan, "The note is on west/prod/edge-2")
    assert note(demo, "edge-2", "prod") == "owned by payments"
    thread = thread_once(ana, plan, "the note is on")
    assert sum("Approved by <@U0BEN>" in line for line in thread) == 1
    ana.types("history edge-1")
    ana.sees("annotate: \\*succeeded", ephemeral=True)


def test_what_was_denied_is_asked_for_again_and_says_so(demo: Demo) -> None:
    ana, ben = demo.person("ana"), demo.person("ben")
    plan = annotate(ana, "on call: ivy", "edge-2")
    ben.clicks(plan, "Deny")
    ben.submits(ben.form("action_deny_modal"), deny_reason="ivy is away")
    denied = ana.sees_at(plan, "Denied by <@U0BEN>: ivy is away")
    ana.clicks(denied, "Ask again")
    again = ana.sees("Nothing has changed yet.*<@U0BEN> denied <@U0ANA>'s request", ephemeral=False)
    assert again["ts"] != plan["ts"]
    ana.clicks(again, "Cancel")
    ana.sees_at(again, "Cancelled by <@U0ANA>")


def test_within_an_approval_window_its_requester_confirms_it_in_production(demo: Demo) -> None:
    ana, ben = demo.person("ana"), demo.person("ben")
    ben.types('window edge-2 --for <@U0ANA|ana> --minutes 20 --reason "notes"')
    opened = ben.sees("Approval window on edge-2", ephemeral=False)
    plan = annotate(ana, "within a window", "edge-2")
    ana.clicks(plan, "Confirm")
    ana.sees_at(plan, "The note is on west/prod/edge-2")
    ben.clicks(opened, "Close now")
    ben.sees_at(opened, "Closed by <@U0BEN>")


def test_a_plan_that_the_cluster_overtook_is_not_carried_out_but_planned_anew(demo: Demo) -> None:
    ana = demo.person("ana")
    plan = annotate(ana, "overtaken")
    by_hand(demo, "somebody else's")
    ana.clicks(plan, "Confirm")
    ana.sees_at(plan, "has changed on the cluster since")
    fresh = ana.sees("Only <@U0ANA> can confirm.*somebody else's → overtaken", ephemeral=False)
    assert note(demo) == "somebody else's"
    ana.clicks(fresh, "Cancel")
    ana.sees_at(fresh, "Cancelled by <@U0ANA>")


def test_an_open_plan_is_planned_again_when_another_action_ended(demo: Demo) -> None:
    ana, ivy = demo.person("ana"), demo.person("ivy")
    waiting, first = annotate(ana, "the second"), annotate(ivy, "the first")
    ivy.clicks(first, "Confirm")
    ivy.sees_at(first, "The note is on")
    ana.sees_at(waiting, "has changed on the cluster since")
    fresh = ana.sees("Only <@U0ANA> can confirm.*the first → the second", ephemeral=False)
    ana.clicks(fresh, "Confirm")
    ana.sees_at(fresh, "The note is on")
    assert note(demo) == "the second"


def test_somebody_stops_it_and_it_says_what_the_cluster_holds(demo: Demo) -> None:
    ana = demo.person("ana")
    plan = annotate(ana, "never to be read")
    before = note(demo)
    with broken(demo, "cluster west", "api_slow_ms", SLOW_MS, 0):
        ana.clicks(plan, "Confirm")
        ana.types(f"stop {compares(demo, plan)}")
        stopped = words(ana.sees_at(plan, "Stopped by <@U0ANA>"))
    assert "Stopped before the note was written" in stopped
    assert f"It says “{before}”" in stopped
    assert note(demo) == before


def test_a_bot_that_is_killed_between_its_steps_is_followed_by_one_that_ends_it(demo: Demo) -> None:
    ana, ben = demo.person("ana"), demo.person("ben")
    plan = annotate(ana, "survived", "edge-2")
    bot = demo.bot_pid()
    with broken(demo, "cluster west", "api_slow_ms", SLOW_MS, 0):
        ben.clicks(plan, "Approve")
        compares(demo, plan)
        os.kill(bot, signal.SIGKILL)
    ana.sees_at(plan, "The note is on west/prod/edge-2", 90)
    assert note(demo, "edge-2", "prod") == "survived"
    thread = thread_once(ana, plan, "the note is on")
    assert sum("another one continues" in line for line in thread) == 1
    assert sum("the note is on" in line for line in thread) == 1
