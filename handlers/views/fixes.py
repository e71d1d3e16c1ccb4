"""Buttons that put what a rule advises into the plan that is shown."""

import json
from collections.abc import Callable

from deploy.plans.plan import Plan
from deploy.rules.finding import Finding
from handlers.views.commands import runs
from handlers.views.reply import Block
from handlers.views.text import button

ACTIONS = tuple(f"fix_{number}" for number in range(3))
"""Slack wants each button of a block to have a name of its own; three are what a person reads."""


def offered(plan: Plan, key: str) -> list[tuple[Finding, Block]]:
    """The first findings that can be fixed, those that nobody exempted, each with its button in the plan
    of the action `key`."""
    return [
        (finding, button(_label(finding), name, json.dumps({"id": key, "rule": finding.rule})))
        for name, finding in zip(ACTIONS, _fixable(plan), strict=False)
    ]


def commands(plan: Plan, with_fix: Callable[[Finding], str]) -> list[Block]:
    """The same for a plan that is not kept: each button carries the whole command."""
    typed = [(finding, with_fix(finding)) for finding in _fixable(plan)[: len(ACTIONS)]]
    found = [runs(_label(finding), command) for finding, command in typed]
    return [{"type": "actions", "elements": [each]} for each in found if each]


def _label(finding: Finding) -> str:
    return f"Fix: {finding.fix.removesuffix('.')}"


def _fixable(plan: Plan) -> list[Finding]:
    return [f for f in plan.findings if f.fix_patch and (f.exempted is None or f.exempted.expired)]


def read(value: str) -> tuple[str, str]:
    """Which action and rule a button is about; empty where it carries neither."""
    try:
        carried = json.loads(value)
        return str(carried["id"]), str(carried["rule"])
    except (ValueError, KeyError, TypeError):
        return "", ""
