"""Planning once more what an action was about: when somebody asks, when its plan no longer holds,
or when the gateway has changed meanwhile.

Only the bot asks for it, by a request in the inbox, so that it is done whatever becomes of the bot.
"""

from collections.abc import Callable
from dataclasses import dataclass

from deploy.actions.action import Action
from deploy.actions.batches import Batches
from deploy.actions.store import ActionStore
from deploy.changes.propose import Proposer
from handlers.actions.asking import in_person, shown
from handlers.slack.payloads import Request
from handlers.views import refusals
from handlers.views.reply import Reply

VERB = "again"
"""Not in the table of verbs."""


def renewal(action: Action, request_id: str, *, rule: str = "") -> Request:
    """The request that plans the same again, with `rule` as that rule advises; one id makes one
    plan."""
    return _request(action, request_id, {"rule": rule})


def look(action: Action, request_id: str) -> Request:
    """The request that looks whether an open plan still holds."""
    return _request(action, f"{request_id}:{action.id}", {"look": True})


@dataclass(frozen=True)
class Needs:
    """Where the action is, and what plans it again; `accept` makes a request safe."""

    store: ActionStore
    batches: Batches
    proposer: Proposer
    accept: Callable[[Request], None]


def run(needs: Needs, request: Request) -> Reply | None:
    """Plan it again. What is shown is decided as if it had never been asked before."""
    options = request.options
    action = needs.store.get(str(options["action"]))
    if action is None:
        return refusals.gone()
    seen = not in_person(request)
    if options.get("look"):
        needs.proposer.replan(
            action, lambda: needs.accept(renewal(action, f"instead of {action.id}"))
        )
        return None
    rule = str(options.get("rule", ""))
    proposal = needs.proposer.renewed(action, request.id, rule=rule, seen=seen)
    if action.batch and proposal.action is not None:
        needs.batches.again(action.batch, action.id, proposal.action.id)
    return shown(needs.proposer, proposal)


def _request(action: Action, request_id: str, options: dict[str, object]) -> Request:
    return Request(
        id=f"again:{request_id}",
        verb=VERB,
        user=action.requester,
        channel=str(action.origin.get("channel", "")),
        gateway=str(action.ref),
        options={"action": action.id, **options},
    )
