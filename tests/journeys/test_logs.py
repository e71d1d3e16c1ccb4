"""Logs in a thread: the last lines, and following them to an end that is always told."""

import os
import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.demo import Demo, Message, Person, broken, words
from tests.support.kubectl import Kubectl
from tests.support.waiting import until

TAG = "2.11.1"
DEBUG = "--set logs.level=debug --set logs.format=json"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    running = Demo(tmp_path_factory.mktemp("demo"))
    ana = running.person("ana")
    plan = ana.plans(f"deploy edge-1 --to west/dev --tag {TAG} --replicas 2 {DEBUG}")
    ana.clicks(plan, "Confirm")
    ana.sees_at(plan, "2 of 2 pods ready after", 90)
    yield running
    running.stop()


def logs(person: Person, text: str) -> Message:
    """The message in whose thread the lines are."""
    before = {message["ts"] for message in person.messages()}
    assert person.types(f"logs {text}")["ok"]

    def look() -> Message | None:
        new = [m for m in person.messages() if m["ts"] not in before]
        return next((m for m in new if "Logs of" in words(m)), None)

    return until(look, f"the logs {text}")


def below(person: Person, top: Message) -> list[Message]:
    """What is in the thread."""
    return [m for m in person.messages() if m.get("thread_ts") == top["ts"] != m["ts"]]


def shows(person: Person, top: Message, pattern: str, seconds: float = 90) -> Message:
    """The message in the thread whose words match."""
    regex = re.compile(pattern, re.DOTALL)
    return until(
        lambda: next((m for m in below(person, top) if regex.search(words(m))), None),
        f"{pattern!r} in the thread",
        seconds,
    )


def test_the_last_lines_are_in_a_thread_readable_with_the_rest_as_a_file(demo: Demo) -> None:
    ana = demo.person("ana")
    kubectl = Kubectl(demo.kubeconfig, demo.data)
    west = ("--context", "west", "-n", "dev", "logs", "-l", "app=edge-1", "--tail=100")
    until(lambda: len(kubectl(*west).splitlines()) > 40, "more lines than a message shows", 60)
    top = logs(ana, "edge-1 --tail 200")
    assert "Logs of *edge-1* on west/dev (development)" in words(top)
    shown = words(shows(ana, top, "2 pods"))
    assert re.search(r"\d\d:\d\d:\d\d\.\d{3} [a-z0-9]{5} \w+ +\w+", shown)
    assert '"eventType"' not in shown, "JSON is shown readable"
    until(lambda: any(m.get("files") for m in below(ana, top)), "the file")


def test_only_what_is_asked_for_is_shown(demo: Demo) -> None:
    ana = demo.person("ana")
    found = words(shows(ana, logs(ana, "edge-1 --event NoNewEvents --tail 400"), "line"))
    assert "NoNewEvents" in found
    assert "GettingEventsFromApi" not in found
    none = logs(ana, "edge-1 --grep xyzzy --level error")
    nothing = words(shows(ana, none, "0 lines"))
    assert "No line matches" in nothing
    assert "logs west/dev/edge-1 --follow --grep xyzzy --level error`" in nothing
    before = words(shows(ana, logs(ana, "edge-1 --previous"), "0 lines"))
    assert "None of the 2 pods has restarted, so there is no previous log." in before
    assert "No line matches" not in before
    for wrong, told in (
        ("edge-1 --level loud", "is not a level"),
        ("edge-1 --regex (", "no pattern|not a pattern"),
        ("edge-1 --since yesterday", "is not a duration"),
        ("edge-1 --pod nothing", "no pod"),
        ("edge-1 --follow --previous", "cannot be combined"),
        ("edge-1 --follow --minutes 61", "1 to 60 minutes"),
        ("edge-1 --minutes 5", "Add `--follow`"),
        ("edge-1 --random --pod a", "either `--pod` or `--random`"),
    ):
        ana.types(f"logs {wrong}")
        ana.sees(told, ephemeral=True)


def test_a_follow_goes_on_until_somebody_stops_it_and_a_rollout_is_followed_through(
    demo: Demo,
) -> None:
    ana, dan = demo.person("ana"), demo.person("dan")
    top = logs(ana, "edge-1 --follow --grep NoNewEvents")
    live = shows(ana, top, "NoNewEvents.*Kept current until")
    before = set(re.findall(r"\d\d \b([a-z0-9]{5})\b|\.\d{3} ([a-z0-9]{5}) ", words(live)))
    plan = ana.plans("restart edge-1")
    ana.clicks(plan, "Confirm")
    ana.sees_at(plan, "2 of 2 pods ready after", 90)

    def others() -> bool:
        (now,) = [m for m in below(ana, top) if "Kept current" in words(m)]
        seen = set(re.findall(r"\d\d \b([a-z0-9]{5})\b|\.\d{3} ([a-z0-9]{5}) ", words(now)))
        return bool(seen - before)

    until(others, "lines of the new pods", 60)
    dan.clicks(live, "Stop updating")
    stopped = shows(ana, top, "no longer kept current: stopped by <@U0DAN>")
    assert "Stop updating" not in [
        e["text"]["text"]
        for b in stopped.get("blocks") or []
        for e in b.get("elements") or []
        if e.get("type") == "button"
    ]


@pytest.mark.timeout(600)
def test_fifty_follows_at_once_delay_no_answer_and_an_eleventh_of_one_person_is_refused(
    demo: Demo,
) -> None:
    names, channels = ("ivy", "ana", "ben", "chen", "dan"), ("gateway-alerts", "gateway-ops")
    people = [demo.person(name, channel) for name in names for channel in channels]
    ivy = people[0]
    with ThreadPoolExecutor(16) as pool:
        started = list(pool.map(lambda p: p.types("logs edge-1 --follow"), people * 5))
        assert all(answer["ok"] for answer in started)

        def running() -> list[tuple[Person, Message]]:
            return [
                (person, message)
                for person in people[:2]
                for message in person.messages()
                if "Kept current until" in words(message)
            ]

        # Each is two messages, and a channel takes one a second.
        until(lambda: len(running()) == 50, "fifty follows", 120)
        answers = list(pool.map(lambda _: ivy.types("status edge-1"), range(20)))
        assert all(answer["ok"] for answer in answers), "Slack's three seconds were kept"
        ivy.types("logs edge-1 --follow")
        ivy.sees("10 messages are being kept current for you already", ephemeral=True)
        list(pool.map(lambda found: found[0].clicks(found[1], "Stop updating"), running()))
    # All bots of a workspace may change fifty messages a minute.
    until(lambda: not running(), "every follow to end", 120)


def test_a_follow_whose_bot_is_killed_says_so(demo: Demo) -> None:
    ana = demo.person("ana")
    top = logs(ana, "edge-1 --follow")
    shows(ana, top, "Kept current until")
    before = demo.bot_pid()
    os.kill(before, signal.SIGKILL)
    shows(ana, top, "The bot that followed these logs was restarted", 90)


def test_a_link_that_is_lost_is_seen_in_the_logs(demo: Demo) -> None:
    ana = demo.person("ana")
    with broken(demo, "node west", "link_lost", True, False):
        top = logs(ana, "edge-1 --follow --level warn")
        shows(ana, top, r"WARN\s+ConfigurationApiV2NotAvailable")
