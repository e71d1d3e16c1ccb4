"""The Fix buttons under a plan: the same once more, with what a rule advises."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from deploy.actions.record import Action, State
from deploy.plans.binding import plan_from_mapping
from deploy.specs.overlay import merged
from handlers.actions import again
from handlers.services import Services
from handlers.slack import replies
from handlers.slack.payloads import Click
from handlers.verbs import revise
from handlers.views import action as view
from handlers.views import fixes


def fix(services: Services, click: Click) -> None:
    """Plan it anew with the finding's fix, and take the plan without it back.

    Nothing but an action's id and a rule's name is taken from the click: the fix itself is looked
    up in what was planned, and the new plan is judged and decided on as any other.
    """
    action_id, rule = fixes.read(click.value)
    action = services.store.get(action_id)
    if action is None:
        _tell(services, click, None)
        return
    if action.requester != click.user:
        _tell(services, click, action, "not-requester")
        return
    patch = _patch(action, rule)
    if patch is None or action.state is not State.PENDING:
        _tell(services, click, action)
        return
    asked = again.request_for(action, f"{action.id}:{rule}")
    spec = merged(json.loads(asked.options["spec"]), patch)
    options = {**asked.options, "spec": json.dumps(spec)}
    if options["verb"] in (revise.RESTART.name, revise.SCALE.name):
        # More than that is asked for now: the gateway as it is planned, with the fix.
        options["verb"] = action.kind
    services.accept(dataclasses.replace(asked, options=options))
    services.store.cancel(
        action.id, by=click.user, digest=action.digest, request_id=f"fix:{action.id}:{rule}"
    )
    services.wake(action.id)


def _patch(action: Action, rule: str) -> Mapping[str, Any] | None:
    found = plan_from_mapping(action.plan).findings
    return next((f.fix_patch for f in found if f.rule == rule and f.fix_patch), None)


def _tell(services: Services, click: Click, action: Action | None, result: str = "already") -> None:
    replies.send(
        services.slack,
        view.refused(result, action),
        user=click.user,
        channel=click.channel,
        response_url="",
    )


CLICKS = dict.fromkeys(fixes.ACTIONS, fix)
