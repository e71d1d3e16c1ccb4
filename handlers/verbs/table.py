"""The table of verbs: a new one is its own file in handlers/, its view, and its line here."""

from handlers.verbs import (
    adopt,
    approvals,
    delete,
    deploy,
    expiring,
    export,
    help,
    inspect,
    logs,
    regenerate_key,
    revise,
    rotate,
    status,
    tags,
    whoami,
    window,
)
from handlers.verbs.verb import Verb

_VERBS: tuple[Verb, ...] = (
    deploy.VERB,
    status.VERB,
    status.LIST,
    logs.VERB,
    adopt.VERB,
    rotate.VERB,
    expiring.VERB,
    regenerate_key.VERB,
    revise.SCALE,
    revise.RESTART,
    revise.ROLLBACK,
    inspect.HISTORY,
    inspect.DIFF,
    inspect.CHECK,
    export.VERB,
    delete.VERB,
    approvals.PENDING,
    approvals.APPROVE,
    approvals.DENY,
    approvals.CANCEL,
    window.VERB,
    tags.VERB,
    whoami.VERB,
)

VERBS: tuple[Verb, ...] = (*_VERBS, help.verb(_VERBS))
