"""Buttons that put what a rule advises into the plan that is shown."""

import json

from deploy.actions.action import Action
from deploy.plans.plan import Plan
from handlers.views.reply import Block
from handlers.views.text import button

ACTIONS = tuple(f"fix_{number}" for number in range(3))
"""Slack wants each button of a block to have a name of its own; three are what a person reads."""


def blocks(action: Action, plan: Plan) -> list[Block]:
    """A button for each of the first findings that can be fixed, those that nobody exempted."""
    found = [f for f in plan.findings if f.fix_patch and (f.exempted is None or f.exempted.expired)]
    elements = [
        button(f"Fix: {finding.fix}", name, json.dumps({"id": action.id, "rule": finding.rule}))
        for name, finding in zip(ACTIONS, found, strict=False)
    ]
    return [{"type": "actions", "elements": elements}] if elements else []


def read(value: str) -> tuple[str, str]:
    """Which action and rule a button is about; empty where it carries neither."""
    try:
        carried = json.loads(value)
        return str(carried["id"]), str(carried["rule"])
    except (ValueError, KeyError, TypeError):
        return "", ""
