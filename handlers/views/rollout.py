"""The pods of a rollout in the message of its action, and what is wrong with them."""

from collections.abc import Mapping, Sequence
from typing import Any

from deploy.actions.action import Action, State
from handlers.views.reply import Block
from handlers.views.text import cut, escape, fence, section, table


def blocks(action: Action) -> list[Block]:
    """Its pods, and, unless it succeeded, why they are not ready."""
    pods: Sequence[Mapping[str, Any]] = (action.progress or {}).get("pods") or ()
    found: list[Block] = []
    if pods:
        rows: list[tuple[str, ...]] = [("POD", "READY", "STATE", "RESTARTS", "NODE")]
        rows += [
            (
                str(pod["name"]),
                "yes" if pod["ready"] else "no",
                str(pod["state"]),
                str(pod["restarts"]),
                str(pod.get("node") or "-"),
            )
            for pod in pods
        ]
        found.append(section(fence(table(rows))[0]))
    if action.state is not State.SUCCEEDED:
        found += _beside_pods(action.progress or {}, pods)
        said = action.outcome.meaning if action.outcome else ""
        found += [told for pod in pods if pod.get("trouble") and (told := _trouble(pod, said))][:5]
    return found


def _beside_pods(progress: Mapping[str, Any], pods: Sequence[Mapping[str, Any]]) -> list[Block]:
    """What is not a pod's own trouble: a quota, for one, lets no pod appear that could show it."""
    of_pods = {pod.get("trouble") for pod in pods}
    told = [str(text) for text in progress.get("trouble") or () if text not in of_pods]
    return [section(f":warning: {escape(cut(text, 500))}") for text in told[:2]]


def _trouble(pod: Mapping[str, Any], said: str) -> Block | None:
    """What a pod has to tell beyond what is `said` already; None where that is all."""
    lines = [] if str(pod["trouble"]) in said else [str(pod["trouble"])]
    if pod.get("event"):
        lines.append(f"Last event: {pod['event']}")
    if not lines and not pod.get("log"):
        return None
    text = f"*{escape(str(pod['name']))}*: " + escape("\n".join(lines))
    if pod.get("log"):
        text += "\nLast log lines:\n" + fence(str(pod["log"]).splitlines()[-5:], 1200)[0]
    return section(text)
