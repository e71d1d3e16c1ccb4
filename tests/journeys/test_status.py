"""Looking at gateways from Slack: the table, one in depth, and a message that stays current."""

import os
import re
import signal
from collections.abc import Iterator

import pytest

from tests.journeys.test_deploy import TAG, deploy, kubectl, running_again
from tests.support.demo import Demo, Message, is_answer, words
from tests.support.waiting import until


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    running = Demo(tmp_path_factory.mktemp("demo"))
    deploy(running, "edge-1", "west/dev", replicas=2)
    yield running
    running.stop()


def asked(demo: Demo, text: str, pattern: str = "gateway") -> Message:
    """What `/gateway text` shows, and nothing that was there before."""
    ivy = demo.person("ivy")
    before = {message["ts"] for message in ivy.messages()}
    assert ivy.types(text)["ok"]

    def look() -> Message | None:
        new = (m for m in ivy.messages() if m["ts"] not in before and is_answer(m))
        # Lines about what was deployed may still come.
        tops = (m for m in new if m.get("thread_ts") in (None, m["ts"]))
        return next((m for m in tops if re.search(pattern, words(m), re.DOTALL)), None)

    return until(look, f"an answer to {text!r} like {pattern!r}")


def test_the_table_shows_each_gateway_with_the_evidence_of_its_link(demo: Demo) -> None:
    there = ("2 gateways", "edge-1", "legacy-9", "no trouble seen", "token expires")
    demo.person("ivy").is_told("list", "^" + "".join(f"(?=.*{each})" for each in there))


@pytest.mark.parametrize(
    ("options", "there"),
    [
        ("--filter legacy", {"legacy-9"}),
        ("--env development", {"edge-1", "legacy-9"}),
        ("--cluster east", set()),
        ("--attention", {"legacy-9"}),
    ],
)
def test_the_table_shows_those_that_are_asked_for(
    demo: Demo, options: str, there: set[str]
) -> None:
    def named() -> bool:
        # The table may hear a moment after the deployment's message that all its pods are ready.
        shown = words(asked(demo, f"status {options}"))
        return {name for name in ("edge-1", "legacy-9") if name in shown} == there

    until(named, f"{there} in the table")


def test_a_cluster_that_is_none_is_said_with_what_there_is(demo: Demo) -> None:
    assert "Did you mean `/gateway status --cluster=west`?" in words(
        asked(demo, "status --cluster wets", "wets")
    )


def test_the_image_has_tags_with_their_support_and_who_runs_them(demo: Demo) -> None:
    shown = words(asked(demo, "tags", "Image tags"))
    line = next(line for line in shown.splitlines() if line.startswith(f"`{TAG}`"))
    assert re.fullmatch(r"\S+ +supported, 2\.11\.2 is newer · \*\d+ gateways?\*", line)
    assert "left out" in shown
    assert "left out" not in words(asked(demo, "tags --all", "Image tags"))


def test_a_button_turns_the_same_message(demo: Demo) -> None:
    ivy = demo.person("ivy")
    message = asked(demo, "status")
    ivy.clicks(message, "Only what needs attention")
    turned = ivy.sees_at(message, "1 gateway")
    assert "Show all" in words(turned)
    assert "*edge-1*" not in words(turned)


def test_one_gateway_shows_its_pods_and_the_rest_behind_more(demo: Demo) -> None:
    ivy = demo.person("ivy")
    told = ivy.is_told("status edge-1", "edge-1 on west/dev.*2 of 2 ready.*current token")
    assert "Azure portal" in words(told)
    nodes = set(re.findall(r"· node (\S+)", words(told)))
    assert nodes
    assert ("if it fails, none is left" in words(told)) is (len(nodes) == 1)

    def more() -> bool:
        # The trail is written a moment after the action, so that its end may not be in it yet.
        ivy.clicks(told, "More details")
        until(lambda: "Services" in str(ivy.views()), "the modal")
        shown = str(ivy.views()[-1])
        there = ("203.0.113.", "edge-1-live-traffic", "Revisions", "Last actions", "Conditions")
        return all(word in shown for word in there)

    until(more, "everything behind More")


def test_a_status_is_shared_in_the_channel_with_who_did_that_and_when_it_was_read(
    demo: Demo,
) -> None:
    ivy = demo.person("ivy")
    message = asked(demo, "status edge-1", r"\*Installed\*  by")
    assert message["is_ephemeral"]
    ivy.clicks(message, "Share to channel")
    shared = ivy.sees("edge-1 on west/dev.*Shared by <@.*>. Read ", ephemeral=False)
    assert "Share to channel" not in words(shared)
    ivy.clicks(asked(demo, "list"), "Share to channel")
    ivy.sees("Gateways.*Shared by <@.*>. Read ", ephemeral=False)


def test_a_watched_message_follows_what_happens_and_ends_by_stop(demo: Demo) -> None:
    message = asked(demo, "status edge-1 --watch", "2 of 2 ready")
    assert not message.get("is_ephemeral")
    ivy = demo.person("ivy")
    kubectl(demo, "scale", "-n", "dev", "deployment/edge-1", "--replicas=3")
    ivy.sees_at(message, "3 of 3 ready")
    ivy.clicks(message, "Stop updating")
    ended = ivy.sees_at(message, "no longer kept current: stopped by")
    assert "Kept current" not in words(ended)


def test_a_gateway_that_is_none_is_not_watched_and_only_who_asked_hears_of_it(demo: Demo) -> None:
    told = asked(demo, "status edeg-1 --watch", "No gateway .edeg-1")
    assert told["is_ephemeral"]
    assert "Did you mean `/gateway status edge-1 --watch`?" in words(told)
    assert not [m for m in demo.person("ana").messages() if "edeg-1" in words(m)]


def test_a_watched_message_whose_bot_died_is_ended_by_the_next(demo: Demo) -> None:
    message = asked(demo, "status --minutes 5", "Kept current until")
    before = demo.bot_pid()
    os.kill(before, signal.SIGKILL)
    until(lambda: running_again(demo, before), "a new bot", 90)
    demo.person("ivy").sees_at(message, "the bot that kept it current is gone", 90)
