"""The pods of a rollout in the message of its action, and what is wrong with them."""

from collections.abc import Mapping, Sequence
from typing import Any

from deploy.actions.action import Action, State
from deploy.observed.pods import ENDING
from handlers.views.columns import shortened
from handlers.views.reply import Block
from handlers.views.text import context, counted, cut, escape, fence, section, sections
from handlers.views.words import rollout as words

_PODS = 20
_TROUBLE = 200
"""Columns: of a pull that fails, Kubernetes names the image three times."""


def blocks(action: Action) -> list[Block]:
    """Its pods, and, unless it succeeded, why they are not ready."""
    pods: Sequence[Mapping[str, Any]] = (action.progress or {}).get("pods") or ()
    gone = 0
    if action.state is State.SUCCEEDED:
        # They have no part in what runs now.
        there = [pod for pod in pods if pod["state"] != ENDING]
        gone, pods = len(pods) - len(there), there
    found: list[Block] = sections(_listed(pods[:_PODS]))
    if len(pods) > _PODS:
        found.append(context(f"… and {counted(len(pods) - _PODS, 'more pod')}."))
    if gone:
        found.append(context(words.were_ending(gone)))
    if action.state is not State.SUCCEEDED:
        found += _beside_pods(action.progress or {}, pods)
        said = [action.outcome.meaning] if action.outcome else []
        told: list[Block] = []
        for pod in pods:
            if pod.get("trouble") and (block := _trouble(pod, said)):
                told.append(block)
            said.append(str(pod.get("trouble") or ""))
        found += told[:5]
    return found


def _listed(pods: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line for each, those of the two versions apart."""
    new = [_pod(pod) for pod in pods if pod.get("updated", True)]
    old = [_pod(pod) for pod in pods if not pod.get("updated", True)]
    if not old:
        return new
    return [*([words.NEW, *new] if new else []), words.PREVIOUS, *old]


def ending(action: Action) -> str:
    """How many of its pods are shutting down, which no other figure counts; empty where none is."""
    pods = (action.progress or {}).get("pods") or ()
    count = sum(pod["state"] == ENDING for pod in pods)
    return words.are_ending(count) if count else ""


def _pod(pod: Mapping[str, Any]) -> str:
    """A pod on one line, two on a phone."""
    ready, restarts = bool(pod["ready"]), int(pod["restarts"])
    state = str(pod["state"])
    # A pod that runs is told apart by whether it is ready.
    how = "ready" if ready else "not ready" if state == "Running" else state
    facts = [
        escape(how),
        *([counted(restarts, "restart")] if restarts else []),
        *([f"node {escape(str(pod['node']))}"] if pod.get("node") else []),
    ]
    return f"{'🟢' if ready else '⚪'} `{escape(str(pod['name']))}`  {' · '.join(facts)}"


def _beside_pods(progress: Mapping[str, Any], pods: Sequence[Mapping[str, Any]]) -> list[Block]:
    """What is not a pod's own trouble: a quota, for one, lets no pod appear that could show it."""
    of_pods = [str(pod.get("trouble") or "") for pod in pods]
    beside = [str((progress.get("stuck") or {}).get("said", ""))]
    every = dict.fromkeys([*(str(text) for text in progress.get("trouble") or ()), *beside])
    # What holds it up is kept cut short: a pod tells the same in full.
    told = [t for t in every if t and not any(of.startswith(t.removesuffix("…")) for of in of_pods)]
    return [section(f":warning: {escape(cut(text, 500))}") for text in told[:2]]


def _trouble(pod: Mapping[str, Any], said: Sequence[str]) -> Block | None:
    """What a pod has to tell beyond what is `said` already; None where that is all. Of an error at length
    the end tells why."""
    trouble = str(pod["trouble"])
    lines = (
        [] if any(trouble in text for text in said) else [shortened(trouble, _TROUBLE, prose=True)]
    )
    if pod.get("event"):
        lines.append(f"Last event: {pod['event']}")
    if not lines and not pod.get("log"):
        return None
    text = f"*{escape(str(pod['name']))}*: " + escape("\n".join(lines))
    if pod.get("log"):
        text += "\nLast log lines:\n" + fence(str(pod["log"]).splitlines()[-5:], 1200)[0]
    return section(text)
