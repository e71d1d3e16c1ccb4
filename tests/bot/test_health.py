"""The health port: who asks it learns what is wrong, and nobody can use it up."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
import requests

from bot.health import HealthServer
from bot.parts import Parts
from deploy.deadline import Deadline
from tests.bot.test_parts import Fake
from tests.support.waiting import until


@pytest.fixture
def parts() -> dict[str, Fake]:
    return {"slack": Fake(), "runner": Fake()}


@pytest.fixture
def url(parts: dict[str, Fake]) -> Iterator[str]:
    listed = Parts(parts)
    listed.start()
    ready = {"slack": False}
    server = HealthServer(
        "127.0.0.1", 0, {"/livez": listed.live, "/readyz": lambda: {**listed.live(), **ready}}
    )
    server.start()
    yield f"http://127.0.0.1:{server.port}"
    server.stop(Deadline.after(30))
    assert not server.live


def test_livez_names_the_part_that_is_dead(url: str, parts: dict[str, Fake]) -> None:
    assert requests.get(f"{url}/livez", timeout=30).status_code == 200
    parts["runner"].live = False
    sick = requests.get(f"{url}/livez", timeout=30)
    assert sick.status_code == 503
    assert sick.json() == {"slack": True, "runner": False}


def test_a_bot_that_slack_cannot_reach_is_alive_and_not_ready(url: str) -> None:
    assert requests.get(f"{url}/livez", timeout=30).status_code == 200
    away = requests.get(f"{url}/readyz", timeout=30)
    assert away.status_code == 503
    assert away.json() == {"slack": False, "runner": True}


def test_the_health_port_answers_nothing_else(url: str) -> None:
    assert requests.get(f"{url}/secrets", timeout=30).status_code == 404


def test_head_is_answered_as_get_without_a_body_and_a_query_changes_nothing(url: str) -> None:
    for method in ("GET", "HEAD"):
        answer = requests.request(method, f"{url}/livez?verbose=1", timeout=30)
        assert answer.status_code == 200
    assert answer.content == b""


def test_scrapes_that_hang_keep_no_probe_from_its_answer(parts: dict[str, Fake]) -> None:
    held, begun = threading.Event(), threading.Semaphore(0)

    def scraped() -> tuple[str, bytes]:
        begun.release()
        held.wait(60)
        return "text/plain", b"metric 1"

    server = HealthServer("127.0.0.1", 0, {"/livez": lambda: {"runner": True}}, metrics=scraped)
    server.start()
    url = f"http://127.0.0.1:{server.port}"
    with ThreadPoolExecutor(2) as scrapers:
        asked = [scrapers.submit(requests.get, f"{url}/metrics", timeout=60) for _ in range(2)]
        for _ in asked:
            assert begun.acquire(timeout=60)
        assert requests.get(f"{url}/livez", timeout=30).status_code == 200
        assert requests.get(f"{url}/metrics", timeout=30).status_code == 503
        held.set()
        assert [each.result().content for each in asked] == [b"metric 1"] * 2
    server.stop(Deadline.after(30))


def test_only_get_is_answered(url: str) -> None:
    assert requests.post(f"{url}/livez", timeout=30).status_code == 405
    assert requests.get(f"{url}/livez", data=b"x", timeout=30).status_code == 413


def test_connections_that_send_nothing_keep_nobody_from_asking(url: str) -> None:
    at = ("127.0.0.1", int(url.rpartition(":")[2]))
    before = threading.active_count()
    with ExitStack() as silent:
        held = [silent.enter_context(socket.create_connection(at, timeout=60)) for _ in range(200)]
        assert requests.get(f"{url}/livez", timeout=30).status_code == 200
        # Those that were over the bound are closed; none has a thread.
        until(lambda: not held[0].recv(1), "the end of the first")
        assert threading.active_count() <= before + 4


def test_a_probe_that_keeps_its_connection_does_not_hold_up_the_end() -> None:
    server = HealthServer("127.0.0.1", 0, {"/livez": lambda: {"stopping": True}})
    server.start()
    with requests.Session() as probe:
        assert probe.get(f"http://127.0.0.1:{server.port}/livez", timeout=30).ok
        server.stop(Deadline.after(30))
        assert not server.live
