"""The buttons of an action's message: confirm, approve, deny, cancel, see the whole plan.

What a click carries is not trusted: the id is looked up, who may decide is asked of Slack at that
moment, and the store checks state, digest, time and votes in one step.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from slack_sdk import WebClient

from deploy.actions.action import Action
from deploy.actions.decision import Decision
from deploy.actions.store import ActionStore
from deploy.changes.decide import By, Decider
from deploy.changes.policies import Policies
from deploy.errors import GatewayBotError
from handlers.actions import again
from handlers.slack import replies
from handlers.slack.payloads import Click, Request, Submission
from handlers.views import action as view
from handlers.views import approvals, errors
from handlers.views import denial as modal
from handlers.views import details as whole
from handlers.views.reply import Reply


@dataclass(frozen=True)
class Needs:
    """What the buttons of an action's message work with; `accept` makes a request safe and starts
    on it."""

    slack: WebClient
    store: ActionStore
    decider: Decider
    policies: Policies
    accept: Callable[[Request], None]


def agree(needs: Needs, click: Click) -> None:
    """Somebody says yes to exactly what was shown: the requester confirms, an approver approves."""
    action_id, by = _by(click)
    _answer(needs, click, lambda: needs.decider.agree(action_id, by))


def cancel(needs: Needs, click: Click) -> None:
    """The requester takes the request back."""
    action_id, by = _by(click)
    _answer(needs, click, lambda: needs.decider.cancel(action_id, by))


def stop(needs: Needs, click: Click) -> None:
    """The requester or an approver stops what runs."""
    action_id, by = _by(click)
    _answer(needs, click, lambda: needs.decider.stop(action_id, by))


def deny(needs: Needs, click: Click) -> None:
    """Ask why, where the person may deny it now; the denial counts once the reason is given."""
    action_id, by = _by(click)
    action = needs.store.get(action_id)
    result = needs.decider.would("deny", action, click.user, by.digest) if action else "gone"
    copy = _copy(click, action)
    if result != "done":
        _reply(needs.slack, click, view.refused(result, action))
        if action is not None and copy:
            _redraw(needs.slack, action, click.user, click.channel, copy)
        return
    needs.slack.views_open(
        trigger_id=click.trigger_id,
        view=modal.ask(action_id, by.digest, click.channel, copy),
    )


def deny_with_reason(needs: Needs, submission: Submission) -> None:
    """The reason was given. InvalidInput keeps the form open; what else is to say goes to the
    person alone."""
    asked = modal.read(submission.private_metadata, submission.values)
    by = By(submission.user, asked.digest, submission.id)
    decision = needs.decider.deny(asked.action_id, by, asked.reason)
    if decision.action is not None and asked.copy:
        _redraw(needs.slack, decision.action, submission.user, asked.channel, asked.copy)
    if not decision.counted:
        replies.send(
            needs.slack,
            view.refused(decision.result, decision.action),
            user=submission.user,
            channel=asked.channel,
            response_url="",
        )


def details(needs: Needs, click: Click) -> None:
    """Open the whole plan in a modal."""
    action_id, _ = _by(click)
    try:
        action = needs.store.get(action_id)
    except GatewayBotError as error:
        _reply(needs.slack, click, errors.trouble(error))
        return
    if action is None:
        _reply(needs.slack, click, view.gone())
        return
    needs.slack.views_open(trigger_id=click.trigger_id, view=whole.modal(action))


def ask_again(needs: Needs, click: Click) -> None:
    """Plan the same once more, for whoever asked for it."""
    action_id, by = _by(click)
    action = needs.store.get(action_id)
    if action is None:
        _reply(needs.slack, click, view.gone())
        return
    if action.requester != click.user:
        _reply(needs.slack, click, view.refused("not-requester", action))
        return
    # An emergency of then is no reason to override a freeze of now.
    same = needs.policies.same_freeze(action)
    needs.accept(again.renewal(action, f"click:{by.request_id}", break_glass=same))


def show(needs: Needs, click: Click) -> None:
    """The action's plan with its buttons, for one person."""
    action_id, _ = _by(click)
    action = needs.store.get(action_id)
    _reply(needs.slack, click, approvals.plan_to_approve(action) if action else view.gone())


def _answer(needs: Needs, click: Click, decide: Callable[[], Decision]) -> None:
    try:
        decision = decide()
    except GatewayBotError as error:
        _reply(needs.slack, click, errors.trouble(error))
        return
    if not decision.counted:
        _reply(needs.slack, click, view.refused(decision.result, decision.action))
    if decision.action is not None:
        copy = _copy(click, decision.action)
        if copy:
            _redraw(needs.slack, decision.action, click.user, click.channel, copy)


def _copy(click: Click, action: Action | None) -> str:
    """The response_url of a copy of the action's message, which was shown to this person alone;
    empty for the message itself, which is kept true anyway."""
    container = click.body.get("container") or {}
    clicked = (container.get("channel_id"), container.get("message_ts"))
    own = (action.message or {}) if action else {}
    if not container.get("message_ts") or clicked == (own.get("channel"), own.get("ts")):
        return ""
    return click.response_url


def _redraw(slack: WebClient, action: Action, user: str, channel: str, copy: str) -> None:
    reply = approvals.plan_to_approve(action)
    replies.send(slack, reply, user=user, channel=channel, response_url=copy, replace=True)


def _by(click: Click) -> tuple[str, By]:
    """Which action, and who decides on which plan. The request id is the same for each delivery of
    one click and for no other: action_ts is the click's own."""
    action: dict[str, Any] = click.body["actions"][0]
    request_id = f"{click.user}:{action['action_id']}:{action.get('action_ts', click.trigger_id)}"
    try:
        value = json.loads(click.value)
        return str(value["id"]), By(click.user, str(value["digest"]), request_id)
    except (ValueError, KeyError, TypeError):
        return "", By(click.user, "", request_id)


def _reply(slack: WebClient, click: Click, reply: Reply) -> None:
    replies.send(
        slack,
        reply,
        user=click.user,
        channel=click.channel,
        response_url="",
    )


CLICKS: Mapping[str, Callable[[Needs, Click], None]] = {
    "action_confirm": agree,
    "action_approve": agree,
    "action_deny": deny,
    "action_cancel": cancel,
    "action_stop": stop,
    "action_details": details,
    "action_again": ask_again,
    "action_show": show,
}
"""What each button does, by its action_id."""
