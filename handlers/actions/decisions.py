"""The buttons of an action's message: confirm, approve, deny, cancel, see the whole plan.

What a click carries is not trusted: the id is looked up, who may decide is asked of Slack at that
moment, and the store checks state, digest, time and votes in one step.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any

from deploy.actions.record import Action, State
from deploy.actions.store import Decision
from deploy.errors import GatewayBotError, InvalidInput
from handlers.actions import again
from handlers.services import Services
from handlers.slack import replies
from handlers.slack.payloads import Click, Submission
from handlers.views import action as view
from handlers.views import approvals, errors
from handlers.views import denial as modal
from handlers.views import details as whole
from handlers.views.reply import Reply

REASON_LIMIT = 500


def confirm(services: Services, click: Click) -> None:
    """The requester says yes to exactly what was shown."""
    action_id, digest = _value(click)
    _answer(services, click, lambda: confirmed(services, action_id, click.user, digest, _id(click)))


def approve(services: Services, click: Click) -> None:
    """An approver says yes to exactly what was shown."""
    action_id, digest = _value(click)
    _answer(services, click, lambda: approved(services, action_id, click.user, digest, _id(click)))


def cancel(services: Services, click: Click) -> None:
    """The requester takes the request back."""
    action_id, digest = _value(click)
    _answer(
        services,
        click,
        lambda: services.store.cancel(
            action_id, by=click.user, digest=digest, request_id=_id(click)
        ),
    )


def deny(services: Services, click: Click) -> None:
    """Ask why, where the person may deny it now; the denial counts once the reason is given."""
    action_id, digest = _value(click)
    action = services.store.get(action_id)
    result = _why_not(services, action, click.user, digest)
    copy = _copy(click, action)
    if result:
        _tell(services, click, view.refused(result, action))
        if action is not None and copy:
            _redraw(services, action, click.user, click.channel, copy)
        return
    services.slack.views_open(
        trigger_id=click.trigger_id,
        view=modal.ask(action_id, digest, click.channel, copy),
    )


def deny_with_reason(services: Services, submission: Submission) -> None:
    """The reason was given. InvalidInput keeps the form open; what else is to say goes to the
    person alone."""
    asked = modal.read(submission.private_metadata, submission.values)
    reason = checked_reason(asked.reason)
    decision = denied(
        services, asked.action_id, submission.user, asked.digest, reason, submission.id
    )
    services.wake(asked.action_id)
    if decision.action is not None and asked.copy:
        _redraw(services, decision.action, submission.user, asked.channel, asked.copy)
    if not decision.counted:
        replies.send(
            services.slack,
            view.refused(decision.result, decision.action),
            user=submission.user,
            channel=asked.channel,
            response_url="",
        )


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
    services.slack.views_open(trigger_id=click.trigger_id, view=whole.modal(action))


def ask_again(services: Services, click: Click) -> None:
    """Plan the same once more, for whoever asked for it."""
    action_id, _digest = _value(click)
    action = services.store.get(action_id)
    if action is None:
        _tell(services, click, view.gone())
        return
    if action.requester != click.user:
        _tell(services, click, view.refused("not-requester", action))
        return
    request = again.request_for(action, f"click:{_id(click)}")
    if not services.gatekeeper.same_freeze(action):
        # An emergency of then is no reason to go through a freeze of now.
        request = dataclasses.replace(request, options={**request.options, "break-glass": ""})
    services.accept(request)


def show(services: Services, click: Click) -> None:
    """The action's plan with its buttons, for one person."""
    action_id, _digest = _value(click)
    action = services.store.get(action_id)
    _tell(services, click, approvals.plan_to_approve(action) if action else view.gone())


def confirmed(
    services: Services, action_id: str, user: str, digest: str, request_id: str
) -> Decision:
    """Record a confirmation, where the window it rests on is open still. Refused in a freeze."""
    action = _thawed(services, action_id)
    open_still = action is None or services.gatekeeper.window_open(action.policy)
    decision = services.store.confirm(
        action_id, by=user, digest=digest, request_id=request_id, window_open=open_still
    )
    if decision.result == "window-closed":
        services.store.lapse(action_id)
    return decision


def approved(
    services: Services, action_id: str, user: str, digest: str, request_id: str
) -> Decision:
    """Record an approval, if `user` is an approver now. Unavailable where that cannot be read,
    Refused in a freeze."""
    action = _thawed(services, action_id)
    return services.store.approve(
        action_id,
        by=user,
        person=_person(services, action, user),
        eligible=_eligible(services, action, user),
        digest=digest,
        request_id=request_id,
    )


def denied(
    services: Services, action_id: str, user: str, digest: str, reason: str, request_id: str
) -> Decision:
    """Record a denial, if `user` is an approver now. Unavailable where that cannot be read."""
    action = services.store.get(action_id)
    return services.store.deny(
        action_id,
        by=user,
        person=_person(services, action, user),
        eligible=_eligible(services, action, user),
        digest=digest,
        reason=reason,
        request_id=request_id,
    )


def checked_reason(text: str) -> str:
    """A person's reason. InvalidInput when there is none, or too much of it."""
    reason = " ".join(text.split())
    if not reason:
        raise InvalidInput("A reason is needed.", field="reason", remedy="Say why in a few words.")
    if len(reason) > REASON_LIMIT:
        raise InvalidInput(f"A reason has at most {REASON_LIMIT} characters.", field="reason")
    return reason


def _thawed(services: Services, action_id: str) -> Action | None:
    """The action; Refused where it waits for a yes and a freeze has begun since."""
    action = services.store.get(action_id)
    if action is not None and action.state is State.PENDING:
        services.gatekeeper.check_freeze(action)
    return action


def _eligible(services: Services, action: Action | None, user: str) -> bool:
    return action is not None and services.gatekeeper.may_decide(action, user).allowed


def _why_not(services: Services, action: Action | None, user: str, digest: str) -> str:
    """Why a denial would not count, in the order in which the store looks; empty where it would.
    Unavailable where it cannot be read who may decide."""
    if action is None:
        return "gone"
    if action.state is not State.PENDING:
        return "expired" if action.state is State.EXPIRED else "already"
    if action.digest != digest:
        return "stale"
    person = _person(services, action, user)
    if user == action.requester or person == action.person:
        return "self"
    if not _eligible(services, action, user):
        return "not-approver"
    return "voted" if any(vote.person == person for vote in action.votes) else ""


def _person(services: Services, action: Action | None, user: str) -> str:
    """Who is behind `user`, by the name that the action has for them: the settings may have learned
    only since then that two identities are one person's."""
    person = services.gatekeeper.person(user)
    if action is None:
        return person
    known = {services.gatekeeper.person(vote.by): vote.person for vote in action.votes}
    known[services.gatekeeper.person(action.requester)] = action.person
    return known.get(person, person)


def _answer(services: Services, click: Click, decide: Any) -> None:
    try:
        decision: Decision = decide()
    except GatewayBotError as error:
        _tell(services, click, errors.trouble(error))
        return
    if not decision.counted:
        _tell(services, click, view.refused(decision.result, decision.action))
    if decision.action is not None:
        services.wake(decision.action.id)
        copy = _copy(click, decision.action)
        if copy:
            _redraw(services, decision.action, click.user, click.channel, copy)


def _copy(click: Click, action: Action | None) -> str:
    """The response_url of a copy of the action's message, which was shown to this person alone;
    empty for the message itself, which is kept true anyway."""
    container = click.body.get("container") or {}
    clicked = (container.get("channel_id"), container.get("message_ts"))
    own = (action.message or {}) if action else {}
    if not container.get("message_ts") or clicked == (own.get("channel"), own.get("ts")):
        return ""
    return click.response_url


def _redraw(services: Services, action: Action, user: str, channel: str, copy: str) -> None:
    reply = approvals.plan_to_approve(action)
    replies.send(services.slack, reply, user=user, channel=channel, response_url=copy, replace=True)


def _id(click: Click) -> str:
    """The same for each delivery of one click and for no other: action_ts is the click's own."""
    action: dict[str, Any] = click.body["actions"][0]
    return f"{click.user}:{action['action_id']}:{action.get('action_ts', click.trigger_id)}"


def _value(click: Click) -> tuple[str, str]:
    try:
        value = json.loads(click.value)
        return str(value["id"]), str(value["digest"])
    except (ValueError, KeyError, TypeError):
        return "", ""


def _tell(services: Services, click: Click, reply: Reply) -> None:
    replies.send(
        services.slack,
        reply,
        user=click.user,
        channel=click.channel,
        response_url="",
    )


CLICKS: Mapping[str, Callable[[Services, Click], None]] = {
    "action_confirm": confirm,
    "action_approve": approve,
    "action_deny": deny,
    "action_cancel": cancel,
    "action_details": details,
    "action_again": ask_again,
    "action_show": show,
}
"""What each button does, by its action_id."""
