"""What may be chosen is offered at once, whatever does not answer."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from deploy.errors import Unavailable
from handlers.slack.choices import Choice, Choices
from tests.support.waiting import until


class Cluster:
    """Tells its namespaces when `go` is set."""

    def __init__(self, *names: str) -> None:
        self.names = names
        self.go = threading.Event()
        self.go.set()
        self.asked = 0
        self.refuses = False

    def __call__(self) -> tuple[Choice, ...]:
        self.asked += 1
        self.go.wait(60)
        if self.refuses:
            raise Unavailable("Cluster “west” does not answer.")
        return tuple(Choice(name, name) for name in self.names)


class Bed:
    """Two clusters, and a clock that a test moves."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self.now = 0.0
        self.west, self.east = Cluster("west/dev", "west/prod"), Cluster("east/dev")
        sources = {"places": {"Cluster “west”": self.west, "Cluster “east”": self.east}}
        self.choices = Choices(sources, pool, seconds=30, first=0.2, clock=lambda: self.now)

    def offers(self, typed: str = "") -> list[str]:
        return [option["value"] for option in self.choices.find("places", typed)]


@pytest.fixture
def bed() -> Iterator[Bed]:
    with ThreadPoolExecutor(2) as pool:
        made = Bed(pool)
        yield made
        made.west.go.set()


def test_options_hold_every_word_that_is_typed(bed: Bed) -> None:
    every = ["west/dev", "west/prod", "east/dev"]
    until(lambda: bed.offers() == every, "all of them")
    assert bed.offers("DEV we") == ["west/dev"]


def test_a_cluster_that_does_not_answer_leaves_the_places_of_the_others(bed: Bed) -> None:
    bed.west.go.clear()
    until(lambda: bed.offers() == ["east/dev"], "the other one's")
    bed.now += 10
    assert bed.offers() == ["east/dev"]
    assert bed.west.asked == 1, "it is asked by one at a time"
    bed.west.go.set()
    until(lambda: len(bed.offers()) == 3, "all of them")


def test_what_is_old_is_offered_while_it_is_asked_again(bed: Bed) -> None:
    until(lambda: len(bed.offers()) == 3, "all of them")
    bed.west.go.clear()
    bed.west.names = ("west/new",)
    bed.now += 31
    assert bed.offers("west") == ["west/dev", "west/prod"]
    bed.west.go.set()
    until(lambda: bed.offers("west") == ["west/new"], "the new ones")


def test_a_source_that_failed_is_asked_again_and_nobody_waits_for_it(bed: Bed) -> None:
    bed.west.refuses = True
    until(lambda: bed.offers() == ["east/dev"], "the other one's")
    bed.west.refuses = False
    until(lambda: len(bed.offers()) == 3, "all of them")


def test_a_form_says_what_failed_and_what_has_not_answered_yet(bed: Bed) -> None:
    bed.west.go.clear()
    until(lambda: bed.offers() == ["east/dev"], "the other one's")
    (late,) = bed.choices.warm(seconds=0.2).values()
    assert "Cluster “west” has not answered yet" in str(late)
    bed.west.refuses = True
    bed.west.go.set()
    until(lambda: "does not answer" in str(bed.choices.warm()), "what it said")
    bed.west.refuses = False
    until(lambda: bed.choices.warm() == {}, "a form without warnings")
