"""What shows a pause, shown anew when one begins or ends."""

from collections.abc import Iterable, Sequence

from deploy.access import Environment
from deploy.actions.action import Action, State
from deploy.actions.pauses import Pause, Pauses, holding
from deploy.actions.store import ActionStore
from deploy.changes.kinds import KINDS
from handlers.messages.home_tabs import HomeReaders

_SHARED = {kind.name for kind in KINDS if kind.every_environment}


def may_show(action: Action, pause: Pause, environments: Sequence[Environment]) -> bool:
    """Whether an action that has not started may say that it waits for it. What concerns every place of
    its gateway may, wherever it was asked for: these only a bot can look up."""
    return action.kind in _SHARED or holding(action, [pause], environments) is not None


def show_anew(store: ActionStore, readers: HomeReaders, actions: Iterable[Action]) -> None:
    """Have bots look at these actions at once, and at the messages and Home tabs that show it."""
    store.look_again(action.id for action in actions)
    readers.behind()


def report_ended(
    pauses: Pauses, store: ActionStore, readers: HomeReaders, environments: Sequence[Environment]
) -> None:
    """Have everything say so that shows a pause which has ended at its time."""
    ended = pauses.ended()
    if not ended:
        return
    waiting = [action for action in store.open() if action.state is not State.RUNNING]
    theirs = [a for a in waiting if any(may_show(a, each, environments) for each in ended)]
    show_anew(store, readers, theirs)
    for pause in ended:
        pauses.forget(pause)
