"""Whatever one thing the bot needs does, the rest goes on, it can be stopped, and all ends right."""

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.demo import Message, Person, words
from tests.support.edge import NEEDED, Edge, Needed, edge
from tests.support.troubled_proxy import TROUBLES, Trouble
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(600)

STOP_SECONDS = 25.0
WEST, EAST = "edge-1", "store-7"
"""A gateway on the cluster behind the proxy, and one on the other."""
DONE = {"restart": "pods ready after", "rotate": "run with the new token after"}


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Edge]:
    with edge(tmp_path) as made:
        ana = made.person("ana")
        plans = [
            ana.plans(f"deploy {name} --to {place}/dev --tag 2.11.1 --replicas 1", 60)
            for name, place in ((WEST, "west"), (EAST, "east"))
        ]
        for plan in plans:
            ana.clicks(plan, "Confirm")
        for plan in plans:
            ana.sees_at(plan, "1 of 1 pods ready after", 90)
        yield made
        print(*made.lines[-100:], sep="")


def answered(person: Person, text: str, pattern: str, seconds: float) -> float:
    """How long it is until what somebody types is answered so."""
    before = {message["ts"] for message in person.messages()}
    began = time.monotonic()
    assert person.types(text)["ok"]
    until(
        lambda: any(m["ts"] not in before and pattern in words(m) for m in person.messages()),
        f"an answer to {text!r} like {pattern!r}",
        seconds,
    )
    return time.monotonic() - began


def spared(stage: Edge, part: Needed) -> Mapping[str, Callable[[], float]]:
    """What needs nothing of that part, and says how long it took."""
    ivy = stage.person("ivy", "gateway-alerts")

    def alive() -> float:
        began = time.monotonic()
        assert stage.answers("livez")
        return time.monotonic() - began

    east: dict[str, Callable[[], float]] = {
        "status": lambda: answered(ivy, f"status {EAST}", EAST, 60),
        "a plan": lambda: answered(
            ivy, f"scale {EAST} --replicas 2", "Nothing has changed yet", 60
        ),
    }
    return {"livez": alive, **(east if part in ("azure", "west") else {})}


class Speeds:
    """How long things usually take, before anything went wrong."""

    def __init__(self, stage: Edge, part: Needed) -> None:
        self._things = spared(stage, part)
        self._usual = {name: max(thing() for _ in range(2)) for name, thing in self._things.items()}

    def hold(self) -> None:
        """Each thing still takes about as long."""
        took = {name: thing() for name, thing in self._things.items()}
        late = {n: (s, self._usual[n]) for n, s in took.items() if s > 3 * self._usual[n] + 3}
        assert not late, "seconds now, and usually"


def waits(person: Person, plan: Message) -> bool:
    """Whether nobody has decided on it yet, as far as its message says."""
    shown = next(m for m in person.messages() if m["ts"] == plan["ts"])
    return "Nothing has changed yet" in words(shown)


def begun(stage: Edge, part: Needed) -> tuple[Message, str]:
    """An action that runs, in need of that part, and how its end reads."""
    ana = stage.person("ana")
    verb = "rotate" if part == "azure" else "restart"
    for left in reversed(range(6)):
        try:
            plan = ana.plans(f"{verb} {WEST}", 20)
            break
        except AssertionError:
            # Just after a trouble people are told to try again: so they do.
            if not left:
                raise
    ana.clicks(plan, "Confirm")
    until(lambda: not waits(ana, plan), "its beginning", 60)
    return plan, DONE[verb]


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("part", NEEDED)
def test_what_does_not_need_the_faulty_part_goes_on_and_all_ends_right(
    stage: Edge, part: Needed, trouble: Trouble
) -> None:
    proxy, ana = stage.proxies[part], stage.person("ana")
    speeds = Speeds(stage, part)

    # Idle.
    with proxy.having(trouble):
        speeds.hold()
        speeds.hold()

    # Planning: what is asked for as it begins is answered, with a plan or with what is wrong.
    until(lambda: stage.answers("readyz"), "the bot to be ready again", 90)
    before = len(ana.messages())
    assert ana.types("deploy edge-2 --to west/dev --tag 2.11.1 --replicas 1")["ok"]
    with proxy.having(trouble):
        speeds.hold()
        time.sleep(3)
    until(lambda: len(ana.messages()) > before, "an answer", 120)

    # Running.
    until(lambda: stage.answers("readyz"), "the bot to be ready again", 90)
    plan, done = begun(stage, part)
    with proxy.having(trouble):
        speeds.hold()
        time.sleep(3)
    ana.sees_at(plan, done, 150)

    # Stopping.
    plan, done = begun(stage, part)
    with proxy.having(trouble):
        speeds.hold()
        assert stage.stop_bot() <= STOP_SECONDS + 1
    stage.start_bot()
    ana.sees_at(plan, done, 150)
