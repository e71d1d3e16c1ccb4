"""`/gateway stop`: ending what runs, at a safe point."""

from deploy.access import Right
from deploy.changes.decide import By
from handlers.actions.by_text import NAMED, Needs, named, reply_to, runs
from handlers.lanes import Lane
from handlers.slack.payloads import Request
from handlers.verbs.verb import Verb
from handlers.views.reply import Reply
from handlers.views.words.help import Group


def run(needs: Needs, request: Request) -> Reply | None:
    """Stop it. Nothing goes back automatically; its message says what the cluster holds."""
    action = named(needs, request, runs)
    by = By(request.user, action.digest, request.id)
    return reply_to(needs.decider.stop(action.id, by), f"{action.id} is stopping.")


VERB = Verb(
    "stop",
    "stops a running action: the bot changes nothing more; Kubernetes finishes what was applied",
    Needs,
    run,
    Right.STOP,
    group=Group.DECIDE,
    lane=Lane.DECISIONS,
    gateway="required",
    positional=NAMED,
    examples=("stop 7K3MAB", "stop edge-1"),
)
