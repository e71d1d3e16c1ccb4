"""`/gateway restart`: new pods of the same version, one after another."""

import datetime

from deploy.access import Right
from deploy.changes.kinds import RESTART
from deploy.plans.requests import RestartRequest
from deploy.tokens.token import iso
from handlers.actions.asking import Needs, ask
from handlers.fleet import find
from handlers.lanes import Lane
from handlers.slack.payloads import Request
from handlers.verbs.options import DECISION_OPTIONS, TAKE_OVER
from handlers.verbs.verb import Verb
from handlers.views.reply import Reply
from handlers.views.words.help import Group


def run(needs: Needs, request: Request) -> Reply | None:
    """Plan it and put the plan before those who decide."""
    ref = find(needs.caches, request.gateway)
    moment = iso(datetime.datetime.now(datetime.UTC))
    wanted = RestartRequest(ref, moment, bool(request.options.get("take-over")))
    return ask(needs.proposer, request, RESTART, wanted, ref)


VERB = Verb(
    RESTART,
    "replaces a gateway's pods, one after another",
    Needs,
    run,
    Right.ASK,
    group=Group.CHANGE,
    lane=Lane.PLANS,
    gateway="required",
    options=(TAKE_OVER, *DECISION_OPTIONS),
    examples=("restart edge-1",),
)
