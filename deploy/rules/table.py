"""All rules, in the order in which a person reads them."""

from deploy.rules.availability import AVAILABILITY
from deploy.rules.configuration import CONFIGURATION
from deploy.rules.containers import CONTAINERS
from deploy.rules.managed import MANAGED
from deploy.rules.network import NETWORK
from deploy.rules.rule import Rule
from deploy.rules.token import TOKENS
from deploy.rules.versions import VERSIONS

RULES: tuple[Rule, ...] = (
    *AVAILABILITY,
    *VERSIONS,
    *CONTAINERS,
    *NETWORK,
    *CONFIGURATION,
    *TOKENS,
    *MANAGED,
)
RULE_IDS = frozenset(rule.id for rule in RULES)
DENIED_IN_PRODUCTION = frozenset(rule.id for rule in RULES if rule.usual(True) == "deny")
BINDING = frozenset(rule.id for rule in RULES if rule.binding)
"""Rules that no settings of an environment make milder."""


def as_markdown() -> str:
    """The table for docs/rules.md, so that what is written is what is judged."""
    lines = ["| rule | what | why | fix | severity |", "|---|---|---|---|---|"]
    for rule in RULES:
        severity: str = rule.severity
        if rule.in_production != severity:
            severity += f"; {rule.in_production} in production"
        cells = (f"`{rule.id}`", rule.what, f"{rule.why} [Source]({rule.source})", rule.fix)
        lines.append(f"| {' | '.join(cells)} | {severity} |".replace("<", "&lt;"))
    return "\n".join(lines) + "\n"
