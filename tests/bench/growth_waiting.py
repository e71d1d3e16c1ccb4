"""How what depends on the number of waiting actions grows, from 1 to 1,000.

A whole bot, with actions in its Redis that wait for an approver as its store writes them, each with its
message. Counted is what the idle bot sends to Redis, for 1,000 while most of their messages wait for
their turn at Slack; timed are its looks at what waits, a decision and `pending`.
"""

import itertools
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

from deploy.actions.connection import connect
from deploy.actions.store import ActionStore
from deploy.gateway import GatewayRef
from deploy.policy import People
from tests.bench.beds import Bed, bed
from tests.bench.calls import Monitor
from tests.bench.growing import rows
from tests.bench.results import milliseconds
from tests.support import actions
from tests.support.actions import CODEC, by_approvers
from tests.support.waiting import until

SIZES = (1, 10, 100, 1_000)
_SECONDS = 15.0
_SETTLING_SECONDS = 5.0
_TIMES = 20
_IDS = itertools.count()
_POLICY = by_approvers(1, People(groups=("S0APPROVE",)), "production-west")
_LETTERS = "ABCDEFGHJK"
_CHANNELS = 100
"""Over so many the messages are spread: one takes a message a second."""
_POSTED = 100
"""The messages of so many are waited for: Slack takes 220 a minute, a thousand take five minutes."""


def measured(place: Bed, store: ActionStore, monitor: Monitor, waiting: int) -> dict[str, float]:
    """Seconds, and commands a second, while so many wait."""
    for _ in range(waiting - len(store.listing().actions)):
        _ask(store)
    if waiting <= _POSTED:
        until(lambda: _messages(place) >= waiting, "their messages", 180)
    time.sleep(_SETTLING_SECONDS)
    began = monitor.now()
    time.sleep(_SECONDS)
    idle = monitor.now().since(began)
    found = {
        "Redis commands, idle": idle.sent / _SECONDS,
        "with those inside of scripts": (idle.sent + idle.inside) / _SECONDS,
        "look at what is due": _median(store.versions),
        "read all that wait": _median(store.listing),
        "a decision": statistics.median(_decided(store) for _ in range(_TIMES)),
        "`pending`": statistics.median(_pending(place) for _ in range(3)),
    }
    listing = store.listing()
    assert len(listing.actions) + listing.more == waiting
    return found


def _ask(store: ActionStore) -> str:
    number = next(_IDS)
    digits = [number // 10**place % 10 for place in range(6)]
    name = "".join(_LETTERS[digit] for digit in digits)
    ref = GatewayRef("west", "prod", f"edge-{number}")
    actions.ask(store, name, ref=ref, policy=_POLICY, ttl=3600, requester="U0ANA",
                origin={"channel": f"C0BENCH{number % _CHANNELS}"})  # fmt: skip
    return name


def _messages(place: Bed) -> int:
    """How many of them are posted."""
    return sum(
        each["method"] == "chat.postMessage" and str(each["args"]["channel"]).startswith("C0BENCH")
        for each in place.get("log", kind="request")["entries"]
    )


def _decided(store: ActionStore) -> float:
    """One more action is denied, so that as many wait as before."""
    name = _ask(store)
    began = time.perf_counter()
    assert actions.deny(store, "U0BEN", name, now=actions.facts(_POLICY)).result == "done"
    return time.perf_counter() - began


def _median(work: Callable[[], object]) -> float:
    taken = []
    for _ in range(_TIMES):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def _pending(place: Bed) -> float:
    """From the command to its answer, as Slack's log has both."""
    newest = max(each["n"] for each in place.get("log")["entries"])

    def entries(kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = place.get("log", kind=kind, after=str(newest))["entries"]
        return found

    def answers() -> list[float]:
        # What takes long is first answered by that the bot works on it.
        found = entries("response_url")
        return [x["at"] for x in found if "open request" in json.dumps(x["payload"])]

    place.person("ben").types("pending")
    (answered, *_) = until(answers, "an answer", 60)
    return float(answered - entries("delivery")[0]["at"])


def _world(world: dict[str, Any]) -> None:
    world["channels"] += [
        {"id": f"C0BENCH{one}", "name": f"bench-{one}", "topic": "Waiting"}
        for one in range(_CHANNELS)
    ]


def said(name: str, value: float) -> str:
    """A figure by its name."""
    if name in ("Redis commands, idle", "with those inside of scripts"):
        return f"{value:.1f}/s"
    return milliseconds(value)


def main() -> None:
    """Print the table."""
    with bed(_world) as place:
        place.bot()
        store = ActionStore(connect(place.redis), CODEC)
        monitor = Monitor(place.socket)
        try:
            # What a new bot has to do once: it searches, and warns of what the world has.
            time.sleep(4 * _SETTLING_SECONDS)
            found = [measured(place, store, monitor, size) for size in SIZES]
        finally:
            monitor.close()
    table = {name: [(each[name], said(name, each[name])) for each in found] for name in found[0]}
    print(rows("waiting actions", SIZES, table), flush=True)


if __name__ == "__main__":
    main()
