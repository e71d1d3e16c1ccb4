"""What a bot sends while it waits, and for what it does: commands to Redis, calls to Slack.

A whole bot as in production on the sandbox's Valkey, Slack and clusters, with Slack's rate limits
on. A script counts as the one command that is sent; what it runs inside the server is printed beside
it. Counts do not depend on how busy the machine is.
"""

import hashlib
import socket
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from deploy.actions import scripts as actions
from deploy.actions.connection import connect
from handlers.messages import scripts
from tests.bench.results import Result
from tests.support.demo import Demo, Message, Person, words
from tests.support.processes import ROOT
from tests.support.waiting import until

WAITING = 100
AT_ONCE = 30
SECONDS = 60.0
_CHANNELS = 10
_ALERTS = "C0GWALERTS"
"""Where the sandbox's world has its bot warn of gateways."""


def _digest(script: str) -> str:
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()


_LOOK = _digest(scripts.DUE)
_ENGINE = {
    _digest(actions.PRELUDE + actions.TOLD),
    *(
        _digest(text)
        for name, text in vars(scripts).items()
        if name.isupper() and name != "DUE" and isinstance(text, str)
    ),
}
_IDLE_REACH = 20.0
_DEPLOYMENT_REACH = 12.0
_PER_CALL_REACH = 4.0
_ENGINES = ("chat.postMessage", "chat.update", "conversations.history", "conversations.replies")
"""What the engine calls."""
_CHORES = ("apps.connections.open", "auth.test")
"""What a bot calls however little it does."""


@dataclass(frozen=True)
class Commands:
    """How many were sent, how many ran inside of scripts, and how many of those that were sent were
    the engine's of messages, its look at what is owed each second aside; until when."""

    sent: int
    inside: int
    engine: int
    looks: int
    at: float

    def since(self, earlier: "Commands") -> "Commands":
        """Those that came after `earlier`."""
        return Commands(
            self.sent - earlier.sent,
            self.inside - earlier.inside,
            self.engine - earlier.engine,
            self.looks - earlier.looks,
            self.at - earlier.at,
        )

    @property
    def for_calls(self) -> float:
        """What the engine sent for what it did."""
        return self.engine + max(0.0, self.looks - self.at)


class Monitor:
    """Counts the commands that a Redis executes, its own not among them (redis.io/commands/monitor)."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._socket.sendall(b"MONITOR\r\n")
        self._sent = self._inside = self._engine = self._looks = 0
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with self._socket.makefile("rb") as lines:
            for line in lines:
                # +1700000000.000001 [0 lua] "HGET" …, and the client's address where it was sent.
                client = line[: line.find(b"]")]
                if client.endswith(b" lua"):
                    self._inside += 1
                elif b"[" in client:
                    self._sent += 1
                    digest = line[line.find(b'"EVALSHA" "') + 11 :][:40].decode()
                    self._engine += digest in _ENGINE
                    self._looks += digest == _LOOK

    def now(self) -> Commands:
        """All of them until now."""
        return Commands(self._sent, self._inside, self._engine, self._looks, time.monotonic())

    def close(self) -> None:
        """Count no longer."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@dataclass(frozen=True)
class Measured:
    """Commands of an idle bot in SECONDS; of deployments, the methods that were called for them, and
    the commands that were sent meanwhile beside all calls of the engine, whatever they were for."""

    idle: Commands
    one: Sequence[str]
    many: Sequence[str]
    one_sent: Commands
    many_sent: Commands
    one_posted: int
    many_posted: int
    refused: int


def measure() -> Measured:
    """Ask for one deployment, have many wait, watch, and then ask for many at once."""
    with tempfile.TemporaryDirectory(prefix="bench-calls-") as name, _demo(Path(name)) as demo:
        monitor = Monitor(demo.data / "redis/valkey.sock")
        try:
            return _measured(demo, monitor)
        finally:
            monitor.close()


def _measured(demo: Demo, monitor: Monitor) -> Measured:
    # What the world has to warn of is posted first.
    until(lambda: demo.person("ana", "gateway-alerts").messages(), "the first warning", 60)
    # Once for each Redis, a bot searches the channels for messages of what the last one has lost.
    redis = connect(f"unix://{demo.data}/redis/valkey.sock")
    until(lambda: redis.sismember("gateway-bot:{messages}:searched", "*"), "the search", 120)
    _settled(demo)
    began, before = monitor.now(), _posted(demo)
    one = _deployments(demo, ["one-0"])
    one_sent, one_posted = monitor.now().since(began), _posted(demo) - before
    waiting = [demo.person("ana", f"bench-{number}") for number in range(_CHANNELS)]
    for number in range(WAITING):
        _ask(waiting[number % _CHANNELS], f"wait-{number}")
    until(lambda: sum(len(_plans(who)) for who in waiting) == WAITING, "plans that wait", 300)
    _settled(demo)
    began = monitor.now()
    time.sleep(SECONDS)
    idle = monitor.now().since(began)
    began, before = monitor.now(), _posted(demo)
    many = _deployments(demo, [f"many-{number}" for number in range(AT_ONCE)])
    many_sent, many_posted = monitor.now().since(began), _posted(demo) - before
    refused = sum(call["error"] == "ratelimited" for call in _calls(demo))
    return Measured(idle, one, many, one_sent, many_sent, one_posted, many_posted, refused)


def _deployments(demo: Demo, gateways: Sequence[str]) -> list[str]:
    """The methods of Slack that these take, from the commands until nothing more is owed."""
    ana, ben = demo.person("ana"), demo.person("ben")
    before = len(_calls(demo))
    for name in gateways:
        _ask(ana, name)
    plans = until(lambda: _all_of(_plans(ana), len(gateways)), "plans", 300)
    for plan in plans:
        assert ben.clicks(plan, "Approve")["ok"]
    places = {plan["ts"] for plan in plans}

    def ended() -> bool:
        shown = [words(message) for message in ana.messages() if message["ts"] in places]
        return all("1 of 1 pods ready after" in text for text in shown)

    until(ended, "every end", 900)
    _settled(demo)
    return [call["method"] for call in _calls(demo)[before:]]


def _ask(person: Person, gateway: str) -> None:
    command = f"deploy contoso/{gateway} --to west/prod --tag 2.11.1 --replicas 1"
    assert person.types(f"{command} --cpu 100m --memory 256Mi")["ok"]


def _plans(person: Person) -> list[Message]:
    return [
        message
        for message in person.messages()
        if "Nothing has changed yet" in words(message) and not message.get("is_ephemeral")
    ]


def _all_of(found: list[Message], wanted: int) -> list[Message] | None:
    return found if len(found) == wanted else None


def _calls(demo: Demo) -> list[dict[str, Any]]:
    """The calls of the Web API that are about what is measured: warnings of other gateways that
    fall into it are not."""
    return [
        call
        for call in _requests(demo)
        if call["method"] not in _CHORES and call["args"].get("channel") != _ALERTS
    ]


def _posted(demo: Demo) -> int:
    """How often the engine has called Slack until now."""
    return sum(call["method"] in _ENGINES for call in _requests(demo))


def _requests(demo: Demo) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = demo.get("log", kind="request")["entries"]
    return found


def _settled(demo: Demo) -> None:
    """No message is behind, and nothing was called for a while."""
    redis = connect(f"unix://{demo.data}/redis/valkey.sock")
    until(lambda: redis.zcard("gateway-bot:{messages}:owed") == 0, "messages that are true", 300)
    redis.close()
    seen, since = -1, time.monotonic()

    def quiet() -> bool:
        nonlocal seen, since
        if (now := len(_calls(demo))) != seen:
            seen, since = now, time.monotonic()
        return time.monotonic() - since > 5

    until(quiet, "a quiet bot", 120)


@contextmanager
def _demo(directory: Path) -> Iterator[Demo]:
    world = yaml.safe_load((ROOT / "bot/sandbox/world.yaml").read_text())
    names = [
        "one-0",
        *(f"wait-{n}" for n in range(WAITING)),
        *(f"many-{n}" for n in range(AT_ONCE)),
    ]
    gateways = [{"name": name, "description": name, "location": name} for name in names]
    world["azure"]["gateways"] += gateways
    world["channels"] += [
        {"id": f"C0BENCH{number}", "name": f"bench-{number}", "topic": "Waiting"}
        for number in range(_CHANNELS)
    ]
    path = directory / "world.yaml"
    path.write_text(yaml.safe_dump(world))
    made = Demo(directory / "data", "--world", str(path))
    try:
        yield made
    finally:
        made.stop()


def main() -> list[Result]:
    """Print the table."""
    found = measure()
    per_second = found.idle.sent / SECONDS
    inside = (found.idle.sent + found.idle.inside) / SECONDS
    print(
        f"Redis commands, idle, {WAITING} actions wait   {per_second:5.1f} /s   "
        f"({inside:.1f} /s with those inside of scripts; "
        f"reach < {_IDLE_REACH:.0f}: {_reached(per_second < _IDLE_REACH)})"
    )
    one, many = len(found.one), len(found.many) / AT_ONCE
    print(
        f"Slack calls, one deployment             {one:5}      "
        f"(reach ≤ {_DEPLOYMENT_REACH:.0f}: {_reached(one <= _DEPLOYMENT_REACH)})   "
        f"{_by_method(found.one)}"
    )
    print(
        f"Slack calls, each of {AT_ONCE} at once           {many:5.1f}      "
        f"(reach ≤ {_DEPLOYMENT_REACH:.0f}: {_reached(many <= _DEPLOYMENT_REACH)})   "
        f"{_by_method(found.many)}; {found.refused} over a limit"
    )
    for what, posted, sent in (
        ("one", found.one_posted, found.one_sent),
        (f"{AT_ONCE} at once", found.many_posted, found.many_sent),
    ):
        each = sent.for_calls / posted
        print(
            f"Redis commands for each call of the engine {each:4.1f}    (reach ≤ {_PER_CALL_REACH:.0f}: "
            f"{_reached(each <= _PER_CALL_REACH)})   {what}: {sent.for_calls:.0f} for {posted} calls, "
            f"of {sent.sent} that the bot sent"
        )
    least = f"≤ {_DEPLOYMENT_REACH:.0f}"
    return [
        Result(
            *("idle Redis commands", f"{WAITING} actions wait", f"{per_second:.1f}/s"),
            *(f"< {_IDLE_REACH:.0f}/s", per_second < _IDLE_REACH),
        ),
        Result("Slack calls", "one deployment", str(one), least, one <= _DEPLOYMENT_REACH),
        Result(
            *("Slack calls", f"each of {AT_ONCE} at once", f"{many:.1f}"),
            f"{least}, none over a limit ({found.refused} were)",
            many <= _DEPLOYMENT_REACH and not found.refused,
        ),
    ]


def _by_method(calls: Sequence[str]) -> str:
    return ", ".join(f"{method} {count}" for method, count in Counter(calls).most_common())


def _reached(yes: bool) -> str:
    return "reached" if yes else "NOT reached"


if __name__ == "__main__":
    main()
