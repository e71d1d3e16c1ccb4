"""What is counted as it happens. Each method is quick, waits for nobody, and knows no names of people.

No label has more values than the bot itself knows: what is strange is counted as `other`.
"""

import threading
from collections.abc import Iterable, Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)

from deploy.actions.action import EDGES, State
from deploy.waits import Service

OTHER = "other"
_ACK_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0)
"""Slack gives three seconds."""
_CALL_SECONDS = (0.005, 0.025, 0.1, 0.25, 1.0, 2.5, 5.0, 10.0, 30.0)
_OF_PAYLOAD, _OF_END = ("kind", "verb"), ("kind", "end")
_OF_CALL, _OF_ERROR = ("service", "name"), ("service", "name", "error")
_VALUES = 100
"""Of a label whose values others choose, as Slack its errors."""


class Events:
    """The counters and histograms of one bot, in its own registry."""

    def __init__(self, registry: CollectorRegistry, kinds: Iterable[str]) -> None:
        """`kinds` are those of actions."""
        self._ends = {state.value for state in State if not EDGES[state]}
        self._kinds = frozenset(kinds)
        self._names, self._errors = _Bounded(_VALUES), _Bounded(_VALUES)
        self._ack = Histogram(
            "gateway_bot_ack_seconds",
            "From the arrival of a payload of Slack's to its ack",
            buckets=_ACK_SECONDS,
            registry=registry,
        )
        self._payload = Histogram(
            "gateway_bot_payload_seconds",
            "Work before the ack of a payload, by what it is and the verb that was typed",
            _OF_PAYLOAD,
            buckets=_ACK_SECONDS,
            registry=registry,
        )
        self._call = Histogram(
            "gateway_bot_call_seconds",
            "Calls of a service: a method of Slack's, Redis, Azure, a cluster or the registry",
            _OF_CALL,
            buckets=_CALL_SECONDS,
            registry=registry,
        )
        self._failed = Counter(
            "gateway_bot_call_errors",
            "Calls of a service that were refused or in vain, by Slack's error, HTTP status or exception",
            _OF_ERROR,
            registry=registry,
        )
        self._ended = Counter(
            "gateway_bot_actions_ended",
            "Actions that have ended, counted by the bot that writes it to the audit trail",
            _OF_END,
            registry=registry,
        )
        self.labels: Mapping[str, tuple[str, ...]] = {
            "gateway_bot_ack_seconds": (),
            "gateway_bot_payload_seconds": _OF_PAYLOAD,
            "gateway_bot_call_seconds": _OF_CALL,
            "gateway_bot_call_errors": _OF_ERROR,
            "gateway_bot_actions_ended": _OF_END,
        }
        """The labels of each, by its name."""
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)

    def acked(self, seconds: float) -> None:
        """A payload got its ack so many seconds after it arrived."""
        self._ack.observe(seconds)

    def took(self, kind: str, verb: str, seconds: float) -> None:
        """A payload was worked on for so many seconds before its ack."""
        self._payload.labels(kind, verb).observe(seconds)

    def called(self, service: Service, seconds: float, error: str) -> None:
        """A call of a service has ended."""
        self._call.labels(service.kind, self._names.of(service.name)).observe(seconds)
        if error:
            self.refused(service, error)

    def refused(self, service: Service, error: str) -> None:
        """An attempt of a call was in vain."""
        name = self._names.of(service.name)
        self._failed.labels(service.kind, name, self._errors.of(error)).inc()

    def audited(self, kind: str, event: str) -> None:
        """The audit trail has another entry."""
        if event in self._ends:
            self._ended.labels(kind if kind in self._kinds else OTHER, event).inc()


class _Bounded:
    """The first so many values that a label had; the rest are one."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: set[str] = set()
        self._lock = threading.Lock()

    def of(self, value: str) -> str:
        """The value, or `other` in its place."""
        if value in self._known:
            return value
        with self._lock:
            if len(self._known) >= self._most:
                return OTHER
            self._known.add(value)
        return value
