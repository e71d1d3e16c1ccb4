"""The table of verbs: a new one is its own file in handlers/, its view, and its line here."""

from handlers import deploy, help, status
from handlers.verb import Verb

_VERBS: tuple[Verb, ...] = (
    deploy.VERB,
    status.VERB,
)

VERBS: tuple[Verb, ...] = (*_VERBS, help.verb(_VERBS))
