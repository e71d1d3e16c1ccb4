"""The ways out of a rollout that is stuck, and of an action that failed. Pure.

Whether there is one is what the record says (deploy.rollouts.ways_out): a first deployment has nothing to
roll back to. Each leads to a plan of its own, which somebody decides.
"""

import json

from deploy.actions.action import Action
from deploy.changes.kinds import DELETE, ROLLBACK
from deploy.observed.causes import OF_VERSION
from deploy.rollouts.ways_out import (
    FAILED,
    Stuck,
    failing_pod,
    has_pods,
    new_version,
    stuck,
    waits_anyway,
)
from handlers.views.commands import runs
from handlers.views.reply import Block
from handlers.views.text import button, confirm, cut, date, escape
from handlers.views.words import ways_out as words
from handlers.views.words.kinds import KIND_WORDS
from handlers.views.words.status import to_do

ROLL_BACK = "action_roll_back"
STOP_AND_DELETE = "action_stop_and_delete"
KEEP_WAITING = "action_keep_waiting"


def headline(action: Action) -> str:
    """What a running action is stuck on, where nobody has decided to wait for it; else empty."""
    found = stuck(action)
    if found is None or waits_anyway(action):
        return ""
    return words.stuck(found.means)


def said(action: Action) -> list[str]:
    """What to do about it, and until when: lines beside the figures of the rollout."""
    found = stuck(action)
    if found is None:
        return []
    remedy = to_do(escape(found.remedy)) if found.remedy else ""
    lines = [remedy] if headline(action) else [_waiting(action, found)]
    if found.until is not None:
        back = action.plan.on_failure if action.plan else None
        lines.append(words.fails_at(date(found.until, "{time}"), back))
    return [line for line in lines if line]


def of_running(action: Action, title: str, carried: str) -> list[Block]:
    """The buttons of a rollout that is stuck, but Stop; `carried` is what an action's buttons carry."""
    found = stuck(action)
    if found is None:
        return []
    buttons: list[Block | None] = []
    if rolls_back(action):
        label = f"Stop and roll back: {title}"
        back = _stop_and(words.ROLL_BACK, ROLL_BACK, label, ROLLBACK, carried)
        # It stands out where it helps: a quota or a registry that is away stays what it is.
        buttons.append({**back, "style": "primary"} if found.cause in OF_VERSION else back)
    if is_first(action):
        label = f"Stop and delete: {title}"
        buttons.append(_stop_and(words.DELETE, STOP_AND_DELETE, label, DELETE, carried))
    if not waits_anyway(action):
        value = json.dumps({**json.loads(carried), "cause": found.cause})
        buttons.append(button(words.KEEP_WAITING, KEEP_WAITING, value))
    buttons.append(_logs(action))
    return [each for each in buttons if each]


def of_failed(action: Action, again: Block) -> list[Block]:
    """The buttons of what failed; `again` is the one that plans the same once more. None where it has not
    failed."""
    if action.state not in FAILED:
        return []
    back = runs(words.ROLL_BACK, f"rollback {action.ref}", "roll_back")
    delete = runs(words.DELETE, f"delete {action.ref}", "delete")
    buttons = [
        back if rolls_back(action) else None,
        again,
        _logs(action),
        delete if is_first(action) else None,
    ]
    return [each for each in buttons if each]


def rolls_back(action: Action) -> bool:
    """Whether `rollback` undoes what it has put in place."""
    return KIND_WORDS[action.kind].rolls_back and new_version(action) == "another"


def is_first(action: Action) -> bool:
    """Whether it has put a gateway's first version in place."""
    return new_version(action) == "first"


def _logs(action: Action) -> Block | None:
    """Of the pod that tells what is wrong, from before its restart where it crashed."""
    if not has_pods(action):
        return None
    pod = failing_pod(action)
    command = f"logs {action.ref}"
    if pod is not None:
        command += f" --pod {pod.name}" + (" --previous" if pod.ran else "")
    return runs(words.LOGS, command, "logs")


def _stop_and(label: str, name: str, title: str, kind: str, carried: str) -> Block:
    """The button that stops it and has a change of that kind planned."""
    question = words.stop_and_plan(KIND_WORDS[kind].noun)
    return button(
        label, name, carried, confirm=confirm(cut(title, 100), question, words.STOP_AND_PLAN)
    )


def _waiting(action: Action, found: Stuck) -> str:
    by = action.patience.by if action.patience else ""
    return words.waits_anyway(f"<@{by}>", escape(found.means))
