"""Whatever one thing the bot needs does, the rest goes on, it can be stopped, and all ends right."""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from deploy.actions.action import State
from tests.support.demo import Message, Person, button, is_answer, words
from tests.support.edge import NEEDED, Edge, Needed, edge
from tests.support.troubled_proxy import TROUBLES, Trouble
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(1500)

STOP_SECONDS = 25.0
WEST, EAST, NEW = "edge-1", "store-7", "edge-2"
"""A gateway on the cluster behind the proxy, one on the other, and one that is nowhere yet."""
TITLE = {"restart": f"Restart {WEST}", "rotate": f"Rotate the token of {WEST}"}
DONE = {"restart": "pods ready after", "rotate": "run with the new token after"}
AT_WORK = "Planning `"
"""What whoever asked sees after two seconds without a plan."""
OPEN = "Nothing has changed yet"
NO_REDIS = "Redis cannot be used now"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Edge]:
    with edge(tmp_path) as made:
        ana = made.person("ana")
        plans = [
            ana.plans(f"deploy {name} --to {place}/dev --tag 2.11.1 --replicas 1", 120)
            for name, place in ((WEST, "west"), (EAST, "east"))
        ]
        for plan in plans:
            ana.clicks(plan, "Confirm")
        for plan in plans:
            ana.sees_at(plan, "1 of 1 pods ready after", 150)
        yield made
        print(*made.lines[-100:], sep="")


def shown(person: Person, before: set[str], about: str = "") -> list[str]:
    """What has been said since `before`, but that somebody is at it: to this person alone, or with
    `about` in it."""
    new = [m for m in person.messages() if m["ts"] not in before]
    about_it = (m for m in new if m.get("is_ephemeral") or about in words(m))
    return [words(m) for m in about_it if is_answer(m)]


def seen_by(person: Person) -> set[str]:
    """The messages that there are."""
    return {message["ts"] for message in person.messages()}


def answered(person: Person, text: str, pattern: str, seconds: float = 120) -> float:
    """How long it is until what somebody types is answered so."""
    before = seen_by(person)
    began = time.monotonic()
    assert person.types(text)["ok"]
    until(
        lambda: any(re.search(pattern, each) for each in shown(person, before)),
        f"an answer to {text!r} like {pattern!r}",
        seconds,
    )
    return time.monotonic() - began


def timed(thing: Callable[[], bool]) -> Callable[[], float]:
    """How long a thing takes that must be so."""

    def took() -> float:
        began = time.monotonic()
        assert thing()
        return time.monotonic() - began

    return took


def spared(stage: Edge, part: Needed) -> Mapping[str, Callable[[], float]]:
    """What needs nothing of that part, and says how long it took."""
    ivy = stage.person("ivy", "gateway-alerts")
    always = {
        "livez": timed(lambda: stage.answers("livez")),
        "Event Grid": timed(stage.hears_azure),
    }
    if part == "slack":
        return always
    acked = {"an ack that is the answer": lambda: answered(ivy, "status --help", "/gateway status")}
    if part == "redis":
        return {**always, **acked}
    return {
        **always,
        **acked,
        "status": lambda: answered(ivy, f"status {EAST}", EAST),
        "a plan": lambda: answered(ivy, f"scale {EAST} --replicas 2", OPEN),
    }


class Speeds:
    """How long things usually take, before anything went wrong."""

    def __init__(self, stage: Edge, part: Needed) -> None:
        self._things = spared(stage, part)
        self._usual = {name: max(thing() for _ in range(2)) for name, thing in self._things.items()}

    def hold(self) -> None:
        """Each thing still takes about as long."""
        late = {name: self._late(name) for name in self._things}
        assert not any(late.values()), f"seconds now, {late}, and usually, {self._usual}"

    def _late(self, name: str) -> list[float]:
        """How long it took each time, where it never took about as long as usual: a machine that is
        busy makes it late once, what waits for the part makes it late each time."""
        took: list[float] = []
        for _ in range(3):
            took.append(self._things[name]())
            if took[-1] <= 3 * self._usual[name] + 3:
                return []
        return took


def suffers(stage: Edge, part: Needed, trouble: Trouble) -> None:
    """What needs that part ends where somebody sees it, within what Slack waits for."""
    ivy = stage.person("ivy", "gateway-alerts")
    if part == "redis":
        # Slack has its ack, which says what is wrong where nothing else can.
        answered(ivy, f"status {EAST}", f"{NO_REDIS}|{EAST}")
    elif part == "slack" and trouble == "slow":
        until(lambda: ivy.types("status --help")["ok"], "an ack", 120)
    elif part == "slack":
        # Deliveries take the same way, so whoever types sees Slack's own error.
        assert not ivy.types("status --help")["ok"]


def with_patience(person: Person, text: str, title: str) -> Message:
    """The plan of what somebody asks for. Just after a trouble people are told to try again: so
    they do, and what they asked before may still come."""
    before = seen_by(person)

    def plan() -> Message | None:
        new = [m for m in person.messages() if m["ts"] not in before]
        return next((m for m in new if title in words(m) and OPEN in words(m)), None)

    for left in reversed(range(6)):
        person.types(text)
        try:
            return until(plan, f"a plan for {text!r}", 20)
        except AssertionError:
            if not left:
                raise
    raise AssertionError(text)


def plans(stage: Edge, part: Needed, trouble: Trouble, meanwhile: Callable[[], None]) -> set[str]:
    """The trouble begins while a plan is being made, which waits for Azure or its cluster. The
    messages that there were before."""
    ana = stage.person("ana")
    with_patience(ana, f"scale {WEST} --replicas 2", f"Scale {WEST}")
    held = stage.proxies["azure" if part == "azure" else "west"]
    with held.having("hanging"):
        before = seen_by(ana)
        assert ana.types(f"deploy {NEW} --to west/dev --tag 2.11.1 --replicas 1")["ok"]
        ana.sees(AT_WORK)
        assert not shown(ana, before, NEW)
        if stage.proxies[part] is held:
            held.becomes(trouble)
            meanwhile()
        else:
            with stage.proxies[part].having(trouble):
                held.becomes(None)
                meanwhile()
    return before


class Run:
    """An action that runs, in need of that part."""

    def __init__(self, stage: Edge, part: Needed) -> None:
        self._stage, self._ana = stage, stage.person("ana")
        self._verb = "restart" if part == "west" else "rotate"
        for _ in range(5):
            self._plan = with_patience(self._ana, f"{self._verb} {WEST}", TITLE[self._verb])
            self._id = json.loads(str(button(self._plan, "Confirm")["value"]))["id"]
            self._ana.clicks(self._plan, "Confirm")
            until(lambda: self._state not in (State.PENDING, State.APPROVED), "its beginning", 120)
            if self._state is State.RUNNING:
                return
        raise AssertionError("each run ended before the trouble began")

    @property
    def _state(self) -> State:
        """By Redis itself, past the proxy."""
        found = self._stage.store.get(self._id)
        assert found is not None
        return found.state

    def ends(self) -> float:
        """After how many seconds it has succeeded, whether that can be shown or not; by Redis' time."""
        until(lambda: self._state is State.SUCCEEDED, "its end", 240)
        at = {event.name: event.at for event in self._stage.store.events(self._id)}
        return at[State.SUCCEEDED] - at[State.RUNNING]

    def is_shown_done(self) -> None:
        """Its message ends so."""
        self._ana.sees_at(self._plan, DONE[self._verb], 240)


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("part", NEEDED)
def test_what_does_not_need_the_faulty_part_goes_on_and_all_ends_right(
    stage: Edge, part: Needed, trouble: Trouble
) -> None:
    proxy, ana = stage.proxies[part], stage.person("ana")
    speeds = Speeds(stage, part)
    usual = Run(stage, part).ends()

    def meanwhile() -> None:
        speeds.hold()
        suffers(stage, part, trouble)
        speeds.hold()

    def is_ready_again() -> None:
        until(lambda: stage.is_well, "the bot to be ready again", 180)

    # Idle.
    with proxy.having(trouble):
        meanwhile()
    is_ready_again()

    # Planning: it ends in a plan, or in what is wrong.
    before = plans(stage, part, trouble, meanwhile)
    until(lambda: shown(ana, before, NEW), "an answer", 180)
    is_ready_again()

    # Running.
    run = Run(stage, part)
    with proxy.having(trouble):
        meanwhile()
        if part == "slack":
            assert run.ends() <= 3 * usual + 3, "it waits for Slack"
    run.is_shown_done()
    is_ready_again()

    # Stopping.
    run = Run(stage, part)
    with proxy.having(trouble):
        meanwhile()
        assert stage.stop_bot() <= STOP_SECONDS + 1
    stage.start_bot()
    run.is_shown_done()
