"""The page on monitoring has every metric, and no other."""

import os
from types import SimpleNamespace
from typing import Any

from prometheus_client import CollectorRegistry, Metric

from bot.metrics.events import Events
from bot.metrics.gateways import Counted
from bot.metrics.gauges import Gauges
from tests.support.processes import ROOT

PAGE = ROOT / "docs" / "monitoring.md"
BEGIN, END = "<!-- metrics: generated -->\n", "<!-- end -->"
OF_PYTHON = ("process_", "python_")


def sources() -> Any:
    """Of a bot that has just begun."""
    return SimpleNamespace(
        about=("0", "0"),
        ready=False,
        parts={},
        redis_writable=False,
        services={},
        agreement=None,
        slack_connected=False,
        connections=None,
        clusters={},
        unacked=0,
        lanes={},
        running={},
        gateways=Counted(),
        backlog=lambda seconds: None,
    )


def table() -> str:
    registry = CollectorRegistry()
    labels = Events(registry, ["deploy"]).labels
    gauges = Gauges(sources())
    registry.register(gauges)
    labels = {**labels, **gauges.labels}
    rows = ["| metric | labels | meaning |", "|---|---|---|"]
    for family in sorted(registry.collect(), key=lambda each: each.name):
        if not family.name.startswith(OF_PYTHON):
            of = ", ".join(f"`{name}`" for name in labels[family.name])
            rows.append(f"| `{name(family)}` | {of} | {family.documentation} |")
    return "\n".join(rows) + "\n"


def name(family: Metric) -> str:
    """As it stands in an expression."""
    return f"{family.name}_total" if family.type == "counter" else family.name


def test_the_table_of_the_page_is_what_the_bot_answers() -> None:
    page = PAGE.read_text()
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    wanted = f"{before}{BEGIN}{table()}{END}{after}"
    if os.environ.get("WRITE_DOCS"):
        PAGE.write_text(wanted)
    assert PAGE.read_text() == wanted, "WRITE_DOCS=1 writes it"
