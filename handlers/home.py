"""The Home tab: what waits for its reader, what runs, what this bot can do, and where to begin."""

import time
from collections.abc import Sequence

from deploy.access import Right
from deploy.errors import GatewayBotError
from handlers.services import Services
from handlers.verbs import pending, status
from handlers.verbs.verb import Verb
from handlers.views import errors, fleet
from handlers.views import help as help_view


def publish(services: Services, verbs: Sequence[Verb], user: str) -> None:
    """Draw the Home tab of `user`; help at once, the gateways as soon as the clusters answer. For
    whoever is nobody here it says why it is empty."""
    try:
        services.authority.check(Right.SEE, user)
    except GatewayBotError as error:
        refused = list(errors.trouble(error).blocks)
        services.slack.views_publish(user_id=user, view={"type": "home", "blocks": refused})
        return
    help_blocks = list(help_view.overview(services.command, verbs).blocks)
    services.slack.views_publish(user_id=user, view={"type": "home", "blocks": help_blocks})
    rows, failed = status.rows_everywhere(services)
    overview = fleet.overview(rows, failed, time.time(), buttons=False)
    waiting = pending.waiting_for(services, user)
    blocks = [*waiting, *overview.blocks, *help_blocks]
    services.slack.views_publish(user_id=user, view={"type": "home", "blocks": blocks[:100]})
