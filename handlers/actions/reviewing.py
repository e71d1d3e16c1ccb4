"""An action in a modal: its plan, and the buttons that its reader may use."""

import logging
import secrets
import time
from typing import Protocol

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError

from deploy.actions.action import Action, State
from deploy.actions.store import ActionStore
from deploy.changes.authority import Authority
from deploy.changes.decide import Decider
from handlers.actions.allowing import allowed
from handlers.slack.payloads import Click
from handlers.views import action as action_view
from handlers.views import modals, refusals
from handlers.views.reply import Reply, View

log = logging.getLogger(__name__)


class Needs(Protocol):
    """Where actions are, who decides them, and where they are shown."""

    @property
    def slack(self) -> WebClient: ...
    @property
    def store(self) -> ActionStore: ...
    @property
    def authority(self) -> Authority: ...
    @property
    def decider(self) -> Decider: ...


def opened(needs: Needs, click: Click, action_id: str) -> Reply | None:
    """Open the action's plan for whoever clicked; on top of the modal that they clicked in."""
    action = needs.store.get(action_id)
    if action is None:
        return refusals.gone()
    show(needs.slack, click, _view(needs, action, click.user, secrets.token_hex(16)))
    return None


def show(slack: WebClient, click: Click, view: View) -> None:
    """Open a modal, on top of the one whose button was clicked if it was one."""
    open_view = slack.views_push if modals.modal_of(click.value) else slack.views_open
    open_view(trigger_id=click.trigger_id, view=view)


def redrawn(
    needs: Needs, action: Action, user: str, modal: str, said: Reply | None = None
) -> Reply | None:
    """Draw that modal again with what became of the action, and with what is `said` of the click;
    that is left to say where the modal is closed by now."""
    try:
        needs.slack.views_update(external_id=modal, view=_view(needs, action, user, modal, said))
    except (SlackApiError, SlackClientError, OSError) as error:
        log.info("the modal of action %s is not drawn again: %s", action.id, error)
        return said
    return None


def _view(needs: Needs, action: Action, user: str, modal: str, said: Reply | None = None) -> View:
    others = needs.store.open_on(action.ref) if action.state is State.PENDING else ()
    beside = [each for each in others if each.id != action.id]
    paused = needs.authority.paused(action)
    _, blocks = action_view.render(
        action, needs.authority.environment, beside=beside, paused=paused
    )
    may = allowed(needs.decider, needs.authority, action, user)
    return modals.review(action, blocks, may, modal, time.time(), said.blocks if said else ())
