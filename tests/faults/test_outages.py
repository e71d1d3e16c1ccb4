"""Each service away, hanging, slow or refusing, as the bot starts, idles and runs an action: it lives, says
what is wrong since when, in words and in metrics, and the alert for it fires.

One bot walks through the three moments. Alerts are evaluated by the very file of rules over scrapes of
that bot, as Prometheus does it: the expression has to give something at every scrape for as long as
`for` says. The bot asks its services every second in place of ten, and a second of scrapes stands for a
minute of Prometheus' clock; a scrape without the trouble in between starts the alert over.
"""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from bot.service_probes import Outcome
from deploy.actions.action import EDGES, State
from deploy.actions.connection import connect
from deploy.waits import Service
from tests.support.alerting import Alerting, rules_of
from tests.support.demo import button
from tests.support.edge import NEEDED, REDIS_USER, Edge, Needed, edge
from tests.support.exposition import Exposition
from tests.support.processes import ROOT
from tests.support.troubled_proxy import TROUBLES, Trouble
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(1500)

RULES = rules_of(ROOT / "docs" / "monitoring" / "alerts.yaml")
PACE = 60.0
DELAYS: Mapping[Needed, float] = {"redis": 0.4, "slack": 2.2, "azure": 2.2, "west": 2.2}
"""Longer than what counts as slow, and short enough to connect and sign in: that has 3 s."""
SERVICES: Mapping[Needed, Service] = {
    "redis": Service("redis"),
    "slack": Service("slack"),
    "azure": Service("azure", "contoso"),
    "west": Service("cluster", "west"),
}
FIELDS: Mapping[Needed, str] = {
    "redis": "redis",
    "slack": "slack api",
    "azure": "azure contoso",
    "west": "cluster west",
}
OUTCOMES: Mapping[Trouble, Outcome] = {
    "down": Outcome.UNAVAILABLE,
    "hanging": Outcome.HANGING,
    "slow": Outcome.SLOW,
    "refusing": Outcome.REFUSING,
}
ALERTS: Mapping[Trouble, str] = {
    "down": "GatewayBotServiceDown",
    "hanging": "GatewayBotServiceDown",
    "slow": "GatewayBotServiceSlow",
    "refusing": "GatewayBotServiceRefuses",
}
REFUSALS: Mapping[Needed, tuple[str, str, str]] = {
    "slack": ("slack", "api_error", "invalid_auth"),
    "azure": ("azure", "arm_status", "403"),
    "west": ("cluster west", "api_error", "401"),
}
"""The switch of the sandbox by which a service refuses."""
ASKED = "deploy edge-1 --to west/dev --tag 2.11.1 --replicas 1"
"""An action that needs all four: Azure for a token, Slack for its message."""


class Health:
    """What the health port of a stage's bot says, while the bot lives."""

    def __init__(self, stage: Edge) -> None:
        self._at = stage.health

    def answer(self, path: str) -> requests.Response:
        return requests.get(f"{self._at}/{path}", timeout=30)

    def detail(self) -> dict[str, Any]:
        """Of readiness, whether it is ready or not."""
        assert self.answer("livez").status_code == 200
        return dict(self.answer("readyz").json())

    def metrics(self) -> Exposition:
        return Exposition.parse(self.answer("metrics").text)

    def is_up(self) -> bool:
        """Whether the port is served."""
        try:
            return self.answer("livez").ok
        except requests.ConnectionError:
            return False

    def is_well(self) -> bool:
        """Whether nothing is wrong with any service, and the bot is ready for Slack."""
        ready, detail = self.answer("readyz"), self.detail()
        fields = ("slack", *FIELDS.values(), "cluster east", "settings")
        return ready.status_code == 200 and all(detail[field] == "ok" for field in fields)


@contextmanager
def having(stage: Edge, part: Needed, trouble: Trouble) -> Iterator[None]:
    """The service has that trouble while the block runs."""
    if trouble != "refusing":
        with stage.proxies[part].having(trouble):
            yield
    elif part == "redis":
        client = connect(stage.redis.url)
        client.execute_command("ACL", "SETUSER", REDIS_USER, "-@all")
        yield
        client.execute_command("ACL", "SETUSER", REDIS_USER, "+@all")
    else:
        where, switch, value = REFUSALS[part]
        stage.fault(where, switch, value)
        yield
        stage.fault(where, switch, "none")


def is_said(health: Health, part: Needed, trouble: Trouble) -> None:
    """The bot lives, and detail, metrics and alerts name this service and its trouble, and no other
    service."""
    outcome, service = OUTCOMES[trouble], SERVICES[part]
    until(
        lambda: health.detail()[FIELDS[part]].startswith(f"{outcome} since 20"),
        f"{part} as {outcome} in the detail",
        120,
    )
    alerting, wanted = Alerting(RULES, pace=PACE), (ALERTS[trouble], (service.kind, service.name))
    read: list[Exposition] = []

    def firing() -> bool:
        read[:] = [health.metrics()]
        assert health.answer("livez").status_code == 200
        return wanted in alerting.scraped(read[0], time.monotonic())

    until(firing, f"the alert {wanted}", 120)
    up = trouble in ("slow", "refusing")
    told = [value(read[0], service, metric) for metric in ("up", "refused", "slow")]
    assert told == [up, trouble == "refusing", trouble == "slow"]
    assert value(read[0], service, "seconds") is not None
    until(lambda: others_answer(health.metrics(), part), "answers of the others", 120)


def value(seen: Exposition, service: Service, metric: str) -> float | None:
    """A metric of that service."""
    labels = {"service": service.kind, "name": service.name}
    return seen.value(f"gateway_bot_service_{metric}", **labels)


def others_answer(seen: Exposition, part: Needed) -> bool:
    """Whether nothing is said of the services that have no trouble."""
    others = [each for name, each in SERVICES.items() if name != part]
    return all((value(seen, o, "up"), value(seen, o, "refused")) == (1, 0) for o in others)


class Run:
    """An action that runs on the cluster `west`."""

    def __init__(self, stage: Edge) -> None:
        self._store, self._ana = stage.store, stage.person("ana")
        self._plan = self._ana.plans(ASKED, 120)
        self._id = json.loads(str(button(self._plan, "Confirm")["value"]))["id"]
        self._ana.clicks(self._plan, "Confirm")
        until(lambda: self._state not in (State.PENDING, State.APPROVED), "its beginning", 120)
        assert self._state is State.RUNNING

    @property
    def _state(self) -> State:
        """By Redis itself, past the proxy."""
        found = self._store.get(self._id)
        assert found is not None
        return found.state

    def ends(self) -> None:
        """It comes to an end, and its message is that of an end."""
        until(lambda: not EDGES[self._state], "its end", 240)
        self._ana.sees_at(
            self._plan, r"pods ready after|requires approval|[Ff]ailed|[Ss]topped|[Uu]nknown", 240
        )


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("part", NEEDED)
def test_an_outage_is_said_in_words_metrics_and_alerts_and_the_bot_lives(
    tmp_path: Path, part: Needed, trouble: Trouble
) -> None:
    with edge(
        tmp_path, delays=DELAYS, program="tests.support.asking_often", started=False
    ) as stage:
        health = Health(stage)
        # Start.
        with having(stage, part, trouble):
            stage.launch_bot()
            until(health.is_up, "the health port", 240)
            is_said(health, part, trouble)
        until(health.is_well, "a bot of which nothing is wrong", 180)
        # Idle.
        with having(stage, part, trouble):
            is_said(health, part, trouble)
            assert health.answer("readyz").status_code == 200
        until(health.is_well, "a bot of which nothing is wrong", 180)
        # Running.
        run = Run(stage)
        with having(stage, part, trouble):
            is_said(health, part, trouble)
            assert health.answer("readyz").status_code == 200
        until(health.is_well, "a bot of which nothing is wrong", 180)
        run.ends()
