"""What a bot answers at /metrics, and the few expressions of alert rules evaluated over it."""

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

Labels = Mapping[str, str]
Group = tuple[str, ...]

_RULE = re.compile(
    r"(?P<fold>absent|min|max|sum)(?: by \((?P<by>[a-z_, ]+)\))?\s*"
    r"\((?:min_over_time\((?P<least>[^()]+)\[\d+m\]\)|(?P<inner>[^()]+))\)"
    r"(?:\s*(?P<op>[<>]|==)\s*(?P<limit>[\d.]+))?"
)
_INNER = re.compile(
    r"(?P<name>[a-z_]+)(?:\{(?P<label>[a-z]+)=~\"(?P<value>[^\"]+)\"\})?"
    r"(?:\s*==\s*(?P<equal>[\d.]+))?"
)
_FOLDS: Mapping[str, Callable[[Iterable[float]], float]] = {"min": min, "max": max, "sum": sum}
_OPS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    ">": operator.gt,
    "==": operator.eq,
}


@dataclass(frozen=True)
class Exposition:
    """Every family by its name, and the samples by theirs."""

    families: frozenset[str]
    samples: Mapping[str, list[tuple[Labels, float]]]

    @classmethod
    def parse(cls, text: str) -> "Exposition":
        """As Prometheus reads it."""
        families: set[str] = set()
        samples: dict[str, list[tuple[Labels, float]]] = {}
        for family in text_string_to_metric_families(text):
            families.add(family.name)
            for sample in family.samples:
                samples.setdefault(sample.name, []).append((sample.labels, sample.value))
        return cls(frozenset(families), samples)

    def knows(self, metric: str) -> bool:
        """Whether there is a metric of that name, be it without samples."""
        parts = ("", "_bucket", "_count", "_sum", "_total")
        return metric in self.samples or any(
            metric.endswith(part) and metric.removesuffix(part) in self.families for part in parts
        )

    def value(self, metric: str, **labels: str) -> float | None:
        """The sample with these labels among its own."""
        for found, value in self.samples.get(metric, ()):
            if labels.items() <= found.items():
                return value
        return None

    def fires(self, expression: str) -> bool:
        """Whether an alert rule's expression gives anything. ValueError as `giving`."""
        return bool(self.giving(expression))

    def giving(self, expression: str) -> frozenset[Group]:
        """For which groups an alert rule's expression gives anything: the values of the labels that it
        aggregates by. ValueError for one that is not as simple as the rules are."""
        rule = _RULE.fullmatch(expression.strip())
        # One scrape holds the least of any time that ends with it, if it holds one.
        inner = rule and _INNER.fullmatch((rule["least"] or rule["inner"]).strip())
        if not rule or not inner:
            raise ValueError(expression)
        chosen = [
            (labels, value)
            for labels, value in self.samples.get(inner["name"], ())
            if (not inner["label"] or re.fullmatch(inner["value"], labels.get(inner["label"], "")))
            and (not inner["equal"] or value == float(inner["equal"]))
        ]
        if rule["fold"] == "absent":
            return frozenset() if chosen else frozenset([()])
        groups: dict[Group, list[float]] = {}
        by = [name.strip() for name in (rule["by"] or "").split(",") if name.strip()]
        for labels, value in chosen:
            groups.setdefault(tuple(labels.get(name, "") for name in by), []).append(value)
        holds = _OPS[rule["op"]]
        fold, limit = _FOLDS[rule["fold"]], float(rule["limit"])
        return frozenset(group for group, values in groups.items() if holds(fold(values), limit))
