"""`/gateway list`: every gateway in one table, which is what `status` shows without a name."""

from deploy.access import Right
from handlers.verbs.status import OPTIONS, Needs, run
from handlers.verbs.verb import Verb

VERB = Verb(
    "list",
    "shows every gateway in one table",
    Needs,
    run,
    Right.SEE,
    options=OPTIONS,
    examples=("list", "list --cluster west", "list --filter 2.11"),
    synonyms=("ls", "ps"),
)
