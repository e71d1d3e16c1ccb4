"""`/gateway annotate`: the verb of the kind of change that only tests know, and its words."""

from deploy.access import Right
from deploy.errors import InvalidInput
from handlers.actions.asking import Needs, ask, words
from handlers.fleet import find
from handlers.slack.payloads import Request
from handlers.verbs.options import DECISION_OPTIONS
from handlers.verbs.verb import Option, Verb
from handlers.views.reply import Reply
from handlers.views.words.help import Group
from handlers.views.words.kinds import KindWords
from tests.support.annotating.kind import ANNOTATE, NoteRequest

WORDS = KindWords("Annotate {name} on {place}", "annotate this", "annotate {gateway}", "Annotate")


def run(needs: Needs, request: Request) -> Reply | None:
    """Plan it and put the plan before those who decide."""
    note = words(request, "note")
    if not note:
        raise InvalidInput("Required: `--note`.", field="note")
    ref = find(needs.caches, request.gateway)
    return ask(needs.proposer, request, ANNOTATE, NoteRequest(ref, note), ref)


VERB = Verb(
    ANNOTATE,
    "puts a note on a gateway",
    Needs,
    run,
    Right.ASK,
    group=Group.CHANGE,
    gateway="required",
    options=(Option("note", "what it is to say", "text", required=True), *DECISION_OPTIONS),
    examples=('annotate edge-1 --note "read the runbook first"',),
)
