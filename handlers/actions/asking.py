"""From what a person asks for to an action that waits for its decision, or a reply that says why not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deploy.actions.action import ChangeRequest
from deploy.changes.propose import Ask, Proposal, Proposer
from deploy.gateway import GatewayRef
from deploy.health.cache import ClusterCache
from handlers.slack.payloads import IN_PERSON, Request
from handlers.views import action as action_view
from handlers.views.reply import Reply


@dataclass(frozen=True)
class Needs:
    """What it takes to find a gateway and to ask for a change of it."""

    caches: Mapping[str, ClusterCache]
    proposer: Proposer


def ask(
    proposer: Proposer,
    request: Request,
    kind: str,
    wanted: ChangeRequest,
    ref: GatewayRef,
    *,
    notes: Sequence[str] = (),
    batch: str = "",
    with_fix: action_view.WithFix | None = None,
) -> Reply | None:
    """Plan it and put it before those who decide; nothing is changed yet.

    The plan is shown as the action's own message, so a reply is left only where there is nothing
    to decide, or nothing may be decided. `with_fix` is as in `handlers.views.action.denied`.
    """
    asked = Ask(
        kind,
        wanted,
        ref,
        request.user,
        request.id,
        {"channel": request.channel, "response_url": request.response_url},
        why=words(request, "reason"),
        break_glass=words(request, "break-glass"),
        seen=not in_person(request),
        notes=notes,
        batch=batch,
    )
    return shown(proposer, proposer.propose(asked), with_fix)


def shown(
    proposer: Proposer, proposal: Proposal, with_fix: action_view.WithFix | None = None
) -> Reply | None:
    """What is to say beside the action's own message."""
    if proposal.action is not None:
        return None
    if proposal.plan.denied:
        return action_view.denied(
            proposal.plan, with_fix, proposer.environment(proposal.plan.spec.ref)
        )
    return action_view.no_change(proposal.plan, proposal.beside)


def in_person(request: Request) -> bool:
    """Whether it was asked for where nobody but the requester and the bot are."""
    return request.channel.startswith(IN_PERSON)


def listed(names: Sequence[str], limit: int = 12) -> str:
    """The names on one line, cut where there are too many."""
    more = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {more} more" if more > 0 else "")


def words(request: Request, option: str) -> str:
    """What was given, on one line: it must not look like lines that the bot wrote."""
    return " ".join(str(request.options.get(option, "")).split())
