"""What is said about a batch to one person alone: whoever asked, or clicked. Pure."""

from collections.abc import Mapping, Sequence

from deploy.actions.action import Action
from deploy.actions.batches import Unplanned
from handlers.views import batch
from handlers.views.batch import unplanned_lines
from handlers.views.batch_state import NAMED, names_of
from handlers.views.reply import Reply
from handlers.views.text import context, counted, escape, section

_DONE = {batch.APPROVE: "approved", batch.CONFIRM: "confirmed", batch.CANCEL: "cancelled"}


def decided(choice: str, done: Sequence[Action], refused: Mapping[str, Sequence[str]]) -> Reply:
    """What the click did; `refused` are the gateways of each reason why it did not."""
    if done:
        text = f"You {_DONE[choice]} {counted(len(done), 'plan')}."
    elif refused:
        text = "Nothing was changed by this click."
    else:
        text = "The plans of this button are no longer pending."
    sign = ":white_check_mark:" if done else ":information_source:"
    reasons = [
        context(f":warning: *{names_of(names)}*: {reason}") for reason, names in refused.items()
    ]
    return Reply(text, (section(f"{sign} {text}"), *reasons[:NAMED]))


def stale() -> Reply:
    """Other plans than those that were shown count by now."""
    return _said("The plans have changed since this button was drawn. Look at the newest message.")


def unseen() -> Reply:
    """Somebody was quicker than Slack."""
    return _said("Some of the plans are not posted in the thread yet. Click again in a moment.")


def _said(text: str) -> Reply:
    return Reply(text, (section(f":information_source: {text}"),))


def nothing_planned(unplanned: Sequence[Unplanned], note: str = "") -> Reply:
    """Why a command came to nothing, for whoever typed it."""
    text = "Nothing was planned."
    notes = [context(escape(note))] if note else []
    told = [section("\n".join(unplanned_lines(unplanned)))] if unplanned else []
    return Reply(f"{text} {note}".strip(), (section(f"*{text}*"), *notes, *told))


def not_planned(unplanned: Sequence[Unplanned]) -> Reply:
    """What is left to say where one gateway was planned alone."""
    return Reply(
        "Not planned", (section("*Not planned*\n" + "\n".join(unplanned_lines(unplanned))),)
    )
