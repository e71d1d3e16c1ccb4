"""`/gateway rotate`: a new token for one gateway, or for several as one batch."""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial

from deploy.access import Right
from deploy.actions.action import action_id
from deploy.actions.batches import Unplanned, member_request
from deploy.changes.kinds import ROTATE
from deploy.commands import Command
from deploy.errors import InvalidInput
from deploy.gateway import GatewayRef
from deploy.health.levels import Levels
from deploy.health.status import GatewaySummary
from deploy.plans.requests import RotateRequest
from deploy.tokens.rotation import Rotation, parse_key, parse_lifetime
from deploy.tokens.token import KEYS, LONGEST
from handlers.actions import batching
from handlers.actions.asking import ask
from handlers.actions.batching import Chosen, ask_each
from handlers.fleet import find, found_everywhere
from handlers.lanes import Lane
from handlers.slack.payloads import Request
from handlers.verbs.options import DECISION_OPTIONS, TAKE_OVER
from handlers.verbs.verb import Option, Verb
from handlers.views.reply import Reply
from handlers.views.text import counted
from handlers.views.words import unplanned as words
from handlers.views.words.help import Group

_AT_ONCE = 50
"""How many plans one command makes: a request is worked on for a minute before another bot takes it."""


@dataclass(frozen=True)
class Needs(batching.Needs):
    """`levels` knows which tokens Azure refuses."""

    levels: Levels


def run(needs: Needs, request: Request) -> Reply | None:
    """Plan a rotation of one gateway, or of each that is chosen."""
    options = request.options
    rotation = Rotation(
        parse_key(str(options["key"])) if "key" in options else None,
        parse_lifetime(str(options["ttl"])) if "ttl" in options else LONGEST,
    )
    several = bool(options.get("all")) or "expiring" in options
    if request.gateway and several:
        raise InvalidInput(
            "Name one gateway, or choose several with `--all` or `--expiring`.", field="gateway"
        )
    if request.options.get("all") and "expiring" in request.options:
        raise InvalidInput("Choose `--all` or `--expiring`, not both.", field="expiring")
    if several:
        how = {"expiring": str(options["expiring"])} if "expiring" in options else {"all": "true"}
        return ask_each(
            needs,
            request,
            ROTATE,
            how,
            partial(_chosen, needs, request),
            partial(_one, needs, rotation),
        )
    if not request.gateway:
        raise InvalidInput(
            "Required: a gateway.",
            field="gateway",
            remedy=f"Name one, as in {Command('rotate', 'edge-1')}, or choose several with "
            f"{Command('rotate', '--all')} or {Command('rotate', '--expiring 7d')}.",
        )
    return _one(needs, rotation, request, find(needs.caches, request.gateway), "")


def _one(
    needs: Needs, rotation: Rotation, request: Request, ref: GatewayRef, batch: str
) -> Reply | None:
    wanted = RotateRequest(ref, rotation, bool(request.options.get("take-over")))
    return ask(needs.proposer, request, ROTATE, wanted, ref, batch=batch)


def _chosen(needs: Needs, request: Request) -> Chosen:
    """Those whose token is to be rotated, as many as one command plans, and why others are not."""
    within = str(request.options.get("expiring", ""))
    everything = found_everywhere(needs.caches)
    found, failed = everything.summaries, everything.failed
    refused = {
        each.ref
        for each in everything.gateways
        if (refusal := needs.levels.last(each).heartbeat.refusal) and refusal.proven
    }
    refs = soonest(found, within, refused)
    left_out = [Unplanned(name, error.happened) for name, error in failed.items()]
    others = {g.ref: g.kind for g in found if not g.manageable}
    left_out += [
        Unplanned(
            str(ref), f"It is a {others[ref]}; this bot changes Deployments only.", words.KIND
        )
        for ref in refs
        if ref in others
    ]
    refs = [ref for ref in refs if ref not in others]
    if within:
        left_out += [
            Unplanned(str(g.ref), "When its token expires is not known.", words.EXPIRY)
            for g in found
            if g.token_source == "unknown"
        ]
    under_way = {
        action.ref: action.id
        for action in needs.store.open()
        # A bot that died over this very command may have planned it.
        if isinstance(action.request, RotateRequest)
        and action.id != action_id(member_request(request.id, action.ref))
    }
    left_out += [
        Unplanned(str(ref), f"A rotation is already pending or running: {under_way[ref]}.")
        for ref in refs
        if ref in under_way
    ]
    free = [ref for ref in refs if ref not in under_way]
    if more := free[_AT_ONCE:]:
        left_out.append(
            Unplanned(
                counted(len(more), "more gateway"),
                "Their tokens last longer. Repeat the command once these are done.",
            )
        )
    note = f"No token is known to expire within {within}." if within and not refs else ""
    return Chosen(free[:_AT_ONCE], left_out, note)


def soonest(
    found: Sequence[GatewaySummary], within: str, refused: Collection[GatewayRef]
) -> list[GatewayRef]:
    """Those whose token Azure refuses, then those whose expires soonest; with `within`, those that
    expire by then."""
    last = time.time() + parse_lifetime(within).total_seconds() if within else None
    with_token = [g for g in found if g.token_source != "none"]
    soon = [
        g
        for g in with_token
        if last is None
        or g.ref in refused
        or (g.token_expires_at is not None and g.token_expires_at <= last)
    ]
    ordered = sorted(soon, key=lambda g: (g.ref not in refused, g.token_expires_at or 0.0, g.ref))
    return [g.ref for g in ordered]


VERB = Verb(
    "rotate",
    "gives a gateway a new token, and proves that Azure accepts it",
    Needs,
    run,
    Right.ASK,
    group=Group.TOKENS,
    lane=Lane.PLANS,
    gateway="optional",
    or_options=("all", "expiring"),
    options=(
        Option("key", "of the new token; the one not in use when left out", choices=KEYS),
        Option(
            "ttl", "how long the new token lives; as long as Azure allows when left out", "duration"
        ),
        Option("all", "every gateway that has a token", kind="flag"),
        Option("expiring", "every gateway whose token expires within this time", "duration"),
        TAKE_OVER,
        *DECISION_OPTIONS,
    ),
    examples=("rotate edge-1", "rotate edge-1 --key primary --ttl 20d", "rotate --expiring 7d"),
)
