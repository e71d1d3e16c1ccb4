from collections.abc import Iterator

import pytest
import requests

from bot.health import HealthServer
from bot.parts import Parts
from deploy.deadline import Deadline
from tests.bot.test_parts import Fake


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
    server.stop(Deadline.after(5))
    assert not server.live


def test_livez_names_the_part_that_is_dead(url: str, parts: dict[str, Fake]) -> None:
    assert requests.get(f"{url}/livez", timeout=5).status_code == 200
    parts["runner"].live = False
    sick = requests.get(f"{url}/livez", timeout=5)
    assert sick.status_code == 503
    assert sick.json() == {"slack": True, "runner": False}


def test_a_bot_that_slack_cannot_reach_is_alive_and_not_ready(url: str) -> None:
    assert requests.get(f"{url}/livez", timeout=5).status_code == 200
    away = requests.get(f"{url}/readyz", timeout=5)
    assert away.status_code == 503
    assert away.json() == {"slack": False, "runner": True}


def test_the_health_port_answers_nothing_else(url: str) -> None:
    assert requests.get(f"{url}/secrets", timeout=5).status_code == 404
