"""`/gateway rotate`: a new token for one gateway, or for several with a decision on each."""

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass

from slack_sdk import WebClient

from deploy.access import Right
from deploy.actions.action import Action, State, action_id
from deploy.actions.store import ActionStore
from deploy.changes.decide import By, Decider
from deploy.changes.kinds import ROTATE
from deploy.errors import GatewayBotError, InvalidInput
from deploy.gateway import GatewayRef
from deploy.health.status import GatewaySummary
from deploy.plans.requests import RotateRequest
from deploy.tokens.rotation import Rotation, parse_key, parse_lifetime
from deploy.tokens.token import LONGEST
from handlers.actions import asking
from handlers.actions.asking import ask
from handlers.fleet import everywhere, find
from handlers.slack import replies
from handlers.slack.payloads import Click, Request
from handlers.verbs.options import DECISION_OPTIONS, TAKE_OVER
from handlers.verbs.verb import Option, Verb
from handlers.views import rotate as view
from handlers.views.reply import Reply

_AT_ONCE = 20
"""How many plans one command makes: each is a message of its own that somebody decides on."""
CONFIRM_ALL = "rotate_confirm_all"


@dataclass(frozen=True)
class Needs(asking.Needs):
    """Also what several at once are found, shown and confirmed with."""

    slack: WebClient
    store: ActionStore
    decider: Decider
    command: str


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
            "Name one gateway, or choose several with --all or --expiring.", field="gateway"
        )
    if request.options.get("all") and "expiring" in request.options:
        raise InvalidInput("Choose --all or --expiring, not both.", field="expiring")
    if several:
        return _several(needs, request, rotation)
    if not request.gateway:
        raise InvalidInput(
            "Required: a gateway.",
            field="gateway",
            remedy=f"Write {needs.command} rotate edge-1, or choose several with --all or "
            "--expiring 7d.",
        )
    return _one(needs, request, find(needs.caches, request.gateway), rotation)


def _one(needs: Needs, request: Request, ref: GatewayRef, rotation: Rotation) -> Reply | None:
    wanted = RotateRequest(ref, rotation, bool(request.options.get("take-over")))
    return ask(needs.proposer, request, ROTATE, wanted, ref)


def _several(needs: Needs, request: Request, rotation: Rotation) -> Reply:
    found, failed = everywhere(needs.caches)
    chosen = _chosen(found, str(request.options.get("expiring", "")))
    proposed: list[view.Proposed] = []
    refused: list[view.Refusal] = [
        view.Refusal(name, error.happened) for name, error in failed.items()
    ]
    if request.options.get("expiring"):
        refused += [
            view.Refusal(str(g.ref), "When its token expires is not known.")
            for g in found
            if g.token_source == "unknown"
        ]
    under_way = {
        action.ref: action.id
        for action in needs.store.open()
        # A bot that died over this very command may have planned some of them.
        if isinstance(action.request, RotateRequest)
        and action.id != action_id(f"{request.id}:{action.ref}")
    }
    refused += [
        view.Refusal(str(ref), f"A rotation of it waits or runs already: {under_way[ref]}.")
        for ref in chosen
        if ref in under_way
    ]
    free = [ref for ref in chosen if ref not in under_way]
    for ref in free[:_AT_ONCE]:
        one = dataclasses.replace(request, id=f"{request.id}:{ref}", gateway=str(ref))
        try:
            told = _one(needs, one, ref, rotation)
        except GatewayBotError as error:
            refused.append(view.Refusal(str(ref), f"{error.happened} {error.remedy}".strip()))
            continue
        if told is None:
            proposed.append(view.Proposed(action_id(one.id), ref))
        else:
            refused.append(view.Refusal(str(ref), told.text))
    mine = [p for p in proposed if _decides(needs.store, p.id)]
    return view.several(
        proposed,
        mine,
        refused,
        left=[str(ref) for ref in free[_AT_ONCE:]],
        within="" if chosen else str(request.options.get("expiring", "")),
    )


def _chosen(found: Sequence[GatewaySummary], within: str) -> list[GatewayRef]:
    """Those whose token expires soonest first; with `within`, those that expire by then."""
    last = time.time() + parse_lifetime(within).total_seconds() if within else None
    with_token = [g for g in found if g.token_source != "none"]
    soon = [
        g
        for g in with_token
        if last is None or (g.token_expires_at is not None and g.token_expires_at <= last)
    ]
    return [g.ref for g in sorted(soon, key=lambda g: (g.token_expires_at or 0.0, g.ref))]


def _decides(store: ActionStore, new_id: str) -> bool:
    """Whether the requester decides on it alone."""
    action = store.get(new_id)
    return action is not None and _alone(action)


def _alone(action: Action) -> bool:
    return action.policy.by == "requester" and not action.policy.windows


def confirm_all(needs: Needs, click: Click) -> None:
    """The requester confirms each of their plans that is still to be decided; others stay."""
    done, left = 0, 0
    refused: list[view.Refusal] = []
    for new_id in click.value.split(",")[:_AT_ONCE]:
        name = new_id
        try:
            action = needs.store.get(new_id)
            if action is None or action.state is not State.PENDING or not _alone(action):
                left += 1
                continue
            name = str(action.ref)
            by = By(click.user, action.digest, f"{click.user}:all:{new_id}")
            decision = needs.decider.agree(new_id, by)
        except GatewayBotError as error:
            # One that cannot be confirmed takes nothing from the others.
            refused.append(view.Refusal(name, error.happened))
            continue
        if decision.counted:
            done += 1
        else:
            left += 1
    replies.send(
        needs.slack,
        view.confirmed(done, left, refused),
        user=click.user,
        channel=click.channel,
        response_url=click.response_url,
        replace=True,
    )


VERB = Verb(
    "rotate",
    "gives a gateway a new token, and proves that Azure takes it",
    Needs,
    run,
    Right.ASK,
    gateway="optional",
    options=(
        Option("key", "primary or secondary; the one not in use when left out", "KEY"),
        Option("ttl", "how long the new token lives; as long as Azure allows when left out", "20d"),
        Option("all", "every gateway that has a token", kind="flag"),
        Option("expiring", "every gateway whose token expires within this time", "7d"),
        TAKE_OVER,
        *DECISION_OPTIONS,
    ),
    examples=("rotate edge-1", "rotate edge-1 --key primary --ttl 20d", "rotate --expiring 7d"),
    clicks={CONFIRM_ALL: confirm_all},
)
