"""The Home tab: what waits for its reader, what runs, what this bot can do, and where to begin."""

import time
from collections.abc import Sequence

from handlers.services import Services
from handlers.verbs import pending, status
from handlers.verbs.verb import Verb
from handlers.views import fleet
from handlers.views import help as help_view


def publish(services: Services, verbs: Sequence[Verb], user: str) -> None:
    """Draw the Home tab of `user`; help at once, the gateways as soon as the clusters answer."""
    help_blocks = list(help_view.overview(services.command, verbs).blocks)
    services.slack.views_publish(user_id=user, view={"type": "home", "blocks": help_blocks})
    rows, failed = status.rows_everywhere(services)
    overview = fleet.overview(rows, failed, time.time(), buttons=False)
    waiting = pending.waiting_for(services, user)
    blocks = [*waiting, *overview.blocks, *help_blocks]
    services.slack.views_publish(user_id=user, view={"type": "home", "blocks": blocks[:100]})
