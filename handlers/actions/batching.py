"""From a command about several gateways to one batch, whose members are planned one after the other."""

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from deploy.actions.action import action_id
from deploy.actions.batches import Batch, Batches, Selection, Unplanned, batch_id, member_request
from deploy.actions.store import ActionStore
from deploy.errors import GatewayBotError
from deploy.gateway import GatewayRef
from deploy.log_context import request_reference
from handlers.actions import asking
from handlers.actions.asking import words
from handlers.slack.payloads import Request
from handlers.views import batch_replies
from handlers.views.reply import Reply

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Needs(asking.Needs):
    """What it takes to ask for a change of several gateways."""

    store: ActionStore
    batches: Batches


@dataclass(frozen=True)
class Chosen:
    """The gateways that a command is about, in their order, and those that it leaves out and why.

    `note` is said where there is nothing to plan.
    """

    refs: Sequence[GatewayRef]
    unplanned: Sequence[Unplanned] = ()
    note: str = ""


AskOne = Callable[[Request, GatewayRef, str], Reply | None]
"""Plans one member: its part of the request, its gateway, and the ID of its batch."""


def ask_each(
    needs: Needs,
    request: Request,
    kind: str,
    how: Mapping[str, str],
    choose: Callable[[], Chosen],
    ask_one: AskOne,
) -> Reply | None:
    """Plan it for each gateway that is chosen, as one batch; a reply where there is none.

    `how` says by which option they are chosen. Done again for the same request it resumes with the
    gateways that were chosen the first time.
    """
    batch = needs.batches.get(batch_id(request.id))
    if batch is None:
        chosen = choose()
        if len(chosen.refs) == 1:
            return _alone(request, chosen, ask_one)
        if not chosen.refs:
            return batch_replies.nothing_planned(chosen.unplanned, chosen.note)
        selection = Selection(
            kind,
            how,
            request.user,
            request.channel,
            words(request, "reason"),
            words(request, "break-glass"),
        )
        batch = needs.batches.create(request.id, selection, chosen.refs, chosen.unplanned)
    skipped = {each.name for each in batch.unplanned}
    for member in batch.members:
        if str(member.ref) not in skipped:
            _plan(needs, request, batch, member.ref, ask_one)
    needs.batches.planned(batch)
    if needs.store.versions_of(batch.actions):
        return None
    return batch_replies.nothing_planned((needs.batches.get(batch.id) or batch).unplanned)


def _alone(request: Request, chosen: Chosen, ask_one: AskOne) -> Reply | None:
    """The only one is not a batch; with others left out, everything that is to say is one reply."""
    (ref,) = chosen.refs
    if not chosen.unplanned:
        return ask_one(_part(request, ref), ref, "")
    try:
        reply = ask_one(_part(request, ref), ref, "")
    except GatewayBotError as error:
        return batch_replies.nothing_planned((_unplanned(ref, error), *chosen.unplanned))
    if reply is None:
        return batch_replies.not_planned(chosen.unplanned)
    return batch_replies.nothing_planned((Unplanned(str(ref), reply.text), *chosen.unplanned))


def _plan(needs: Needs, request: Request, batch: Batch, ref: GatewayRef, ask_one: AskOne) -> None:
    part = _part(request, ref)
    # A bot that died over this very command has planned some of them.
    if needs.store.versions_of([action_id(part.id)]):
        return
    try:
        reply = ask_one(part, ref, batch.id)
    except GatewayBotError as error:
        needs.batches.skip(batch, ref, _unplanned(ref, error).why, error.reason)
    except Exception:  # one that cannot be planned takes nothing from the others
        log.exception("%s of %s could not be planned", batch.selection.kind, ref)
        needs.batches.skip(batch, ref, _fault(request))
    else:
        if reply is not None:
            needs.batches.skip(batch, ref, reply.text)


def _fault(request: Request) -> str:
    return f"Internal error: the bot's log has the details under {request_reference(request.id)}."


def _unplanned(ref: GatewayRef, error: GatewayBotError) -> Unplanned:
    return Unplanned(str(ref), f"{error.happened} {error.remedy}".strip(), error.reason)


def _part(request: Request, ref: GatewayRef) -> Request:
    return dataclasses.replace(request, id=member_request(request.id, ref), gateway=str(ref))
