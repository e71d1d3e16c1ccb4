"""The previous version's bot and today's share one Redis: whichever comes second takes up what the
other left, in every state there is, and nobody in Slack notices."""

import json
import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from deploy.actions.connection import connect
from tests.support.demo import Message, words
from tests.support.fleet import BotProcess, Fleet, fleet
from tests.support.previous import previous_version
from tests.support.processes import ROOT
from tests.support.records import record
from tests.support.waiting import until

TAG = "2.11.1"
SMALL = f"--tag {TAG} --replicas 1 --cpu 50m --memory 128Mi"
EXTRA = ("run-1", "wait-1", "cancel-1", "inbox-1")
TYPED = 12
PATIENCE = 400.0
"""Seconds for each thing that comes by itself: two bots and a workspace start on a machine that may be busy."""
RECORDS = ROOT / "tests" / "data" / "records" / "previous.json"


@dataclass(frozen=True)
class Left:
    """Messages of what one bot leaves to the other, each in another state."""

    pending: Message
    owed: Message
    batch: Message
    window: Message
    running: Message
    approved: Message
    warning: Message


@pytest.mark.timeout(2400)
@pytest.mark.parametrize("way", ["upgrade", "rollback"])
def test_each_of_two_versions_takes_up_what_the_other_left(tmp_path: Path, way: str) -> None:
    previous = previous_version(tmp_path)
    before, after = (previous, ROOT) if way == "upgrade" else (ROOT, previous)
    with fleet(tmp_path, "socket", world_of(tmp_path)) as stage:
        first = stage.start_bot(before, PATIENCE)
        left = leave(stage)
        if way == "upgrade" and "WRITE_RECORDS" in os.environ:
            write_records(stage)
        second = stage.start_bot(after, PATIENCE)
        beside_each_other(stage)
        die_at_work(stage, first, left.owed)
        take_up(stage, left)
        assert twice(stage) == []
        for bot in (first, second):
            assert raised(stage.log_of(bot)) == []
        assert second.process.poll() is None


def world_of(directory: Path) -> Path:
    """The usual world with more gateways."""
    world = yaml.safe_load((ROOT / "bot/sandbox/world.yaml").read_text())
    world["azure"]["gateways"] += [
        {"name": name, "description": name, "location": name} for name in EXTRA
    ]
    path = directory / "world.yaml"
    path.write_text(yaml.safe_dump(world))
    return path


def leave(stage: Fleet) -> Left:
    """Bring about everything that outlives a bot."""
    ana, ben, chen = (stage.person(name) for name in ("ana", "ben", "chen"))
    alerts = stage.person("ana", "gateway-alerts")
    plans = [
        ana.plans(f"deploy {name} --to west/dev {SMALL}", PATIENCE) for name in ("edge-1", "edge-2")
    ]
    inside = ana.plans(f"deploy store-7 --to west/prod {SMALL}", PATIENCE)
    for plan in plans:
        ana.clicks(plan, "Confirm")
    ben.clicks(inside, "Approve")
    for plan in (*plans, inside):
        ana.sees_at(plan, "1 of 1 pods? ready after", PATIENCE)
    chen.types("rotate --all")
    top = chen.sees("Rotate the tokens of 3 gateways", PATIENCE, ephemeral=False)
    batch = chen.sees_at(top, "Approve 1 plan.*Confirm 2 plans", PATIENCE)
    ben.types('window store-7 --for <@U0ANA|ana> --minutes 60 --reason "troubleshooting"')
    window = ben.sees("Approval window on store-7", PATIENCE, ephemeral=False)
    stage.fault("node west", "not_ready", True)
    run = ana.plans(f"deploy run-1 --to west/dev {SMALL}", PATIENCE)
    ana.clicks(run, "Confirm")
    running = ana.sees_at(run, "0 of 1 pods?", PATIENCE)
    approved = ana.plans("restart run-1", PATIENCE)
    ana.clicks(approved, "Confirm")
    return Left(
        pending=ana.plans(f"deploy wait-1 --to west/prod {SMALL}", PATIENCE),
        owed=ana.plans(f"deploy cancel-1 --to west/dev {SMALL}", PATIENCE),
        batch=batch,
        window=window,
        running=running,
        approved=ana.sees_at(approved, "Confirmed by", PATIENCE),
        warning=alerts.sees("legacy-9.*has a token that expires", PATIENCE, ephemeral=False),
    )


def beside_each_other(stage: Fleet) -> None:
    """Commands while both run: each is answered, once, by whichever receives it."""
    ivy = stage.person("ivy")
    names = [f"lost-{number:02d}" for number in range(TYPED)]
    # One that a busy machine acks too late may be answered or not, but never twice.
    acked = {name for name in names if ivy.types(f"history {name}")["ok"]}
    assert acked

    def answers() -> Counter[str]:
        said = [words(m) for m in ivy.messages() if m.get("is_ephemeral")]
        return Counter(name for name in names for text in said if name in text)

    until(lambda: set(answers()) >= acked, "an answer to each command", PATIENCE)
    assert set(answers().values()) == {1}


def die_at_work(stage: Fleet, bot: BotProcess, owed: Message) -> None:
    """kill -9 while it plans, and while Slack does not take what its messages have come to."""
    ana, ivy = stage.person("ana"), stage.person("ivy")
    stage.fault("cluster east", "api_slow_ms", 30_000)
    assert ivy.types(f"deploy inbox-1 --to east/dev {SMALL}")["ok"]
    stage.fault("slack", "api_error", "503")
    assert ana.clicks(owed, "Cancel")["ok"]
    bot.process.kill()
    bot.process.wait()
    stage.fault("slack", "api_error", "none")
    stage.fault("cluster east", "api_slow_ms", 0)


def take_up(stage: Fleet, left: Left) -> None:
    """Everything comes to its end at the bot that is left."""
    ana, ben, chen = (stage.person(name) for name in ("ana", "ben", "chen"))
    ana.sees_at(left.owed, "Cancelled by", PATIENCE)
    ana.sees("Deploy inbox-1.*Nothing has changed yet", PATIENCE, ephemeral=False)
    stage.fault("node west", "not_ready", False)
    ana.sees_at(left.running, "1 of 1 pods? ready after", PATIENCE)
    ana.sees_at(left.approved, "1 of 1 pods? ready after", PATIENCE)
    ben.clicks(left.pending, "Approve")
    ana.sees_at(left.pending, "1 of 1 pods? ready after", PATIENCE)
    chen.clicks(left.batch, "Confirm 2 plans")
    chen.sees_at(left.batch, "2 of 3 done", PATIENCE)
    within = ana.plans("scale store-7 --replicas 2", PATIENCE)
    assert "within an approval window" in words(within)
    ana.clicks(within, "Cancel")
    chen.clicks(left.window, "Close now")
    chen.sees_at(left.window, "Closed by <@U0CHEN>", PATIENCE)
    alerts = stage.person("ana", "gateway-alerts")
    # Versions call the button otherwise, and the message is of whichever bot drew it last.
    shown = alerts.sees_at(left.warning, "Snooze", PATIENCE)
    alerts.clicks(shown, "Snooze…" if "Snooze…" in words(shown) else "Snooze")
    alerts.submits(alerts.form("expiry_snooze_modal"), snooze_reason="replaced soon")
    alerts.sees_at(left.warning, "Snoozed by <@U0ANA>", PATIENCE)
    ana.is_told("history store-7", "window", PATIENCE)


def twice(stage: Fleet) -> list[str]:
    """What was said twice in one place. Incidents may begin and end several times, and say so."""
    everybody = (
        (channel, message)
        for channel in ("gateway-ops", "gateway-alerts")
        for message in stage.person("ana", channel).messages()
        if not message.get("is_ephemeral")
    )
    said = Counter(
        (_thread(message), message["text"])
        for channel, message in everybody
        if channel == "gateway-ops" or "token" in message["text"]
    )
    return [f"{text} (in {place})" for (place, text), count in said.items() if count > 1]


def _thread(message: Message) -> str | None:
    thread = message.get("thread_ts")
    return thread if thread != message["ts"] else None


def raised(log: str) -> list[str]:
    """Lines of a log that tell of a fault of the bot's own; slack_sdk's tell of a machine that is busy."""
    own = re.compile(r" ERROR (bot|handlers|deploy)|cannot be read by this version")
    return [line for line in log.splitlines() if own.search(line)]


def write_records(stage: Fleet) -> None:
    """Record what that version wrote: tests/deploy/test_previous_records.py reads it."""
    found = record(connect(stage.redis.url))
    lines = (f"{json.dumps(key)}: {json.dumps(value)}" for key, value in found.items())
    RECORDS.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
