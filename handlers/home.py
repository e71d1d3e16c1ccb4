"""The Home tab: pending requests of its reader, running actions, what this bot can do, and where to begin."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from slack_sdk import WebClient

from deploy.access import Right
from deploy.changes.authority import Authority
from deploy.errors import GatewayBotError
from handlers.verbs import pending, status
from handlers.verbs.verb import AnyVerb
from handlers.views import errors, fleet
from handlers.views import help as help_view


@dataclass(frozen=True)
class Needs(status.TableNeeds, pending.Needs):
    """Also who may see the tab, and where it is shown; `command` is what people type, `verbs` what
    may follow it."""

    slack: WebClient
    authority: Authority
    command: str
    verbs: Sequence[AnyVerb]


def publish(needs: Needs, user: str) -> None:
    """Draw the Home tab of `user`; help at once, the gateways as soon as the clusters answer. For
    whoever is nobody here it says why it is empty."""
    try:
        needs.authority.check(Right.SEE, user)
    except GatewayBotError as error:
        refused = list(errors.trouble(error).blocks)
        needs.slack.views_publish(user_id=user, view={"type": "home", "blocks": refused})
        return
    help_blocks = list(help_view.overview(needs.command, needs.verbs).blocks)
    needs.slack.views_publish(user_id=user, view={"type": "home", "blocks": help_blocks})
    seen = status.rows_everywhere(needs)
    overview = fleet.overview(
        seen.rows,
        seen.failed,
        time.time(),
        unseen=seen.unseen,
        left_out=seen.left_out,
        buttons=False,
    )
    waiting = pending.waiting_for(needs, user)
    blocks = [*waiting, *overview.blocks, *help_blocks]
    needs.slack.views_publish(user_id=user, view={"type": "home", "blocks": blocks[:100]})
