"""Rules on changes that something else takes back, because it manages the gateway's objects."""

from collections.abc import Iterable

from deploy.commands import Command
from deploy.observed.managers import Manager
from deploy.rules.reading import at, text
from deploy.rules.rule import DECLARATIVE, Rule
from deploy.rules.view import GatewayView

MANAGED_ELSEWHERE = "managed-elsewhere"


def _undoing(view: GatewayView) -> list[Manager]:
    return [each for each in view.facts.managers if each.undoes]


def _perhaps(view: GatewayView) -> list[Manager]:
    return [each for each in view.facts.managers if not each.certain]


def _undoing_line(view: GatewayView) -> str:
    managers = _undoing(view)
    return f"{_found(managers)} {_offer(view, managers)}"


def _perhaps_line(view: GatewayView) -> str:
    return _found(_perhaps(view))


def _found(managers: Iterable[Manager]) -> str:
    return f"Found: {', '.join(map(str, managers))}."


def _offer(view: GatewayView, managers: Iterable[Manager]) -> str:
    """The command that gives what to put where the gateway is declared instead."""
    ref = f"{view.namespace}/{text(at(view.deployment, 'metadata', 'name'))}"
    form, what = ("kustomize", "a patch for its repository")
    if any(each.is_helm for each in managers):
        form, what = ("helm", "the values of its chart")
    return f"{Command('export', ref, f'--for {form}')}, with the same options, gives {what}."


MANAGED: tuple[Rule, ...] = (
    Rule(
        MANAGED_ELSEWHERE,
        "warning",
        "deny",
        lambda view: bool(_undoing(view)),
        "Something else manages this gateway and will undo the change.",
        "What Git or a release declares is applied again, within minutes or with the next upgrade.",
        "Change it where it is declared, or force it with `--take-over` and a `--reason`.",
        DECLARATIVE,
        line=_undoing_line,
    ),
    Rule(
        "perhaps-managed-elsewhere",
        "info",
        "info",
        lambda view: bool(_perhaps(view)),
        "Something else may manage this gateway and undo the change.",
        "Only some of its usual traces were found, or this bot has since adopted the gateway.",
        "If it does, change the gateway there.",
        DECLARATIVE,
        line=_perhaps_line,
    ),
)
