"""Deciding an action by its ID."""

from dataclasses import dataclass

from deploy.actions.action import Action
from deploy.actions.decision import Decision
from deploy.actions.store import ActionStore
from deploy.changes.authority import Authority
from deploy.changes.decide import Decider
from deploy.commands import Command
from deploy.errors import NotFound
from handlers.slack.payloads import Request
from handlers.views import refusals
from handlers.views.reply import Reply


@dataclass(frozen=True)
class Needs:
    """What every verb that decides by text works with."""

    store: ActionStore
    authority: Authority
    decider: Decider


def named(needs: Needs, request: Request) -> Action:
    """The action of the ID that was typed. NotFound where there is none."""
    action = needs.store.get(request.gateway.upper())
    if action is None:
        raise NotFound(
            f"There is no request “{request.gateway[:20]}”.",
            meaning="The ID is misspelt, or the request was too old, or the bot's store was emptied.",
            remedy=f"{Command('pending')} lists open requests.",
        ).offering(Command("pending"))
    return action


def reply_to(decision: Decision, counted: str) -> Reply:
    """What to answer: `counted` where the decision counted, else why it did not."""
    if decision.counted:
        return Reply(counted)
    return refusals.refused(decision.result, decision.action)
