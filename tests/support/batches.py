"""Batches as a command makes them: several gateways of which some are in production."""

from collections.abc import Sequence

from deploy.actions.action import Action
from deploy.actions.batches import Batch, Unplanned, batch_id
from deploy.gateway import GatewayRef
from deploy.plans.requests import RestartRequest
from handlers.actions.asking import ask
from handlers.actions.batching import AskOne, Chosen, Needs, ask_each
from handlers.slack.payloads import Request
from handlers.views.reply import Reply
from tests.support.actions import plan_of
from tests.support.changes import Changes
from tests.support.needs import needs

REQUEST = "command:1"
DEV = tuple(GatewayRef("west", "dev", f"edge-{number}") for number in (1, 2))
PRODUCTION = tuple(GatewayRef("west", "prod", f"edge-{number}") for number in (3, 4, 5))


def restart_each(
    changes: Changes,
    refs: Sequence[GatewayRef] = (*DEV, *PRODUCTION),
    *,
    user: str = "U1",
    channel: str = "C1",
    ask_one: AskOne | None = None,
    unplanned: Sequence[Unplanned] = (),
    **more: str,
) -> Reply | None:
    """Somebody asks to restart each of them."""
    request = Request(REQUEST, "restart", user, channel, options=more)
    chosen = Chosen(refs, unplanned)
    return ask_each(
        asking(changes), request, "restart", {"all": "true"}, lambda: chosen,
        ask_one or restarting(changes),
    )  # fmt: skip


def asking(changes: Changes) -> Needs:
    """What a command about several gateways works with."""
    return needs(Needs, proposer=changes.proposer, store=changes.store, batches=changes.batches)


def restarting(changes: Changes) -> AskOne:
    """Plans one restart."""
    changes.plans = lambda request, new_id: plan_of(request.ref, f"plan of {request.ref}")

    def ask_one(request: Request, ref: GatewayRef, batch: str) -> Reply | None:
        wanted = RestartRequest(ref, "2026-11-25T12:00:00Z")
        return ask(changes.proposer, request, "restart", wanted, ref, batch=batch)

    return ask_one


def batch_of(changes: Changes) -> Batch:
    """The batch that the command made."""
    found = changes.batches.get(batch_id(REQUEST))
    assert found is not None
    return found


def members(changes: Changes) -> dict[str, Action]:
    """The actions of its members, by the name of their gateway."""
    found = (changes.store.get(member.action) for member in batch_of(changes).members)
    return {action.ref.name: action for action in found if action is not None}
