"""A mention of the bot, or a message to it, is a command; everything else is left alone."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.demo import Demo, Person, words
from tests.support.waiting import until

TAG = "2.11.1"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    running = Demo(tmp_path_factory.mktemp("demo"))
    yield running
    running.stop()


def says(demo: Demo, name: str, text: str, channel: str = "gateway-ops") -> str:
    """The ts of what somebody says."""
    answer = demo.post("message", channel=channel, user=name, text=text)
    assert answer["ok"], answer
    return str(answer["ts"])


def in_thread(person: Person, ts: str) -> list[dict[str, Any]]:
    """The answers below a message."""
    return [m for m in person.messages() if m.get("thread_ts") == ts and m["ts"] != ts]


def answer(person: Person, ts: str, *shown: str) -> dict[str, Any]:
    """The one answer in its thread, once it shows all of that."""
    return until(
        lambda: next(
            (m for m in in_thread(person, ts) if all(each in words(m) for each in shown)), None
        ),
        f"an answer with {shown} in {[words(m) for m in person.messages()]}",
    )


def test_a_mention_is_answered_in_its_thread_with_what_was_understood(demo: Demo) -> None:
    ana, ben = demo.person("ana"), demo.person("ben")
    ts = says(demo, "ana", "@gateway-bot status legacy-9")
    found = answer(ben, ts, "I read that as `/gateway status legacy-9`", "legacy-9 on west/dev")
    assert not found.get("is_ephemeral")
    assert len(in_thread(ana, ts)) == 1


def test_what_is_not_understood_brings_the_corrected_command(demo: Demo) -> None:
    ana = demo.person("ana")
    ts = says(demo, "ana", "@gateway-bot sttatus legacy-9")
    wrong = answer(ana, ts, "“sttatus” is not a command")
    ana.clicks(wrong, "Run it")
    ana.sees("legacy-9 on west/dev", ephemeral=True)


def test_a_change_shows_its_plan_in_the_channel_as_the_command_does(demo: Demo) -> None:
    ana = demo.person("ana")
    ts = says(demo, "ana", f"<@U0GATEWAY> deploy edge-1 --to west/dev --tag {TAG}")
    answer(ana, ts, "I read that as `/gateway deploy edge-1")
    plan = ana.sees("Deploy edge-1 to west/dev.*Nothing has changed yet", ephemeral=False)
    assert plan.get("thread_ts") in (None, plan["ts"])
    ana.clicks(plan, "Confirm")
    ana.sees_at(plan, "3 of 3 pods ready after")


def test_a_command_that_takes_a_form_brings_a_button_that_opens_it(demo: Demo) -> None:
    ana = demo.person("ana")
    ts = says(demo, "ana", "@gateway-bot deploy")
    ana.clicks(answer(ana, ts, "needs a few more details"), "Open the deploy form")
    assert ana.form("deploy")["submit"]
    for view in reversed(ana.views()):
        demo.post("view", user="ana", view_id=view["id"], type="close")


def test_a_direct_message_is_answered_where_it_was_written(demo: Demo) -> None:
    demo.post("open-home", user="dan")
    dan = demo.person("dan", "@dan")
    says(demo, "dan", "status legacy-9", "@dan")
    found = dan.sees("I read that as `/gateway status legacy-9`.*legacy-9 on west/dev")
    assert not found.get("thread_ts")


def test_what_is_for_one_person_is_not_shown_to_the_channel(demo: Demo) -> None:
    ana, ben = demo.person("ana"), demo.person("ben")
    says(demo, "ana", "@gateway-bot whoami")
    ana.sees("I read that as `/gateway whoami`.*What you may do", ephemeral=True)
    assert not any("What you may do" in words(message) for message in ben.messages())


def test_the_same_mention_that_slack_delivers_twice_is_answered_once(demo: Demo) -> None:
    ana = demo.person("ana")
    demo.fault("slack", "duplicate_deliveries", True)
    try:
        ts = says(demo, "ana", "@gateway-bot status legacy-9")
        answer(ana, ts, "legacy-9 on west/dev")
        later = says(demo, "ana", "@gateway-bot help")
        answer(ana, later, "What I can do")
    finally:
        demo.fault("slack", "duplicate_deliveries", False)
    assert len(in_thread(ana, ts)) == 1


def test_chatter_is_left_alone(demo: Demo) -> None:
    ana = demo.person("ana")
    quiet = [
        says(demo, "ana", "status legacy-9"),
        says(demo, "ana", "thank you @gateway-bot, that was quick"),
    ]
    ts = says(demo, "ana", "@gateway-bot help")
    answer(ana, ts, "What I can do")
    assert [in_thread(ana, each) for each in quiet] == [[], []]
