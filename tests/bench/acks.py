"""How soon Slack has its ack, beside an empty Bolt app on the same transport.

A whole bot and the empty app, each a process of its own, take turns at the sandbox's Slack, over
Socket Mode and over HTTP. Both use the bot's own transports, so what differs is what stands before
an ack. The time is from a delivery to its ack, as the sandbox has both in its log. People type, click
and send forms one after the other, first quietly, then with a cluster, Azure and Slack each 5 s slow,
and at last all at once. What the commands, clicks and forms come to is worked on beside that.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import yaml

from bot.sandbox.valkey import Valkey
from handlers.views import deploy_modal
from tests.bench.beds import end, of_the_lock, spawned
from tests.bench.results import Result, milliseconds
from tests.support.ports import free_port
from tests.support.processes import ROOT, line_of

PEOPLE = 66
AT_ONCE = 200
SLOW_MS = 5000
MEDIAN_REACH, P99_REACH, LIMIT_SECONDS = 1.2, 1.5, 1.0
_PACE_SECONDS = 0.04
_LOST_SECONDS = 3.0
_CHANNEL = "C0GWOPS"


@dataclass(frozen=True)
class Taken:
    """Seconds from deliveries to their acks, sorted."""

    seconds: Sequence[float]

    @property
    def median(self) -> float:
        """Half of them took no longer."""
        return statistics.median(self.seconds)

    @property
    def p99(self) -> float:
        """All but one of a hundred took no longer."""
        return self.seconds[int(len(self.seconds) * 0.99)]

    def __str__(self) -> str:
        return f"{self.median * 1000:6.1f} ms, p99 {self.p99 * 1000:6.1f} ms"


class Bed:
    """A sandbox, a Redis, and one app at a time that Slack delivers to."""

    def __init__(self, mode: str, directory: Path, running: ExitStack) -> None:
        self.mode = mode
        port = free_port()
        server = Valkey(directory / "redis")
        server.start()
        running.callback(server.stop)
        sandbox = spawned(
            [
                *("-m", "bot.sandbox", "--data", str(directory / "sandbox")),
                *("--slack-mode", mode, "--world", str(_world(directory))),
                *("--bot-url", f"http://127.0.0.1:{port}/slack/events"),
            ],
            {},
        )
        running.callback(end, sandbox)
        told = json.loads(line_of(sandbox))
        self._environment = {**told["env"], "REDIS_URL": server.url}
        self._settings = told["settings"]
        self._url = told["slack"]
        self._session = requests.Session()
        self._seen = 0

    @contextmanager
    def app(self, ours: bool) -> Iterator[None]:
        """The bot, or the empty app, for the length of the block."""
        peer = ["-m", "tests.bench.empty_app", self._settings]
        bot = ["-m", "bot", "run", "--config", self._settings, "--log-level", "error"]
        process = spawned(bot if ours else peer, self._environment, of_the_lock())
        try:
            while not line_of(process).startswith("ready"):
                pass
            yield
        finally:
            end(process)

    def slow(self, milliseconds: int) -> None:
        """A cluster, Azure and Slack are so slow from now on."""
        for part, name in (
            ("cluster west", "api_slow_ms"),
            ("azure", "arm_slow_ms"),
            ("slack", "api_latency_ms"),
        ):
            self._control("faults", part=part, name=name, value=milliseconds)

    def command(self, person: int, text: str = "status") -> None:
        """Somebody types a command; this one looks at the clusters."""
        self._control(
            "command", channel=_CHANNEL, user=_name(person), command="/gateway", text=text
        )

    def opens(self) -> dict[int, str]:
        """A form for each person; the ids of the views."""
        views = {}
        for person in range(PEOPLE):
            before = self._newest()
            # How a verb is used is all in its ack: no work is left over from it.
            self.command(person, "status --help")
            trigger = self._entries("delivery", before)[-1]["payload"]["trigger_id"]
            view = deploy_modal.form(deploy_modal.metadata(_CHANNEL, ""), {}, {})
            views[person] = self._slack("views.open", trigger_id=trigger, view=view)["view"]["id"]
        return views

    def posts(self) -> str:
        """A message with a button; its ts. What the button was for is long gone."""
        value = json.dumps({"id": "AAAAAA", "digest": "d"})
        button = {"type": "button", "action_id": "action_approve", "value": value,
                  "text": {"type": "plain_text", "text": "Approve"}}  # fmt: skip
        blocks = [{"type": "actions", "block_id": "b", "elements": [button]}]
        return str(self._slack("chat.postMessage", channel=_CHANNEL, text="x", blocks=blocks)["ts"])

    def click(self, ts: str, person: int) -> None:
        """Somebody clicks it."""
        action = {"type": "button", "action_id": "action_approve", "block_id": "b"}
        self._control("interact", channel=_CHANNEL, user=_name(person), messageTs=ts, action=action)

    def submit(self, view: str, person: int) -> None:
        """Somebody sends their form, for a gateway that Azure does not have."""
        chosen = {deploy_modal.GATEWAY: "contoso/none", deploy_modal.PLACE: "west/dev",
                  deploy_modal.TAG: "2.11.1"}  # fmt: skip
        values = {
            name: {name: {"type": "external_select", "selected_option": {
                "value": value, "text": {"type": "plain_text", "text": value}}}}
            for name, value in chosen.items()
        }  # fmt: skip
        self._control("view", user=_name(person), view_id=view, type="submit", values=values)

    def taken(self, works: Sequence[Callable[[], None]], at_once: int = 1) -> Taken:
        """How long the acks of these took."""
        before = self._newest()
        if at_once > 1:
            with ThreadPoolExecutor(at_once) as pool:
                for done in [pool.submit(work) for work in works]:
                    done.result()
        else:
            for work in works:
                work()
                time.sleep(_PACE_SECONDS)
        taken = sorted(self._acks(before))
        assert len(taken) == len(works), (len(taken), len(works))
        return Taken(taken)

    def _acks(self, before: int) -> Iterator[float]:
        acks = self._entries("ack", before)
        if self.mode == "http":
            for ack in acks:
                yield ack["ms"] / 1000 if ack["error"] is None else _LOST_SECONDS
            return
        delivered = {each["envelope_id"]: each["at"] for each in self._entries("delivery", before)}
        for ack in acks:
            since = delivered.pop(ack["envelope_id"], None)
            if since is not None:
                yield ack["at"] - since if "error" not in ack else _LOST_SECONDS

    def _newest(self) -> int:
        for kind in ("delivery", "ack"):
            for entry in self._entries(kind, self._seen):
                self._seen = max(self._seen, entry["n"])
        return self._seen

    def _entries(self, kind: str, after: int) -> list[dict[str, Any]]:
        answer = self._session.get(
            f"{self._url}/_control/log", params={"kind": kind, "after": str(after)}, timeout=60
        )
        found: list[dict[str, Any]] = answer.json()["entries"]
        return found

    def _control(self, path: str, /, **body: Any) -> None:
        # Each thread has a connection of its own; what it answers is in the log.
        requests.post(f"{self._url}/_control/{path}", json=body, timeout=60).raise_for_status()

    def _slack(self, method: str, **body: Any) -> dict[str, Any]:
        token = self._environment["SLACK_BOT_TOKEN"]
        headers = {"Authorization": f"Bearer {token}"}
        answer = self._session.post(
            f"{self._url}/api/{method}", json=body, headers=headers, timeout=60
        )
        found: dict[str, Any] = answer.json()
        assert found["ok"], found
        return found


Phase = Mapping[str, Taken]


def phases(bed: Bed) -> dict[str, Phase]:
    """What is measured of one app, by phase and kind."""
    ts = bed.posts()
    found = {"quiet": _one_by_one(bed, ts, bed.opens())}
    views = bed.opens()
    bed.slow(SLOW_MS)
    found["5 s slow"] = _one_by_one(bed, ts, views)
    bed.slow(0)
    time.sleep(2 * SLOW_MS / 1000)
    views = bed.opens()
    works: list[Callable[[], None]] = [_sending(bed, view, who) for who, view in views.items()]
    works += [_clicking(bed, ts, who) for who in range(PEOPLE)]
    works += [_typing(bed, who % PEOPLE) for who in range(AT_ONCE - len(works))]
    found[f"{AT_ONCE} at once"] = {"all": bed.taken(works, AT_ONCE)}
    return found


def _one_by_one(bed: Bed, ts: str, views: Mapping[int, str]) -> Phase:
    return {
        "command": bed.taken([_typing(bed, who) for who in range(PEOPLE)]),
        "click": bed.taken([_clicking(bed, ts, who) for who in range(PEOPLE)]),
        "form": bed.taken([_sending(bed, view, who) for who, view in views.items()]),
    }


def _typing(bed: Bed, who: int) -> Callable[[], None]:
    return lambda: bed.command(who)


def _clicking(bed: Bed, ts: str, who: int) -> Callable[[], None]:
    return lambda: bed.click(ts, who)


def _sending(bed: Bed, view: str, who: int) -> Callable[[], None]:
    return lambda: bed.submit(view, who)


def _world(directory: Path) -> Path:
    """The usual world with more people."""
    world = yaml.safe_load((ROOT / "bot/sandbox/world.yaml").read_text())
    world["users"] += [
        {"id": f"U0BENCH{n}", "name": _name(n), "real_name": _name(n)} for n in range(PEOPLE)
    ]
    path = directory / "world.yaml"
    path.write_text(yaml.safe_dump(world))
    return path


def _name(person: int) -> str:
    return f"person-{person}"


def measure(mode: str) -> tuple[dict[str, Phase], dict[str, Phase]]:
    """Ours and the peer's over one transport."""
    with tempfile.TemporaryDirectory(prefix="bench-acks-") as name, ExitStack() as running:
        bed = Bed(mode, Path(name), running)
        with bed.app(ours=False):
            peer = phases(bed)
        with bed.app(ours=True):
            return phases(bed), peer


def main() -> list[Result]:
    """Print the table."""
    results = []
    print(f"reach: median ≤ {MEDIAN_REACH}×, p99 ≤ {P99_REACH}×, none over {LIMIT_SECONDS:.0f} s")
    for mode in ("socket", "http"):
        ours, peer = measure(mode)
        for phase, kinds in ours.items():
            for kind, taken in kinds.items():
                other = peer[phase][kind]
                median, p99 = taken.median / other.median, taken.p99 / other.p99
                longest = taken.seconds[-1]
                reached = median <= MEDIAN_REACH and p99 <= P99_REACH and longest <= LIMIT_SECONDS
                print(
                    f"{mode:6} {phase:11} {kind:8} {taken}   Bolt {other}   "
                    f"{median:.2f}×, p99 {p99:.2f}×, longest {longest * 1000:.0f} ms   "
                    f"({'reached' if reached else 'NOT reached'})",
                    flush=True,
                )
                results.append(
                    Result(
                        *("ack", f"{mode}, {phase}, {kind}"),
                        f"{milliseconds(taken.median)}, p99 {milliseconds(taken.p99)}",
                        f"≤ {MEDIAN_REACH}×, p99 ≤ {P99_REACH}× (is {p99:.2f}×), ≤ 1 s",
                        reached,
                        f"{milliseconds(other.median)}, p99 {milliseconds(other.p99)}",
                        median,
                    )
                )
    return results


if __name__ == "__main__":
    main()
