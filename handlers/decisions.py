"""The buttons of an action's message: confirm, cancel, see the whole plan.

What a click carries is not trusted: the id is looked up, and the store checks who clicks, whether
the digest is still the one shown, and whether the time is over, in one step.
"""

import json
from typing import Any

from deploy.actions.record import Action
from deploy.actions.store import Decision
from deploy.errors import GatewayBotError
from handlers import replies
from handlers.services import Services
from handlers.verb import Click, Reply
from handlers.views import action as view
from handlers.views import errors

CONFIRM = "action_confirm"
CANCEL = "action_cancel"
DETAILS = "action_details"


def confirm(services: Services, click: Click) -> None:
    """The requester says yes to exactly what was shown."""
    _decide(services, click, services.store.confirm)


def cancel(services: Services, click: Click) -> None:
    """The requester takes the request back."""
    _decide(services, click, services.store.cancel)


def details(services: Services, click: Click) -> None:
    """Open the whole plan in a modal."""
    action_id, _digest = _value(click)
    try:
        action = services.store.get(action_id)
    except GatewayBotError as error:
        _tell(services, click, errors.trouble(error))
        return
    if action is None:
        _tell(services, click, view.gone())
        return
    services.slack.views_open(trigger_id=click.trigger_id, view=view.details_modal(action))


def _decide(services: Services, click: Click, transition: Any) -> None:
    action_id, digest = _value(click)
    try:
        decision: Decision = transition(
            action_id, by=click.user, digest=digest, request_id=_request_id(click)
        )
    except GatewayBotError as error:
        _tell(services, click, errors.trouble(error))
        return
    if decision.result in ("done", "replayed"):
        services.wake(action_id)
        return
    _tell(services, click, view.refused(decision.result, decision.action))
    services.wake(action_id)


def _request_id(click: Click) -> str:
    """The same for each delivery of one click and for no other: action_ts is the click's own."""
    action: dict[str, Any] = click.body["actions"][0]
    return f"{click.user}:{action['action_id']}:{action.get('action_ts', click.trigger_id)}"


def _value(click: Click) -> tuple[str, str]:
    try:
        value = json.loads(click.value)
        return str(value["id"]), str(value["digest"])
    except (ValueError, KeyError, TypeError):
        return "", ""


def button_value(action: Action) -> str:
    """What a button carries: which action, and the digest of what was shown."""
    return json.dumps({"id": action.id, "digest": action.digest})


def _tell(services: Services, click: Click, reply: Reply) -> None:
    replies.send(
        services.slack,
        reply,
        user=click.user,
        channel=click.channel,
        response_url="",
    )
