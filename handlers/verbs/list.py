"""`/gateway list`: every gateway in one table, which is what `status` shows without a name."""

from deploy.access import Right
from handlers.verbs.status import OPTIONS, Needs, run
from handlers.verbs.verb import Verb
from handlers.views.words.help import Group

VERB = Verb(
    "list",
    "lists every gateway, the most urgent first",
    Needs,
    run,
    Right.SEE,
    group=Group.LOOK,
    options=OPTIONS,
    examples=("list", "list --cluster west", "list --filter 2.11"),
    synonyms=("ls", "ps"),
)
