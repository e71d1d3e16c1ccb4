"""Whatever a dependency does, the bot lives, and what it says of itself names that dependency."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import yaml

from tests.support.edge import Edge, Needed, edge
from tests.support.exposition import Exposition
from tests.support.processes import ROOT
from tests.support.troubled_proxy import Trouble
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(1500)

MONITORING = ROOT / "docs" / "monitoring"
RULES = {
    rule["alert"]: rule["expr"]
    for group in yaml.safe_load((MONITORING / "alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
}
QUIET_AT_FIRST = {name for name in RULES if name != "GatewayBotTokenNotRotated"}
"""The sandbox has a gateway whose token expires soon."""
ALERT = {
    "redis": "GatewayBotRedisNotWritable",
    "slack": "GatewayBotSlackUnreachable",
    "west": "GatewayBotClusterUnreachable",
}
DETAIL = {"redis": "redis", "slack": "slack", "west": "cluster west"}


class Measured:
    """The health port of the stage's bot."""

    def __init__(self, stage: Edge) -> None:
        self.at = stage.health

    def get(self, path: str, **options: Any) -> requests.Response:
        return requests.get(f"{self.at}/{path}", timeout=30, **options)

    def ready(self) -> dict[str, Any]:
        answer = self.get("readyz")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def metrics(self) -> Exposition:
        answer = self.get("metrics")
        assert answer.status_code == 200, answer.text
        return Exposition.parse(answer.text)

    def fires(self, alert: str) -> bool:
        return self.metrics().fires(RULES[alert])


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    with edge(tmp_path_factory.mktemp("measured")) as made:
        yield made
        print(*made.lines[-100:], sep="")


@pytest.fixture
def measured(stage: Edge) -> Measured:
    found = Measured(stage)
    until(lambda: well(found), "a bot of which nothing is wrong", 240)
    return found


def well(measured: Measured) -> bool:
    """Whether it says that nothing is wrong, in its detail and by the alerts."""
    ready, metrics = measured.ready(), measured.metrics()
    fine = all(ready[name] == "ok" for name in (*DETAIL.values(), "cluster east", "settings"))
    return fine and not any(metrics.fires(RULES[name]) for name in QUIET_AT_FIRST)


def test_every_metric_of_the_rules_and_of_the_dashboard_is_there(measured: Measured) -> None:
    panels = json.loads((MONITORING / "dashboard.json").read_text())["panels"]
    expressions = [t["expr"] for panel in panels for t in panel.get("targets", ())]
    named = {
        name
        for text in (*RULES.values(), *expressions)
        for name in re.findall(r"\b(?:gateway_bot|process)_[a-z_]+", text)
    }
    assert len(named) > 30
    metrics = measured.metrics()
    assert {name for name in named if not metrics.knows(name)} == set()


def test_what_people_do_is_counted_by_verb_and_nobody_is_named(
    stage: Edge, measured: Measured
) -> None:
    ana = stage.person("ana")
    assert ana.types("help")["ok"]
    assert ana.types("xoxb-surely-no-verb")["ok"]

    def counted() -> bool:
        metrics = measured.metrics()
        verbs = [
            metrics.value("gateway_bot_payload_seconds_count", verb=v) for v in ("help", "other")
        ]
        return all(verbs) and bool(metrics.value("gateway_bot_ack_seconds_count"))

    until(counted, "both commands in the metrics")
    text = measured.get("metrics").text
    for secret in ("xoxb", "ana", "surely"):
        assert not re.search(rf'"[^"]*{secret}[^"]*"', text)
    metrics = measured.metrics()
    assert metrics.value("gateway_bot_call_seconds_count", service="redis")
    assert metrics.value("gateway_bot_call_seconds_count", service="cluster", name="west")
    assert metrics.value("gateway_bot_replicas") == 1
    assert metrics.value("gateway_bot_slack_connections") == 2


def test_probes_answer_head_and_ignore_a_query(measured: Measured) -> None:
    for path in ("livez", "readyz", "healthz", "metrics"):
        assert requests.head(f"{measured.at}/{path}", timeout=30).status_code == 200
        assert measured.get(f"{path}?verbose=1").status_code == 200
    assert measured.get("healthz").json() == measured.get("livez").json()


@pytest.mark.parametrize("trouble", ["down", "hanging"])
@pytest.mark.parametrize("part", ["redis", "slack", "west"])
def test_one_outage_takes_no_bot_away_and_its_alert_fires(
    stage: Edge, measured: Measured, part: Needed, trouble: Trouble
) -> None:
    with stage.proxies[part].having(trouble):
        until(lambda: measured.ready()[DETAIL[part]] != "ok", f"{part} in the detail", 180)
        until(lambda: measured.fires(ALERT[part]), "the alert", 180)
        assert measured.get("livez").status_code == 200
        others = set(ALERT) - {part}
        assert not any(measured.fires(ALERT[other]) for other in others)
        if part == "redis":
            # What waits in Redis is not known then, and not said to be nothing.
            until(
                lambda: measured.fires("GatewayBotBacklogUnread"), "the end of what was known", 120
            )
            assert measured.metrics().value("gateway_bot_inbox_entries") is None
