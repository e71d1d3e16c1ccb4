"""Alert rules evaluated scrape after scrape, as Prometheus does it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.support.exposition import Exposition, Group

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class Rule:
    """An expression, and for how many seconds it must give something until the alert fires."""

    expression: str
    lasting: float


def rules_of(path: Path) -> Mapping[str, Rule]:
    """Those of a file, by the alert."""
    found: dict[str, Rule] = {}
    for group in yaml.safe_load(path.read_text())["groups"]:
        for rule in group["rules"]:
            number, unit = re.fullmatch(r"(\d+)([smh])", rule["for"]).groups()  # type: ignore[union-attr]
            found[rule["alert"]] = Rule(rule["expr"], float(number) * _UNITS[unit])
    return found


class Alerting:
    """An alert is pending from the scrape on whose expression gives something for a group of labels,
    and fires once each scrape has done so for as long as the rule says; one scrape without starts
    that over (prometheus.io/docs/prometheus/latest/configuration/alerting_rules)."""

    def __init__(self, rules: Mapping[str, Rule], *, pace: float = 1.0) -> None:
        """A second between scrapes stands for `pace` seconds."""
        self._rules = rules
        self._pace = pace
        self._pending: dict[tuple[str, Group], float] = {}

    def scraped(self, read: Exposition, at: float) -> set[tuple[str, Group]]:
        """Which alerts fire for which groups, after a scrape at that moment (seconds)."""
        giving = {
            (alert, group)
            for alert, rule in self._rules.items()
            for group in read.giving(rule.expression)
        }
        self._pending = {each: self._pending.get(each, at) for each in giving}
        return {
            (alert, group)
            for (alert, group), since in self._pending.items()
            if (at - since) * self._pace >= self._rules[alert].lasting
        }
