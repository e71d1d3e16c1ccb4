"""Production changes only after the right people approved exactly what was shown."""

import json
import os
import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from deploy.actions.connection import connect
from tests.support.demo import Demo, Message, words
from tests.support.kubectl import Kubectl
from tests.support.waiting import until

TAG = "2.11.1"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    running = Demo(tmp_path_factory.mktemp("demo"))
    yield running
    running.stop()


def thread(demo: Demo, message: Message) -> list[str]:
    found = demo.get("messages/gateway-ops")["messages"]
    return [words(m) for m in found if m.get("thread_ts") == message["ts"] != m["ts"]]


def deployed(demo: Demo, cluster: str, name: str) -> bool:
    kubectl = Kubectl(demo.kubeconfig, demo.data)
    return name in kubectl("--context", cluster, "-n", "prod", "get", "deployments", "-o", "name")


def action_id(message: Message) -> str:
    found = re.search(r"Action `(\w+)`", words(message))
    assert found
    return found[1]


def test_two_different_approvers_are_needed_where_two_are_asked_for(demo: Demo) -> None:
    ana, ben, chen, dan = (demo.person(name) for name in ("ana", "ben", "chen", "dan"))
    reason = "the new <policy> of contoso.net/7 and https://contoso.net/8?a&b"
    plan = ana.plans(f'deploy edge-1 --to east/prod --tag {TAG} --reason "{reason}"')
    said = words(plan)
    assert "Needs 2 approvals from <!subteam^S0APPROVE>" in said
    shown = "the new &lt;policy&gt; of contoso.net/7 and https://contoso.net/8?a&amp;b"
    assert f"Reason: {shown}" in said
    dan.clicks(plan, "Approve")
    dan.sees("Only approvers can approve or deny this.*<!subteam\\^S0APPROVE>", ephemeral=True)
    ana.clicks(plan, "Approve")
    ana.sees("somebody else must approve or deny it", ephemeral=True)
    ben.clicks(plan, "Approve")
    ben.sees_at(plan, "1 of 2 approvals")
    ben.clicks(plan, "Approve")
    ben.sees("already approved this", ephemeral=True)
    assert not deployed(demo, "east", "edge-1")
    chen.clicks(plan, "Approve")
    done = chen.sees_at(plan, "3 of 3 pods ready after", 90)
    assert "Approve\n" not in words(done)
    ben.clicks(plan, "Approve")
    ben.sees(
        "already approved by <@U0BEN> and <@U0CHEN> at .*; it (has succeeded|is running)",
        ephemeral=True,
    )
    lines = (
        "please look at the plan",
        "<@U0BEN> approved this; it needs 2 approvals",
        "Approved by",
        "pods",
    )

    def noted() -> str:
        told = "\n".join(thread(demo, plan))
        return told if all(line in told for line in lines) else ""

    told = until(noted, "the notes in the thread")
    assert told.count("<@U0BEN> approved this; it needs 2 approvals") == 1
    # The requester is told last.
    personal = "Your request to deploy edge-1"
    until(lambda: [m for m in direct(demo, "ana") if personal in words(m)], "words to ana")


def direct(demo: Demo, name: str) -> list[dict[str, Any]]:
    channels = demo.get("state")["channels"]
    found: list[dict[str, Any]] = []
    for channel in channels:
        if str(channel["id"]).startswith("D"):
            found += demo.get(f"messages/{channel['id']}", user=name)["messages"]
    return found


def test_a_denial_needs_a_reason_is_final_and_can_be_asked_again(demo: Demo) -> None:
    ivy, ben, chen = (demo.person(name) for name in ("ivy", "ben", "chen"))
    plan = ivy.plans(f"deploy store-7 --to west/prod --tag {TAG}")
    ivy.clicks(plan, "Deny")
    ivy.sees("somebody else must approve or deny it", ephemeral=True)
    ben.clicks(plan, "Deny")
    form = ben.form("action_deny_modal")
    refused = ben.submits(form, deny_reason="   ")
    assert "reason is required" in str(refused)
    assert ben.submits(form, deny_reason="not today")["ok"]
    ben.sees_at(plan, "Denied by <@U0BEN>: not today")
    chen.clicks(plan, "Approve")
    chen.sees("already denied by <@U0BEN>", ephemeral=True)
    assert not deployed(demo, "west", "store-7")
    chen.clicks(ben.sees_at(plan, "Denied"), "Ask again")
    chen.sees("Only the requester, <@U0IVY>", ephemeral=True)


def test_two_who_click_at_once_have_one_effect_and_both_hear_the_truth(demo: Demo) -> None:
    ana, ben, chen = (demo.person(name) for name in ("ana", "ben", "chen"))
    plan = ana.plans(f"deploy edge-2 --to west/prod --tag {TAG}")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda who: who.clicks(plan, "Approve"), (ben, chen, ben, chen)))
    done = ana.sees_at(plan, "3 of 3 pods ready after", 90)
    assert len(re.findall(r"Approved by", words(done))) <= 1
    lines = until(lambda: [t for t in thread(demo, plan) if "Approved by" in t], "the approval")
    assert len(lines) == 1
    winner = "ben" if "<@U0BEN>" in lines[0] else "chen"
    loser = chen if winner == "ben" else ben
    loser.sees(f"already approved by <@U0{winner.upper()}>", ephemeral=True)


def home(demo: Demo, name: str) -> str:
    demo.post("open-home", user=name)
    return until(
        lambda: (
            (text := json.dumps(demo.get(f"views/{name}")["home"])) and "edge-2" in text and text
        ),
        "the Home tab with the gateways",
    )


def test_requests_are_listed_and_decided_by_text_bound_to_what_was_shown(demo: Demo) -> None:
    ana, ben = demo.person("ana"), demo.person("ben")
    ana.types("scale edge-2 --replicas 4")
    plan = ana.sees("Scale edge-2 on west/prod.*Nothing has changed yet", ephemeral=False)
    name = action_id(plan)
    ben.types("pending")
    listed = words(ben.sees("open request", ephemeral=True))
    assert "🔶 Scale edge-2 on west/prod (production-west)" in listed
    assert "replicas 3 → 4" in listed
    assert "You can approve or deny this" in listed
    assert "Waiting for you" in home(demo, "ben")
    assert "Waiting for you" not in home(demo, "dan")
    ana.types(f"approve {name}")
    own = ana.sees("Scale edge-2.*somebody else must approve or deny it", ephemeral=True)
    rows = [block for block in own["blocks"] if block["type"] == "actions"]
    offered = [each["action_id"] for row in rows for each in row["elements"]]
    assert offered == ["action_cancel", "action_details"]
    ben.types(f"approve {name} --plan 0123456789ab")
    ben.sees("current plan of this request is another one", ephemeral=True)
    ben.types(f"approve {name.lower()}")
    shown = ben.sees("Scale edge-2.*Nothing has changed yet", ephemeral=True)
    digest = re.search(r"plan `(\w+)`", words(shown))
    assert digest
    ana.is_told(f"approve {name} --plan {digest[1]}", "somebody else must approve or deny it")
    ben.types(f"approve {name} --plan {digest[1]}")
    ben.sees(f"You approved {name}", ephemeral=True)
    ana.sees_at(plan, "4 of 4 pods ready after", 90)
    ana.is_told("history edge-2", "Last actions.*approved.*<@U0BEN>")
    ben.types(f"deny {name}")
    ben.sees("Required: `--reason`", ephemeral=True)
    ben.types("approve ZZZZZZ")
    ben.sees("There is no request", ephemeral=True)


def test_the_requester_takes_a_request_back_by_text(demo: Demo) -> None:
    ana, ben = demo.person("ana"), demo.person("ben")
    ana.types("restart edge-2")
    plan = ana.sees("Restart edge-2 on west/prod.*Nothing has changed yet", ephemeral=False)
    ben.types(f"cancel {action_id(plan)}")
    ben.sees("Only the requester may do this.*<@U0ANA>", ephemeral=True)
    ben.types(f"approve {action_id(plan)}")
    denied = ben.sees("Restart edge-2.*Nothing has changed yet", ephemeral=True)
    ana.types(f"approve {action_id(plan)}")
    cancelled = ana.sees("Restart edge-2.*Nothing has changed yet", ephemeral=True)
    ana.clicks(cancelled, "Cancel")
    ana.sees_at(plan, "Cancelled by <@U0ANA>")
    ana.sees_at(cancelled, f"^You cancelled {action_id(plan)}; its message is in")
    ben.clicks(denied, "Deny")
    ben.sees("already cancelled", ephemeral=True)
    ben.sees_at(denied, "Cancelled by <@U0ANA>")


def test_everyone_is_told_what_they_may_do_and_why(demo: Demo) -> None:
    ben, dan = demo.person("ben"), demo.person("dan")
    ben.types("whoami")
    assert "member of <!subteam^S0APPROVE>" in words(ben.sees("production-east", ephemeral=True))
    dan.types("whoami")
    assert "name neither you" in words(dan.sees("production-east", ephemeral=True))


def test_the_copy_of_a_plan_becomes_one_sentence_once_it_is_decided_on(demo: Demo) -> None:
    ana, ben = demo.person("ana"), demo.person("ben")
    for button, said in (("Deny", "denied"), ("Approve", "approved")):
        plan = ana.plans("restart edge-2")
        name = action_id(plan)
        ben.types(f"approve {name}")
        copy = ben.sees(f"Restart edge-2.*Nothing has changed yet.*{name}", ephemeral=True)
        ben.clicks(copy, button)
        if button == "Deny":
            ben.submits(ben.form("action_deny_modal"), deny_reason="later")
        ben.sees_at(copy, rf"^You {said} {name}; its message is in <#\w+>\.$")
    ana.sees_at(plan, "pods ready after", 90)


def test_within_a_window_one_person_changes_one_gateway_alone_until_it_is_closed(
    demo: Demo,
) -> None:
    ana, ivy, ben, chen = (demo.person(name) for name in ("ana", "ivy", "ben", "chen"))
    ana.types('window edge-2 --for <@U0ANA|ana> --reason "troubleshooting"')
    ana.sees(
        "Only approvers of production-west may open an approval window.*<!subteam", ephemeral=True
    )
    ben.types('window edge-2 --for <@U0BEN|ben> --reason "troubleshooting"')
    ben.sees("Nobody opens a window for themselves", ephemeral=True)
    ben.types('window edge-2 --for <@U0ANA|ana> --minutes 61 --reason "troubleshooting"')
    ben.sees("1 to 60 minutes", ephemeral=True)
    ben.types('window edge-2 --for <@U0ANA|ana> --minutes 20 --reason "troubleshooting"')
    opened = ben.sees("Approval window on edge-2.*may change this gateway alone", ephemeral=False)
    ivy.types("scale edge-2 --replicas 3")
    other = ivy.sees("Scale edge-2.*Needs 1 approval", ephemeral=False)
    ivy.clicks(other, "Cancel")
    inside = ana.plans("scale edge-2 --replicas 3")
    assert "within an approval window" in words(inside)
    # A restart changes one annotation: that the number of pods is another by then leaves it as it is.
    late = ana.plans("restart edge-2")
    ana.types("whoami")
    ana.sees("window on edge-2, west/prod.*you confirm .*Opened by <@U0BEN>", ephemeral=True)
    ana.clicks(inside, "Confirm")
    ana.sees_at(inside, "3 of 3 pods ready after", 90)
    # The trail is copied from the actions' logs, a moment later.
    confirmed = r"confirmed by <@U0ANA> within <@U0BEN>'s approval window"
    ana.is_told("history edge-2", confirmed)
    ana.clicks(opened, "Close now")
    ana.sees("Only approvers of production-west may close an approval window", ephemeral=True)
    chen.clicks(opened, "Close now")
    chen.sees_at(opened, "Closed by <@U0CHEN>")
    over = ana.sees_at(late, "approval window was closed before this was confirmed")
    ana.clicks(late, "Confirm")
    ana.sees("approval window is closed", ephemeral=True)
    ana.clicks(over, "Ask again")
    again = ana.sees("Restart edge-2.*Needs 1 approval", ephemeral=False)
    ana.clicks(again, "Cancel")
    told = until(
        lambda: [line for line in thread(demo, opened) if "confirmed a change: scale" in line],
        "the change in the window's thread",
        60,  # Slack takes a message a second, and others come first
    )
    assert len(told) == 1
    assert action_id(inside) in told[0]


def test_a_bot_killed_between_the_approval_and_the_message_ends_it_truly(demo: Demo) -> None:
    ana, ben = demo.person("ana"), demo.person("ben")
    plan = ana.plans("restart edge-2")
    before = demo.bot_pid()
    ben.clicks(plan, "Approve")
    os.kill(before, signal.SIGKILL)
    ana.sees_at(plan, "pods ready after", 120)
    # The thread's notes come in order and after the message itself: the last one ends the wait.
    notes = until(
        lambda: [notes for notes in [thread(demo, plan)] if "pods ready after" in "".join(notes)],
        "the thread's last note",
        60,
    )[0]
    assert len([line for line in notes if "Approved by" in line]) == 1


def test_a_button_of_a_request_that_redis_lost_says_that_it_is_gone(demo: Demo) -> None:
    ana, ben = demo.person("ana"), demo.person("ben")
    plan = ana.plans("restart edge-2")
    connect(f"unix://{demo.data}/redis/valkey.sock").flushall()
    ben.clicks(plan, "Deny")
    ben.sees("This request is gone", ephemeral=True)
    assert demo.get("views/ben")["stack"] == []
    left = ben.sees_at(plan, "This request is lost: the bot's data was reset")
    rows = [block for block in left["blocks"] if block["type"] == "actions"]
    assert [[each["action_id"] for each in row["elements"]] for row in rows] == [["show_status"]]
    ana.types("status edge-2")
    ana.sees("edge-2 on west/prod", ephemeral=True)
