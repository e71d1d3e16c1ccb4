"""`/gateway approve`: saying yes by text."""

from deploy.access import Right
from deploy.changes.decide import By
from deploy.errors import InvalidInput
from handlers.actions.allowing import allowed
from handlers.actions.by_text import NAMED, Needs, awaits_yes, beside, named, reply_to
from handlers.lanes import Lane
from handlers.slack.payloads import Request
from handlers.verbs.verb import Option, Verb
from handlers.views import approvals as view
from handlers.views.reply import Reply
from handlers.views.words.help import Group

_SHORTEST = 8
"""Of a plan's digest: as many characters as nobody meets by chance."""


def run(needs: Needs, request: Request) -> Reply | None:
    """Approve what was shown: with the digest of its plan, else the plan is shown with a button."""
    given = str(request.options.get("plan", "")).lower()
    action = named(needs, request, awaits_yes, own=False, digest=given)
    if not given:
        theirs = allowed(needs.decider, needs.authority, action, request.user)
        return view.plan_to_approve(
            action,
            needs.authority.environment,
            theirs,
            beside(needs, action),
            needs.authority.paused(action),
        )
    if len(given) < _SHORTEST:
        raise InvalidInput(
            f"`--plan` takes at least {_SHORTEST} characters of the plan's digest.",
            field="plan",
            remedy="Copy it from below the plan.",
        )
    digest = action.digest if action.digest.startswith(given) else given
    decision = needs.decider.agree(action.id, By(request.user, digest, request.id))
    return reply_to(decision, f"You approved {action.id}.")


VERB = Verb(
    "approve",
    "approves a request; without the plan's ID it shows the plan first",
    Needs,
    run,
    Right.DECIDE,
    group=Group.DECIDE,
    lane=Lane.DECISIONS,
    alone=True,
    gateway="required",
    positional=NAMED,
    options=(Option("plan", "the first characters of the plan's digest, as shown", "digest"),),
    examples=("approve 7K3MAB", "approve edge-1", "approve 7K3MAB --plan 5d1c02aa91ff"),
)
