"""The buttons of a batch's message: one decision on each of its plans that waits for one.

The button is bound to the plans that the message was about when it was drawn; whether a person may
decide is asked
for each plan at that moment, as if its own button had been clicked.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from deploy.actions.action import Action, State
from deploy.actions.batches import Batches
from deploy.actions.decision import Decision
from deploy.actions.records import BATCHES
from deploy.actions.store import ActionStore
from deploy.changes.decide import By, Decider
from deploy.errors import GatewayBotError
from handlers.messages import action_messages
from handlers.messages.lost_messages import LostStore
from handlers.messages.store import MessageStore
from handlers.slack.payloads import Click
from handlers.views import batch as view
from handlers.views import batch_replies, batch_state, refusals
from handlers.views.reply import Reply
from handlers.views.text import escape


@dataclass(frozen=True)
class Needs:
    """Where batches, their actions and their messages are, and what decides. `lost` has messages
    ended of which there is no record."""

    batches: Batches
    store: ActionStore
    messages: MessageStore
    lost: LostStore
    decider: Decider


def click(choice: str, needs: Needs, click: Click) -> Reply | None:
    """Decide each plan of the batch that waits for this decision; others stay as they are."""
    try:
        value = json.loads(click.value)
        name, seal = str(value["id"]), str(value["seal"])
    except (ValueError, KeyError, TypeError):
        name, seal = "", ""
    batch = needs.batches.get(name)
    if batch is None:
        needs.lost.clicked(click, BATCHES, name)
        return refusals.gone()
    actions = needs.store.read([member.action for member in batch.members]).actions
    if batch_state.seal(actions) != seal:
        return batch_replies.stale()
    waiting = [action for action in actions if _WAITS[choice](action)]
    shown = needs.messages.shown(action_messages.NAME, [action.id for action in waiting])
    if choice != view.CANCEL and min(shown.values(), default=0) < 0:
        return batch_replies.unseen()
    done: list[Action] = []
    refused: dict[str, list[str]] = {}
    # A bot that died over this very click may have decided some of them.
    decided = [a for a in actions if a not in waiting and a.state is not State.PENDING]
    for action in [*waiting, *decided]:
        by = By(click.user, action.digest, f"{click.id}:{action.id}")
        decide = needs.decider.cancel if choice == view.CANCEL else needs.decider.agree
        try:
            decision: Decision = decide(action.id, by)
        except GatewayBotError as error:
            if action in waiting:
                refused.setdefault(escape(error.happened), []).append(action.ref.name)
            continue
        if decision.counted:
            done.append(action)
        elif action in waiting:
            said = refusals.refused(decision.result, decision.action).text
            refused.setdefault(said, []).append(action.ref.name)
    return batch_replies.decided(choice, done, refused)


_WAITS: Mapping[str, Callable[[Action], bool]] = {
    view.APPROVE: batch_state.awaits_approval,
    view.CONFIRM: batch_state.awaits_confirmation,
    view.CANCEL: lambda action: action.state in (State.PENDING, State.APPROVED),
}
CLICKS: Mapping[str, Callable[[Needs, Click], Reply | None]] = {
    choice: partial(click, choice) for choice in _WAITS
}
"""What each button does, by its action_id."""
