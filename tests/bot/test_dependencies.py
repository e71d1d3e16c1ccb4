"""What readiness says of the bot's dependencies is what is so now, whatever hangs."""

import threading
from types import SimpleNamespace
from typing import Any

from bot.dependencies import Answers, Dependencies, Shared
from deploy.actions.replicas import Agreement
from deploy.deadline import Deadline
from deploy.errors import Unavailable
from deploy.health.standing import Standing
from tests.support.waiting import until


def detail(*, shared: Any = None, west: Standing | None = None) -> dict[str, str]:
    """Of a bot of which that is so, and else nothing is wrong."""
    shared = shared or SimpleNamespace(trouble="", agreement=None)
    caches: Any = {"west": SimpleNamespace(standing=west or Standing(1.0, ""))}
    return Dependencies(shared, Answers(), caches).detail()


def test_a_cluster_whose_namespaces_are_all_watched_is_well() -> None:
    assert detail()["cluster west"] == "ok"


def test_a_namespace_that_is_not_read_is_named_with_the_reason() -> None:
    unread = (("closed", "it may not be read"), ("later", "it has not answered yet"))
    assert detail(west=Standing(1.0, "", unread))["cluster west"] == (
        "namespace closed (1 more): it may not be read"
    )
    assert detail(west=Standing(1.0, "it is away", unread))["cluster west"] == "it is away"


class Hanging:
    """A Redis that answers the first report, and refuses the second once it is let go."""

    def __init__(self) -> None:
        self.asked = 0
        self.second, self.third = threading.Event(), threading.Event()

    def report(self) -> Agreement:
        self.asked += 1
        if self.asked == 2:
            self.second.wait(60)
            raise Unavailable("Redis refuses writes.")
        if self.asked == 3:
            self.third.wait(60)
        return Agreement(1, 1)

    def leave(self) -> None:
        """As Replicas."""


def test_a_report_that_hangs_counts_as_no_write_and_one_that_ends_as_what_it_was() -> None:
    replicas, now = Hanging(), [0.0]
    found: Any = replicas
    shared = Shared(found, period=0.01, clock=lambda: now[0])
    assert not shared.writable
    shared.turn()
    assert shared.writable
    shared.start()
    until(lambda: replicas.asked == 2, "the second report")
    now[0] = 4.0
    assert shared.writable, "it may only be slow"
    now[0] = 9.0
    assert not shared.writable
    assert detail(shared=shared)["redis"] == "Redis has not answered for 9 s."
    replicas.second.set()
    until(lambda: shared.trouble == "Redis refuses writes.", "the refusal")
    replicas.third.set()
    until(lambda: shared.writable, "the next write")
    shared.stop(Deadline.after(5))
