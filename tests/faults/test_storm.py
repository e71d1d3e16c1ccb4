"""Many production deployments at once in one channel, with Slack's own rate limits on."""

import subprocess
import sys
import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.actions.connection import connect
from tests.support.demo import Demo, Person, words
from tests.support.processes import ROOT
from tests.support.token_world import found
from tests.support.waiting import until

GATEWAYS = [f"edge-{number}" for number in range(1, 13)]
TAG = "2.11.1"
LATER = ("late-1", "late-2")
"""What is asked for while the others run."""
PROMPT_SECONDS = 5.0
CHANNEL_PER_MINUTE = 60
MESSAGES_PER_MINUTE = 200
"""Slack says “several hundred” of a workspace's messages."""
PER_MINUTE = {
    "chat.update": 50,
    "chat.postEphemeral": 100,
    "conversations.history": 50,
    "conversations.open": 50,
    "conversations.replies": 50,
    "users.info": 100,
    "usergroups.users.list": 20,
}
"""By docs.slack.dev/apis/web-api/rate-limits and the methods' own pages."""


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    world = yaml.safe_load((ROOT / "bot/sandbox/world.yaml").read_text())
    known = {each["name"] for each in world["azure"]["gateways"]}
    world["azure"]["gateways"] += [
        {"name": name, "description": name, "location": name}
        for name in (*GATEWAYS, *LATER)
        if name not in known
    ]
    path = tmp_path / "world.yaml"
    path.write_text(yaml.safe_dump(world))
    made = Demo(tmp_path / "data", "--world", str(path))
    try:
        yield made
    finally:
        made.stop()


@contextmanager
def another_bot(demo: Demo, tmp_path: Path) -> Iterator[None]:
    """A second bot with the same settings and secrets."""
    process = Path(f"/proc/{demo.bot_pid()}")
    environment = dict(
        part.split("=", 1) for part in (process / "environ").read_text().split("\0") if "=" in part
    )
    arguments = (process / "cmdline").read_text().split("\0")
    settings = yaml.safe_load(Path(arguments[arguments.index("--config") + 1]).read_text())
    settings.setdefault("health", {})["port"] = 0
    settings.pop("event_grid", None)
    path = Path(arguments[arguments.index("--config") + 1]).parent / "second.yaml"
    path.write_text(yaml.safe_dump(settings))
    bot = subprocess.Popen(
        [sys.executable, "-m", "bot", "run", "--config", str(path), "--log-level", "warning"],
        env=environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert bot.stdout is not None
        assert "ready" in bot.stdout.readline()
        yield
    finally:
        bot.terminate()
        bot.wait(60)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("bots", [1, 2])
def test_twelve_production_deployments_at_once_are_each_one_message_that_ends_in_the_truth(
    demo: Demo, tmp_path: Path, bots: int
) -> None:
    if bots == 2:
        with another_bot(demo, tmp_path):
            _storm(demo)
    else:
        _storm(demo)


def _storm(demo: Demo) -> None:
    ana, ivy, ben = (demo.person(name) for name in ("ana", "ivy", "ben"))
    redis = connect(f"unix://{demo.data}/redis/valkey.sock")
    for name in GATEWAYS:
        asks(ana, name)
    plans = until(lambda: asked(ana) if len(asked(ana)) == len(GATEWAYS) else None, "plans", 300)
    for plan in plans:
        assert ben.clicks(plan, "Approve")["ok"]
    places = {plan["ts"] for plan in plans}

    def ends() -> list[str]:
        shown = [words(m) for m in ana.messages() if m["ts"] in places]
        return [text for text in shown if "2 of 2 pods ready after" in text]

    meanwhile = [prompt(redis, ivy, LATER[0])]
    until(lambda: len(ends()) >= 2, "some ends", 300)
    meanwhile.append(prompt(redis, ana, LATER[1]))
    until(lambda: len(ends()) == len(GATEWAYS), "every end", 300)
    until(lambda: redis.zcard("gateway-bot:{messages}:owed") == 0, "the rest", 180)
    shown = [m for m in ana.messages() if not m.get("is_ephemeral")]
    tops = {m["ts"] for m in shown if m.get("thread_ts") in (None, m["ts"])}
    assert tops == places | {late.ts for late in meanwhile}
    lines = Counter((m["thread_ts"], m["text"]) for m in shown if m.get("thread_ts"))
    assert [line for line, count in lines.items() if count > 1] == []
    for name in GATEWAYS:
        (end,) = [text for text in ends() if f"{name} to west/prod" in text]
        assert TAG in end
    # A ready pod on a busy node may miss a probe and be ready again.
    until(
        lambda: all(in_cluster(demo, name) == (2, TAG) for name in GATEWAYS),
        "two ready pods of each gateway, as its message says",
    )
    within_limits(demo.get("log", kind="request")["entries"])
    print(*(f"asked for meanwhile: {late}" for late in meanwhile), sep="\n")
    assert max(late.seconds for late in meanwhile) <= PROMPT_SECONDS


@dataclass(frozen=True)
class Late:
    """A plan that was asked for during the storm: where it is, and how long after the request was
    on record it was posted; the seconds since the command include the planning, which a busy
    machine makes long."""

    ts: str
    seconds: float
    since_command: float

    def __str__(self) -> str:
        return f"posted after {self.seconds:.1f} s, {self.since_command:.1f} s after the command"


def asks(person: Person, gateway: str) -> None:
    """Ask for a deployment in production."""
    command = f"deploy contoso/{gateway} --to west/prod --tag {TAG} --replicas 2"
    assert person.types(f"{command} --cpu 100m --memory 256Mi")["ok"]


def prompt(redis: Any, person: Person, gateway: str) -> Late:
    """Ask for one more, and see how soon it is posted."""
    typed = time.time()
    before = set(redis.scan_iter("gateway-bot:{a:*}:act"))
    asks(person, gateway)

    def look() -> dict[str, Any] | None:
        return next((m for m in asked(person) if f"{gateway} to west/prod" in words(m)), None)

    plan = until(look, f"the plan of {gateway}", 120)
    (made,) = set(redis.scan_iter("gateway-bot:{a:*}:act")) - before
    posted = float(plan["ts"])
    return Late(plan["ts"], posted - int(redis.hget(made, "created")) / 1000, posted - typed)


def asked(person: Person) -> list[dict[str, Any]]:
    """The plans that wait for an approval."""
    return [
        message
        for message in person.messages()
        if "Nothing has changed yet" in words(message) and not message.get("is_ephemeral")
    ]


def in_cluster(demo: Demo, gateway: str) -> tuple[int, str]:
    """How many pods of a gateway the cluster says are ready, and the tag of its image."""
    deployment = found(demo, "west", "prod", "deployment", gateway)
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return deployment["status"].get("readyReplicas", 0), container["image"].rpartition(":")[2]


def within_limits(calls: Sequence[dict[str, Any]]) -> None:
    """No call was refused, and no minute had more than Slack allows of a method, or in a channel."""
    assert [call for call in calls if call["error"] == "ratelimited"] == []
    moments: dict[str, list[float]] = defaultdict(list)
    for call in calls:
        moments[call["method"]].append(call["at"])
        if call["method"] == "chat.postMessage":
            moments[f"chat.postMessage to {call['args']['channel']}"].append(call["at"])
    allowed = {**PER_MINUTE, "chat.postMessage": MESSAGES_PER_MINUTE}
    busiest = {name: most_in_a_minute(at) for name, at in sorted(moments.items())}
    for name, most in busiest.items():
        limit = CHANNEL_PER_MINUTE if " to " in name else allowed.get(name)
        print(f"{name}: {len(moments[name])} calls, {most} in the busiest minute, allowed {limit}")
        assert limit is None or most <= limit, name


def most_in_a_minute(moments: Sequence[float]) -> int:
    """The most of them that lie within 60 seconds; they come in order."""
    return max(bisect_left(moments, at + 60) - index for index, at in enumerate(moments))
