"""Planning once more what an action was about: when somebody asks, when its plan no longer holds,
or when the gateway has changed meanwhile.

Only the bot asks for it, by a request in the inbox, so that it is done whatever becomes of the bot.
"""

from collections.abc import Callable
from dataclasses import dataclass

from deploy.actions.action import Action
from deploy.actions.store import ActionStore
from deploy.changes.propose import Proposer
from handlers.actions.asking import in_person, shown
from handlers.slack.payloads import Request
from handlers.views import action as action_view
from handlers.views.reply import Reply

VERB = "again"
"""Not in the table of verbs."""


def renewal(
    action: Action, request_id: str, *, break_glass: bool = True, rule: str = ""
) -> Request:
    """The request that plans the same again; one id makes one plan.

    With `rule` it is planned as that rule advises; without `break_glass` a freeze counts.
    """
    return _request(action, request_id, {"break-glass": break_glass, "rule": rule})


def look(action: Action, request_id: str) -> Request:
    """The request that looks whether an open plan still holds."""
    return _request(action, f"{request_id}:{action.id}", {"look": True})


@dataclass(frozen=True)
class Needs:
    """Where the action is, and what plans it again; `accept` makes a request safe."""

    store: ActionStore
    proposer: Proposer
    accept: Callable[[Request], None]


def run(needs: Needs, request: Request) -> Reply | None:
    """Plan it again. What is shown is decided on as if it had never been asked before."""
    options = request.options
    action = needs.store.get(str(options["action"]))
    if action is None:
        return action_view.gone()
    seen = not in_person(request)
    if options.get("look"):
        needs.proposer.replan(
            action, lambda: needs.accept(renewal(action, f"instead of {action.id}"))
        )
        return None
    glass = action.policy.break_glass if options.get("break-glass") else ""
    return shown(
        needs.proposer.renewed(
            action,
            request.id,
            break_glass=glass,
            rule=str(options.get("rule", "")),
            seen=seen,
        )
    )


def _request(action: Action, request_id: str, options: dict[str, object]) -> Request:
    return Request(
        id=f"again:{request_id}",
        verb=VERB,
        user=action.requester,
        channel=str(action.origin.get("channel", "")),
        gateway=str(action.ref),
        options={"action": action.id, **options},
    )
