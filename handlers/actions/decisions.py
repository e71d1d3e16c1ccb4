"""The buttons of an action's message: confirm, approve, deny, cancel, see the whole plan.

What a click carries is not trusted: the id is looked up, who may decide is asked of Slack at that
moment, and the store checks state, digest, time and votes in one step.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from slack_sdk import WebClient

from deploy.actions.action import Action, State
from deploy.actions.decision import Decision
from deploy.actions.store import ActionStore
from deploy.changes.authority import Authority
from deploy.changes.decide import By, Decider, checked_reason
from handlers.actions import again, reviewing
from handlers.actions.allowing import allowed
from handlers.messages.action_messages import NAME
from handlers.messages.lost_messages import LostStore
from handlers.slack import replies
from handlers.slack.payloads import Click, Request, Submission
from handlers.views import approvals, refusals
from handlers.views import denial as modal
from handlers.views import details as whole
from handlers.views.home import REVIEW
from handlers.views.modals import modal_of
from handlers.views.reply import Reply


@dataclass(frozen=True)
class Needs:
    """What the buttons of an action's message work with; `accept` makes a request safe and starts
    on it. `lost` has messages ended of which there is no record."""

    slack: WebClient
    store: ActionStore
    lost: LostStore
    authority: Authority
    decider: Decider
    accept: Callable[[Request], None]


def agree(needs: Needs, click: Click) -> Reply | None:
    """Somebody says yes to exactly what was shown: the requester confirms, an approver approves."""
    action_id, by = asked_by(click)
    return _answer(needs, click, needs.decider.agree(action_id, by), "approved")


def cancel(needs: Needs, click: Click) -> Reply | None:
    """The requester takes the request back."""
    action_id, by = asked_by(click)
    return _answer(needs, click, needs.decider.cancel(action_id, by), "cancelled")


def stop(needs: Needs, click: Click) -> Reply | None:
    """The requester or an approver stops what runs."""
    action_id, by = asked_by(click)
    return _answer(needs, click, needs.decider.stop(action_id, by), "stopped")


def deny(needs: Needs, click: Click) -> Reply | None:
    """Ask why, where the person may deny it now; the denial counts once the reason is given."""
    action_id, by = asked_by(click)
    action = needs.store.get(action_id)
    result = needs.decider.would("deny", action, click.user, by.digest) if action else "gone"
    copy = _copy(click)
    if result == "done" and action is not None:
        environment = needs.authority.environment(action.ref)
        inside = modal_of(click.value)
        view = modal.ask(action, environment, by.digest, click.channel, copy, inside)
        reviewing.show(needs.slack, click, view)
        return None
    if action is None:
        needs.lost.clicked(click, NAME, action_id)
    elif inside := modal_of(click.value):
        said = refusals.refused(result, action)
        return reviewing.redrawn(needs, action, click.user, inside, said)
    elif copy:
        _redraw(needs, action, click.user, click.channel, copy)
    return refusals.refused(result, action)


def deny_with_reason(needs: Needs, sent: Submission) -> Reply | None:
    """The reason was given."""
    asked = modal.read(sent.private_metadata, sent.values)
    by = By(sent.user, asked.digest, sent.id)
    decision = needs.decider.deny(asked.action_id, by, asked.reason)
    if decision.action is not None and asked.copy:
        done = "denied" if decision.counted else ""
        _redraw(needs, decision.action, sent.user, asked.channel, asked.copy, done)
    refused = None if decision.counted else refusals.refused(decision.result, decision.action)
    if decision.action is not None and asked.modal:
        return reviewing.redrawn(needs, decision.action, sent.user, asked.modal, refused)
    return refused


def reason_given(sent: Submission) -> str:
    """The reason in that form. InvalidInput where it is blank."""
    return checked_reason(modal.read(sent.private_metadata, sent.values).reason)


def details(needs: Needs, click: Click) -> Reply | None:
    """Open the whole plan in a modal."""
    action_id, _ = asked_by(click)
    action = needs.store.get(action_id)
    if action is None:
        return refusals.gone()
    view = whole.modal(action, needs.authority.environment(action.ref))
    reviewing.show(needs.slack, click, view)
    return None


def review(needs: Needs, click: Click) -> Reply | None:
    """Open the plan with the buttons that this person may use, where there is no message of it."""
    return reviewing.opened(needs, click, asked_by(click)[0])


def ask_again(needs: Needs, click: Click) -> Reply | None:
    """Plan the same once more, for whoever asked for it."""
    action_id, by = asked_by(click)
    action = needs.store.get(action_id)
    if action is None:
        return refusals.gone()
    if action.requester != click.user:
        return refusals.refused("not-requester", action)
    needs.accept(again.renewal(action, f"click:{by.request_id}"))
    return None


def show(needs: Needs, click: Click) -> Reply | None:
    """The action's plan with its buttons, for one person."""
    action_id, _ = asked_by(click)
    action = needs.store.get(action_id)
    return _plan(needs, action, click.user) if action else refusals.gone()


def _plan(needs: Needs, action: Action, user: str) -> Reply:
    theirs = allowed(needs.decider, needs.authority, action, user)
    environment_of = needs.authority.environment
    if action.state is not State.PENDING:
        return approvals.plan_to_approve(action, environment_of, theirs)
    beside = [each for each in needs.store.open_on(action.ref) if each.id != action.id]
    paused = needs.authority.paused(action)
    return approvals.plan_to_approve(action, environment_of, theirs, beside, paused)


def _answer(needs: Needs, click: Click, decision: Decision, done: str) -> Reply | None:
    copy = _copy(click)
    inside = modal_of(click.value)
    if decision.action is None:
        needs.lost.clicked(click, NAME, asked_by(click)[0])
    elif inside:
        refused = None if decision.counted else refusals.refused(decision.result, decision.action)
        return reviewing.redrawn(needs, decision.action, click.user, inside, refused)
    elif copy:
        done = done if decision.counted else ""
        _redraw(needs, decision.action, click.user, click.channel, copy, done)
    return None if decision.counted else refusals.refused(decision.result, decision.action)


def _copy(click: Click) -> str:
    """The response_url of a copy of the action's message, which was shown to this person alone;
    empty for the message itself, which is kept true anyway."""
    return click.response_url if click.alone else ""


def _redraw(
    needs: Needs, action: Action, user: str, channel: str, copy: str, done: str = ""
) -> None:
    """Draw the copy again; with what was `done` it becomes a sentence, for nothing keeps it true."""
    reply = approvals.decided(action, done) if done else _plan(needs, action, user)
    shown = dataclasses.replace(reply, replace=True)
    replies.send(needs.slack, shown, user=user, channel=channel, response_url=copy)


def asked_by(click: Click) -> tuple[str, By]:
    """Which action, and who decides which plan."""
    try:
        value = json.loads(click.value)
        return str(value["id"]), By(click.user, str(value["digest"]), click.id)
    except (ValueError, KeyError, TypeError):
        return "", By(click.user, "", click.id)


CLICKS: Mapping[str, Callable[[Needs, Click], Reply | None]] = {
    "action_confirm": agree,
    "action_approve": agree,
    "action_cancel": cancel,
    "action_stop": stop,
    "action_again": ask_again,
    "action_show": show,
}
"""What each button does, by its action_id."""
OPENS: Mapping[str, Callable[[Needs, Click], Reply | None]] = {
    "action_deny": deny,
    "action_details": details,
    REVIEW: review,
}
"""The buttons that open a modal."""
