"""Each alert fires by what it is named for, and none while nothing is wrong."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from bot.dispatch import Connections
from bot.metrics.gateways import Counted
from bot.metrics.gauges import Gauges
from bot.service_probes import Condition, Outcome
from deploy.actions.backlog import Backlog, Queue
from deploy.actions.replicas import Agreement
from deploy.health.standing import Standing
from deploy.waits import Service
from handlers.lanes import Lane
from tests.support.alerting import Alerting, Rule
from tests.support.exposition import Exposition
from tests.support.processes import ROOT

NOW = 1_000_000.0
NOTHING = Queue(0, 0.0)
IDLE = Backlog(NOTHING, NOTHING, NOTHING, NOTHING)
STANDS = Connections(2, 2, of_bots=4, at_slack=4, lost=0)
RULES = {
    rule["alert"]: rule["expr"]
    for group in yaml.safe_load((ROOT / "docs/monitoring/alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
}
SLACK = Service("slack")
WELL = Condition(Outcome.OK, NOW - 60, "", 0.1)
FIRES: dict[str, dict[str, Any]] = {
    "GatewayBotDown": {"ready": False},
    "GatewayBotPartDead": {"parts": {"runner": False, "intake": True}},
    "GatewayBotRedisNotWritable": {"redis_writable": False},
    "GatewayBotServiceDown": {"services": {SLACK: replace(WELL, outcome=Outcome.HANGING)}},
    "GatewayBotServiceRefuses": {"services": {SLACK: replace(WELL, outcome=Outcome.REFUSING)}},
    "GatewayBotServiceSlow": {"services": {SLACK: replace(WELL, outcome=Outcome.SLOW)}},
    "GatewayBotBacklogUnread": {"waits": None},
    "GatewayBotSlackUnreachable": {"slack_connected": False},
    "GatewayBotGhostConnections": {"connections": replace(STANDS, at_slack=5, lost=1)},
    "GatewayBotClusterUnreachable": {"clusters": {"west": Standing(NOW, "it does not answer")}},
    "GatewayBotNamespacesUnread": {
        "clusters": {"west": Standing(NOW - 5, "", (("prod", "it may not be read"),))}
    },
    "GatewayBotClusterWatchSilent": {"clusters": {"west": Standing(NOW - 200, "")}},
    "GatewayBotMessageUndelivered": {"waits": replace(IDLE, messages=Queue(1, 121.0))},
    "GatewayBotApprovedNotBegun": {"waits": replace(IDLE, approved=Queue(1, 301.0))},
    "GatewayBotInboxEntryOld": {"waits": replace(IDLE, inbox=Queue(1, 61.0))},
    "GatewayBotTokenNotRotated": {"gateways": Counted(late={"west": 1})},
    "GatewayBotSettingsDiffer": {"agreement": Agreement(2, 2)},
    "GatewayBotAuditLag": {"waits": replace(IDLE, audit=Queue(1, 301.0))},
}


def firing(**other: Any) -> set[str]:
    """The alerts of a bot of which that is so, and else nothing is wrong."""
    well: dict[str, Any] = {
        "about": ("1", "aa"),
        "ready": True,
        "parts": {"runner": True},
        "redis_writable": True,
        "services": {SLACK: WELL},
        "agreement": Agreement(2, 1),
        "slack_connected": True,
        "connections": STANDS,
        "clusters": {"west": Standing(NOW - 5, "")},
        "unacked": 0,
        "lanes": {Lane.READS: (0, 1)},
        "running": {"west": 0},
        "gateways": Counted(tokens={("west", "30"): 4}, late={"west": 0}),
        "waits": IDLE,
    }
    sources: Any = SimpleNamespace(**well | other)
    sources.backlog = lambda seconds: sources.waits
    registry = CollectorRegistry()
    registry.register(Gauges(sources, clock=lambda: NOW))
    read = Exposition.parse(generate_latest(registry).decode())
    return {alert for alert, expression in RULES.items() if read.fires(expression)}


def test_no_alert_fires_while_nothing_is_wrong() -> None:
    assert firing() == set()
    assert firing(connections=None) == set(), "in HTTP mode"


@pytest.mark.parametrize("alert", RULES)
def test_an_alert_fires_alone_by_what_it_is_named_for(alert: str) -> None:
    assert firing(**FIRES[alert]) == {alert}


def test_of_a_backlog_that_redis_does_not_give_nothing_fires_but_that() -> None:
    assert firing(waits=None) == {"GatewayBotBacklogUnread"}


def test_an_alert_fires_once_it_was_so_for_as_long_as_its_rule_says() -> None:
    alerting = Alerting({"Down": Rule("min by (name) (up) < 1", 60.0)}, pace=10.0)
    down, well = (Exposition.parse(f'up{{name="west"}} {value}\n') for value in (0, 1))
    assert [alerting.scraped(down, at) for at in (0, 5)] == [set(), set()]
    assert alerting.scraped(down, 6) == {("Down", ("west",))}
    assert [alerting.scraped(each, at) for each, at in ((well, 7), (down, 8))] == [set(), set()]
    assert alerting.scraped(down, 14) == {("Down", ("west",))}
