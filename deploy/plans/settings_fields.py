"""Settings that pods run with, as the fields of a spec that say the same. Pure."""

from collections.abc import Mapping
from typing import Any

from deploy.errors import InvalidInput
from deploy.observed.effective import EffectiveSettings
from deploy.specs.overlay import merged
from deploy.specs.settings import FREE
from deploy.specs.spec import spec_from_mapping

_STATSD = "telemetry.metrics.local.statsd"
_OTEL = "observability.opentelemetry"


def with_settings(mapping: Mapping[str, Any], given: EffectiveSettings) -> dict[str, Any]:
    """The spec's mapping with the fields that say what the pods are given.

    What no field takes is left out: it stays where it is, unmanaged.
    """
    found = dict(mapping)
    for fields in _fields(given):
        candidate = merged(found, fields)
        try:
            spec_from_mapping(candidate)
        except InvalidInput:
            continue
        found = candidate
    return found


def _fields(given: EffectiveSettings) -> list[dict[str, Any]]:
    """Pieces of a spec, each to be taken or left as one."""
    said = given.value
    pieces: list[dict[str, Any]] = [
        {"logs": {"level": said("telemetry.logs.std.level").lower()}},
        {"logs": {"format": said("telemetry.logs.std").lower()}},
        {"logs": {"local": _local_logs(given)}},
        {"discovery": {"rateLimitPort": _number(said("policy.rate-limit.sync.port"))}},
        {"discovery": {"heartbeatPort": _number(said("neighborhood.heartbeat.port"))}},
        {"proxy": {"http": said("HTTP_PROXY")}},
        {"proxy": {"https": said("HTTPS_PROXY")}},
        {"proxy": {"bypass": _listed(said("NO_PROXY"))}},
        *({"settings": {name: said(name)}} for name in FREE),
    ]
    if said("telemetry.metrics.cloud").lower() == "false":
        pieces.append({"metrics": {"cloud": False}})
    if said("telemetry.metrics.local").lower() == "statsd":
        pieces.append({"metrics": {"statsd": _statsd(given)}})
    if said(f"{_OTEL}.enabled").lower() == "true":
        pieces.append({"metrics": {"openTelemetry": _open_telemetry(given)}})
    return [piece for each in pieces if (piece := _without_empty(each))]


def _local_logs(given: EffectiveSettings) -> dict[str, Any]:
    sink = given.value("telemetry.logs.local")
    at = f"telemetry.logs.local.{sink}"
    return {
        "type": sink,
        "endpoint": given.value(f"{at}.endpoint"),
        "facility": _number(given.value(f"{at}.facility")),
    }


def _statsd(given: EffectiveSettings) -> dict[str, Any]:
    return {
        "endpoint": given.value(f"{_STATSD}.endpoint"),
        "sampling": given.value(f"{_STATSD}.sampling"),
        "tagFormat": given.value(f"{_STATSD}.tag-format"),
    }


def _open_telemetry(given: EffectiveSettings) -> dict[str, Any]:
    system = given.value(f"{_OTEL}.system-metrics.enabled").lower() == "true"
    return {
        "collector": given.value(f"{_OTEL}.collector.uri"),
        "systemMetrics": system or None,
        "buckets": [_number(each) for each in _listed(given.value(f"{_OTEL}.histogram.buckets"))],
    }


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _number(text: str) -> int | str:
    """The number; text that is none, which no field takes."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else text


def _without_empty(values: Mapping[str, Any]) -> dict[str, Any]:
    kept = {
        key: _without_empty(value) if isinstance(value, Mapping) else value
        for key, value in values.items()
    }
    return {key: value for key, value in kept.items() if value not in (None, "", {}, [])}
