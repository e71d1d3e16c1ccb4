import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from deploy.breaker import Breaker
from deploy.errors import Refused, Unavailable
from deploy.flight import MOST, Crowded, Flight, Flights
from deploy.kube.api_errors import error_from
from tests.support.waiting import until


class Service:
    """Takes as long as it is told, and answers or not."""

    def __init__(self) -> None:
        self.now = 0.0
        self.takes = 15.0
        self.answers = False
        self.asked = 0
        self.breaker = Breaker(clock=lambda: self.now)

    def ask(self, *, patient: bool = False) -> str:
        return self.breaker.call(self._answer, patient=patient)

    def _answer(self) -> str:
        self.asked += 1
        self.now += self.takes
        if not self.answers:
            raise Unavailable("It does not answer: it takes too long.")
        return "here"


def silent() -> Service:
    service = Service()
    for _ in range(2):
        with pytest.raises(Unavailable):
            service.ask()
    return service


def test_what_twice_did_not_answer_is_not_waited_for_and_says_when_it_is_asked_again() -> None:
    service = silent()
    before = service.now
    with pytest.raises(Unavailable) as refused:
        service.ask()
    assert (service.now, service.asked) == (before, 2)
    assert str(refused.value) == (
        "It does not answer: it takes too long. The bot retries it in 10 s; try again after that."
    )
    assert refused.value.untouched


def test_after_a_while_one_finds_out_and_nobody_waits_with_them() -> None:
    service = silent()
    service.now += 10
    service.takes, others = 5.0, list[str]()

    def answer() -> str:
        with pytest.raises(Unavailable):
            service.breaker.call(lambda: others.append("asked"))
        return service._answer()

    with pytest.raises(Unavailable):
        service.breaker.call(answer)
    assert (service.asked, others) == (3, [])


def test_an_answer_to_anybody_ends_it_for_everybody() -> None:
    service = silent()
    service.answers, service.takes = True, 0.1
    assert service.breaker.silent
    assert service.ask(patient=True) == "here"
    assert not service.breaker.silent
    assert service.ask() == "here"


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (
            500,
            'Internal error occurred: failed calling webhook "policy.example": failed to call '
            'webhook: Post "https://policy.example:443": context deadline exceeded',
        ),
        (410, "too old resource version: 5 (9)"),
    ],
)
def test_a_webhook_that_is_away_and_a_list_that_is_too_old_are_no_silence_of_the_cluster(
    status: int, message: str
) -> None:
    service = Service()
    body = json.dumps({"kind": "Status", "message": message}).encode()

    def fail() -> str:
        service.now += 10
        raise error_from("west", status, body, what="Deployment “edge-1”", namespace="team-a")

    for _ in range(3):
        with pytest.raises(Unavailable):
            service.breaker.call(fail)
    assert not service.breaker.silent


def test_a_refusal_is_an_answer() -> None:
    service = silent()

    def refuse() -> str:
        raise Refused("Not you.")

    with pytest.raises(Refused):
        service.breaker.call(refuse, patient=True)
    assert not service.breaker.silent


def test_what_fails_at_once_may_be_asked_again_at_once() -> None:
    service = Service()
    service.takes = 0.01
    for _ in range(5):
        with pytest.raises(Unavailable):
            service.ask()
    assert service.asked == 5


def test_a_run_asks_what_people_do_not_wait_for() -> None:
    service = silent()
    with pytest.raises(Unavailable):
        service.ask(patient=True)
    assert service.asked == 3


def test_work_that_hangs_is_done_once_for_all_who_wait_and_each_waits_no_longer_than_it_wants() -> (
    None
):
    go, begun = threading.Event(), list[int]()

    def hang() -> str:
        begun.append(1)
        go.wait(120)
        return "signed in"

    flight = Flight(hang, "hanging")
    with ThreadPoolExecutor(4) as pool:
        for late in [pool.submit(flight.wait, 0.05) for _ in range(8)]:
            assert isinstance(late.exception(), TimeoutError)
        until(lambda: begun == [1], "its beginning, once")
        waiting = [pool.submit(flight.wait, 30) for _ in range(4)]
        until(lambda: all(each.running() for each in waiting), "those who wait")
        go.set()
        assert {each.result() for each in waiting} == {"signed in"}
    before = len(begun)
    assert flight.wait(30) == "signed in"
    assert len(begun) == before + 1, "what has ended is begun anew"


def test_work_that_hangs_for_long_is_begun_anew_but_not_without_end() -> None:
    go, begun = threading.Event(), list[int]()

    def hang() -> str:
        begun.append(1)
        go.wait(120)
        return f"try {len(begun)}"

    flight = Flight(hang, "hanging", given_up=0.01)
    for _ in range(2 * MOST):
        with pytest.raises(TimeoutError):
            flight.wait(0.05)
    until(lambda: len(begun) == MOST, "the last try")
    with pytest.raises(TimeoutError):
        flight.wait(0.05)
    assert len(begun) == MOST
    go.set()
    # Who comes only once the last one has ended begins another.
    assert flight.wait(30) in {f"try {MOST}", f"try {MOST + 1}"}


def test_what_the_work_raises_is_of_everybody_who_waits_and_the_next_try_is_a_new_one() -> None:
    tries = list[int]()

    def fail() -> str:
        tries.append(1)
        raise Unavailable("Not now.")

    flight = Flight(fail, "failing")
    for count in (1, 2):
        with pytest.raises(Unavailable, match="Not now"):
            flight.wait(30)
        assert len(tries) == count


def test_of_work_on_many_things_only_so_much_is_under_way_and_on_each_once() -> None:
    go, begun = threading.Event(), list[str]()

    def hang(key: str) -> str:
        begun.append(key)
        go.wait(120)
        return f"{key}!"

    flights = Flights(hang, "hanging", most=2)
    for key in ("a", "b", "a"):
        with pytest.raises(TimeoutError):
            flights.wait(key, 0.05)
    with pytest.raises(Crowded):
        flights.wait("c", 30)
    until(lambda: len(begun) == 2, "both")
    assert sorted(begun) == ["a", "b"]
    go.set()
    assert [flights.wait(key, 30) for key in ("a", "b")] == ["a!", "b!"]
    assert "c" not in begun

    def there() -> str:
        try:
            return flights.wait("c", 30)
        except Crowded:
            return ""

    assert until(there, "a place") == "c!"
