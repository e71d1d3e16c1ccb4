"""Production rules: what Microsoft's guidance and experience say of a spec. Pure, one table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from deploy.gateway import GatewaySpec
from deploy.images import support
from deploy.plan import Finding


@dataclass(frozen=True)
class Rule:
    """One line of the table: when it strikes, how badly, and what a person is told."""

    id: str
    severity: Literal["info", "warning", "deny"]
    strikes: Callable[[GatewaySpec, Sequence[str]], bool]
    what: str
    why: str
    fix: str


RULES: tuple[Rule, ...] = (
    Rule(
        "default-namespace",
        "warning",
        lambda spec, tags: spec.ref.namespace == "default",
        "This goes to the namespace “default”.",
        "Microsoft advises a namespace of its own for production.",
        "Choose another with --to.",
    ),
    Rule(
        "single-replica",
        "warning",
        lambda spec, tags: spec.least_replicas < 2,
        "One pod: every restart or node failure is an outage.",
        "Two replicas are the least, three are advised.",
        "Ask for --replicas 3.",
    ),
    Rule(
        "few-replicas",
        "info",
        lambda spec, tags: spec.least_replicas == 2,
        "Two pods: one is left while a node fails.",
        "Microsoft advises at least three replicas.",
        "Ask for --replicas 3.",
    ),
    Rule(
        "floating-tag",
        "warning",
        lambda spec, tags: support(spec.tag, tags).state in ("rolling", "preview"),
        "This tag moves: pods may run different versions, and a restart may upgrade.",
        "Only a full version, x.y.z, is recommended for production.",
        "Choose a full version.",
    ),
    Rule(
        "unsupported-tag",
        "warning",
        lambda spec, tags: support(spec.tag, tags).state == "unsupported",
        "This version is no longer supported.",
        "Microsoft supports the last major version's three newest minor versions.",
        "Choose a newer version.",
    ),
)


def check(spec: GatewaySpec, tags: Sequence[str]) -> tuple[Finding, ...]:
    """What the rules say of `spec`; `tags` are those the registry has, [] where it is unknown."""
    return tuple(
        Finding(rule.id, rule.severity, rule.what, rule.why, rule.fix)
        for rule in RULES
        if rule.strikes(spec, tags)
    )
