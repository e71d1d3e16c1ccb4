"""Read when somebody asks: one table of gauges, each with where its numbers are from.

Everything is from memory, but for the backlog in Redis: a scrape waits for that a second at most, and
leaves it out where Redis has not answered lately.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from bot.dispatch import Connections
from bot.metrics.gateways import Counted
from bot.service_probes import Condition, Outcome
from deploy.actions.backlog import Backlog
from deploy.actions.replicas import Agreement
from deploy.health.standing import Standing
from deploy.waits import Service
from handlers.lanes import Lane
from handlers.messages.budgets import Order, buckets_of

BACKLOG_SECONDS = 1.0

Samples = Iterable[tuple[tuple[str, ...], float]]


class Sources(Protocol):
    """Where the numbers are from. None of it waits, but for `backlog`: a moment, and then None."""

    @property
    def about(self) -> tuple[str, str]:
        """The bot's version, and the digest of its settings."""

    @property
    def ready(self) -> bool:
        """Whether it is started and not about to end."""

    @property
    def parts(self) -> Mapping[str, bool]:
        """Whether each part does its work."""

    @property
    def redis_writable(self) -> bool:
        """Whether Redis took the last write, and does not hang on the next."""

    @property
    def services(self) -> Mapping[Service, Condition]:
        """How each that was asked is."""

    @property
    def agreement(self) -> Agreement | None:
        """How many bots there are, and with how many different settings."""

    @property
    def slack_connected(self) -> bool:
        """Whether payloads can arrive."""

    @property
    def connections(self) -> Connections | None:
        """Those of Socket Mode; None in HTTP mode."""

    @property
    def clusters(self) -> Mapping[str, Standing]:
        """How true what is known of each is."""

    @property
    def unacked(self) -> int:
        """Payloads without an ack."""

    @property
    def lanes(self) -> Mapping[Lane, tuple[int, int]]:
        """Requests that wait, and that are worked on."""

    @property
    def running(self) -> Mapping[str, int]:
        """Actions that are carried out, by cluster; each cluster is there."""

    @property
    def gateways(self) -> Counted:
        """How many there are, as counted last."""

    def backlog(self, seconds: float) -> Backlog | None:
        """The backlog in Redis; that of up to 30 s ago where Redis does not answer within so many
        seconds, and None where there is none."""


@dataclass(frozen=True)
class _Seen:
    """All that one scrape reads."""

    of: Sources
    backlog: Backlog | None
    now: float


@dataclass(frozen=True)
class _Gauge:
    name: str
    meaning: str
    labels: tuple[str, ...]
    read: Callable[[_Seen], Samples]


def _one(value: float | None) -> Samples:
    return [] if value is None else [((), float(value))]


def _by(values: Mapping[Any, float]) -> Samples:
    return [((str(name),), float(value)) for name, value in values.items()]


def _pairs(values: Mapping[tuple[str, str], int]) -> Samples:
    return [(labels, float(value)) for labels, value in values.items()]


def _waits(read: Callable[[Backlog], float]) -> Callable[[_Seen], Samples]:
    return lambda seen: _one(None if seen.backlog is None else read(seen.backlog))


def _connected(read: Callable[[Connections], float | None]) -> Callable[[_Seen], Samples]:
    return lambda seen: _one(None if seen.of.connections is None else read(seen.of.connections))


def _services(read: Callable[[Condition], float]) -> Callable[[_Seen], Samples]:
    return lambda seen: [((s.kind, s.name), read(c)) for s, c in seen.of.services.items()]


def _outcome(*outcomes: Outcome) -> Callable[[_Seen], Samples]:
    return _services(lambda condition: float(condition.outcome in outcomes))


def _heard(seen: _Seen) -> Samples:
    # Watches that have never received anything have no age: cluster_up or namespaces_unread says so.
    standing = seen.of.clusters.items()
    return [((name,), max(0.0, seen.now - s.heard_at)) for name, s in standing if s.heard_at]


def _budgets(seen: _Seen) -> Samples:
    if seen.backlog is None:
        return
    for method, budget in seen.backlog.budgets.items():
        bucket = buckets_of(method, Order.PERSON)[0]
        yield (method,), min(bucket.burst, budget.left + budget.age * bucket.per_second)


def _agreed(read: Callable[[Agreement], float]) -> Callable[[_Seen], Samples]:
    return lambda seen: _one(None if seen.of.agreement is None else read(seen.of.agreement))


_OF_SERVICE = ("service", "name")

_TABLE: tuple[_Gauge, ...] = (
    _Gauge(
        "gateway_bot_info",
        "Always 1; the bot's version and the digest of its settings",
        ("version", "settings"),
        lambda seen: [(seen.of.about, 1.0)],
    ),
    _Gauge(
        "gateway_bot_ready",
        "1 while the bot is started and not about to end, as /readyz",
        (),
        lambda seen: _one(seen.of.ready),
    ),
    _Gauge(
        "gateway_bot_part_live",
        "1 while a part of the bot does its work, as /livez",
        ("part",),
        lambda seen: _by(seen.of.parts),
    ),
    _Gauge(
        "gateway_bot_service_up",
        "1 while a service answers what it is asked every 10 s, be it slowly or with a refusal; 0 while "
        "it is unavailable or hangs",
        _OF_SERVICE,
        _outcome(Outcome.OK, Outcome.SLOW, Outcome.REFUSING),
    ),
    _Gauge(
        "gateway_bot_service_refused",
        "1 while it refuses the bot: its credentials, its rights, or too many calls",
        _OF_SERVICE,
        _outcome(Outcome.REFUSING),
    ),
    _Gauge(
        "gateway_bot_service_slow",
        "1 while it takes longer than 2 s to answer, Redis longer than 0.25 s",
        _OF_SERVICE,
        _outcome(Outcome.SLOW),
    ),
    _Gauge(
        "gateway_bot_service_seconds",
        "Seconds that its last answer took, or for which it has hung",
        _OF_SERVICE,
        _services(lambda condition: condition.seconds),
    ),
    _Gauge(
        "gateway_bot_redis_writable",
        "1 while Redis takes writes; tried every 5 s, and 0 where that takes longer than 5 s",
        (),
        lambda seen: _one(seen.of.redis_writable),
    ),
    _Gauge(
        "gateway_bot_replicas",
        "Bots that share this Redis, as they reported within 30 s",
        (),
        _agreed(lambda told: told.bots),
    ),
    _Gauge(
        "gateway_bot_replica_settings",
        "Different settings that these bots have; 1 where they agree",
        (),
        _agreed(lambda told: told.settings),
    ),
    _Gauge(
        "gateway_bot_slack_connected",
        "1 while Slack's payloads can arrive; in HTTP mode while the port is served",
        (),
        lambda seen: _one(seen.of.slack_connected),
    ),
    _Gauge(
        "gateway_bot_slack_connections",
        "Socket Mode connections of this bot that stand",
        (),
        _connected(lambda each: each.standing),
    ),
    _Gauge(
        "gateway_bot_slack_connections_wanted",
        "Socket Mode connections that this bot should have (slack.connections)",
        (),
        _connected(lambda each: each.wanted),
    ),
    _Gauge(
        "gateway_bot_slack_connections_of_bots",
        "Socket Mode connections that all bots report",
        (),
        _connected(lambda each: each.of_bots),
    ),
    _Gauge(
        "gateway_bot_slack_num_connections",
        "Socket Mode connections that Slack counted in its last hello (num_connections)",
        (),
        _connected(lambda each: each.at_slack),
    ),
    _Gauge(
        "gateway_bot_slack_connections_lost",
        "Socket Mode connections that Slack counts and no bot has: they swallow their share",
        (),
        _connected(lambda each: each.lost),
    ),
    _Gauge(
        "gateway_bot_slack_budget_left",
        "Calls of a method that the bots may make at once, of a burst of 20",
        ("method",),
        _budgets,
    ),
    _Gauge(
        "gateway_bot_cluster_up",
        "1 while the watches of Deployments and pods tell what happens in any place of the cluster",
        ("cluster",),
        lambda seen: _by({name: not each.lost for name, each in seen.of.clusters.items()}),
    ),
    _Gauge(
        "gateway_bot_cluster_namespaces_unread",
        "Namespaces of the settings whose Deployments or pods are not read, as for lack of rights",
        ("cluster",),
        lambda seen: _by({name: len(each.unread) for name, each in seen.of.clusters.items()}),
    ),
    _Gauge(
        "gateway_bot_cluster_watch_age_seconds",
        "Seconds since the quietest of these watches last received anything; not of what is refused",
        ("cluster",),
        _heard,
    ),
    _Gauge(
        "gateway_bot_unacked",
        "Payloads that have arrived and have no ack yet",
        (),
        lambda seen: _one(seen.of.unacked),
    ),
    _Gauge(
        "gateway_bot_requests_waiting",
        "Requests that wait for a thread of this bot, by lane",
        ("lane",),
        lambda seen: _by({lane: waiting for lane, (waiting, _) in seen.of.lanes.items()}),
    ),
    _Gauge(
        "gateway_bot_requests_working",
        "Requests that this bot works on, by lane",
        ("lane",),
        lambda seen: _by({lane: working for lane, (_, working) in seen.of.lanes.items()}),
    ),
    _Gauge(
        "gateway_bot_actions_running",
        "Actions that this bot carries out, by cluster; 8 at most on each",
        ("cluster",),
        lambda seen: _by(seen.of.running),
    ),
    _Gauge(
        "gateway_bot_backlog_read",
        "1 where Redis gave the backlog within 30 s; otherwise the gauges of all bots are absent",
        (),
        lambda seen: _one(seen.backlog is not None),
    ),
    _Gauge(
        "gateway_bot_inbox_entries",
        "Accepted requests of all bots without an answer",
        (),
        _waits(lambda each: each.inbox.depth),
    ),
    _Gauge(
        "gateway_bot_inbox_oldest_seconds",
        "Seconds since the oldest of these was accepted",
        (),
        _waits(lambda each: each.inbox.oldest),
    ),
    _Gauge(
        "gateway_bot_actions_open",
        "Actions of all bots that have not ended, by state, of the 200 that are due first",
        ("state",),
        lambda seen: [] if seen.backlog is None else _by(seen.backlog.states),
    ),
    _Gauge(
        "gateway_bot_approved_oldest_seconds",
        "Seconds since the oldest action was approved that is due: no other action or pause holds it back",
        (),
        _waits(lambda each: each.approved.oldest),
    ),
    _Gauge(
        "gateway_bot_messages_late",
        "Messages of all bots that are due, or that Slack has not accepted so far",
        (),
        _waits(lambda each: each.messages.depth),
    ),
    _Gauge(
        "gateway_bot_messages_oldest_seconds",
        "Seconds for which the oldest of these has been late",
        (),
        _waits(lambda each: each.messages.oldest),
    ),
    _Gauge(
        "gateway_bot_audit_behind",
        "Actions with entries that the audit trail lacks, of the 200 that are due first",
        (),
        _waits(lambda each: each.audit.depth),
    ),
    _Gauge(
        "gateway_bot_audit_lag_seconds",
        "Seconds since the oldest of these entries was logged",
        (),
        _waits(lambda each: each.audit.oldest),
    ),
    _Gauge(
        "gateway_bot_gateways",
        "Gateways by cluster and state (ready, not ready, down); counted every 30 s",
        ("cluster", "state"),
        lambda seen: _pairs(seen.of.gateways.states),
    ),
    _Gauge(
        "gateway_bot_heartbeats",
        "Gateways by cluster and heartbeat level, as `/gateway status` shows it",
        ("cluster", "level"),
        lambda seen: _pairs(seen.of.gateways.levels),
    ),
    _Gauge(
        "gateway_bot_tokens",
        "Gateways by cluster and the days within which their token expires (expired, 1, 3, 7, 14, 30, longer, "
        "unknown; none without a token)",
        ("cluster", "days"),
        lambda seen: _pairs(seen.of.gateways.tokens),
    ),
    _Gauge(
        "gateway_bot_tokens_late",
        "Tokens that have expired, or expire within three days and are not about to be rotated automatically",
        ("cluster",),
        lambda seen: _by(seen.of.gateways.late),
    ),
)


class Gauges(Collector):
    """The table, read anew for each scrape."""

    def __init__(self, sources: Sources, clock: Callable[[], float] = time.time) -> None:
        self._sources = sources
        self._clock = clock

    @property
    def labels(self) -> Mapping[str, tuple[str, ...]]:
        """The labels of each, by its name."""
        return {each.name: each.labels for each in _TABLE}

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Every gauge; one without numbers is there by its name."""
        seen = _Seen(self._sources, self._sources.backlog(BACKLOG_SECONDS), self._clock())
        for each in _TABLE:
            family = GaugeMetricFamily(each.name, each.meaning, labels=each.labels)
            for labels, value in each.read(seen):
                family.add_metric(labels, value)
            yield family
