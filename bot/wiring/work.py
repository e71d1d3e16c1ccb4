"""What is done in the background once an action is decided, and from time to time."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from bot.chores import Chore
from bot.wiring.changes import Changes
from bot.wiring.messages import Families
from bot.wiring.outside import Outside
from bot.wiring.stores import Stores
from deploy.actions.action import Action, Outcome
from deploy.actions.audit_pump import AuditPump
from deploy.actions.fencing import Fences
from deploy.actions.leases import GatewayLeases
from deploy.actions.owed import Owed
from deploy.actions.records import BATCHES
from deploy.actions.runner import Runner
from deploy.actions.runs import Runs
from deploy.actions.second_looks import SecondLooks
from deploy.actions.windows import MESSAGES
from deploy.changes.decide import Authorized
from deploy.rollouts.stopped import stopped
from handlers.messages.action_messages import NAME, ActionMessages
from handlers.messages.batch_messages import BatchMessages
from handlers.messages.home_tabs import HomeReaders
from handlers.messages.pauses_shown import report_ended
from handlers.messages.store import MessageRecord
from handlers.messages.window_messages import WindowMessages
from handlers.verbs import window
from handlers.views import action as action_view
from handlers.views import notes

_PLACEMENTS_SECONDS = 10.0


@dataclass(frozen=True)
class Background:
    """`chores` are by name, `families` the messages of actions, of batches and of approval
    windows."""

    runner: Runner
    families: Families
    chores: Mapping[str, Chore]


def work_of(outside: Outside, stores: Stores, changes: Changes) -> Background:
    """The runner, which a changed action wakes, the messages, and the chores."""

    def report(action: Action, ended: Outcome | None) -> Outcome:
        return stopped(changes.carrying[action.kind].left(action), ended)

    looks = SecondLooks(
        stores.redis,
        stores.codec,
        stores.store,
        lambda action: changes.workings[action.kind].look_again(action),
    )

    def ending(action: Action, outcome: Outcome) -> None:
        changes.ending(action, outcome)
        looks.expect(action, outcome)

    runs = Runs(
        stores.store,
        GatewayLeases(stores.redis),
        Fences(outside.patient, stores.audit.newest, stores.audit_annotation),
        {
            name: Authorized(each.executor, changes.policies)
            for name, each in changes.carrying.items()
        },
        owner=stores.owner,
        report=report,
        ending=ending,
        rooms=lambda action: changes.carrying[action.kind].rooms(action),
        paused=changes.authority.paused,
    )
    runner = Runner(
        stores.store,
        runs,
        ready=changes.policies.met,
        paused=changes.authority.paused,
        on_change=stores.changed.ring,
    )

    environment_of = changes.authority.environment
    actions = ActionMessages(
        stores.store,
        partial(action_view.render, environment_of=environment_of),
        partial(notes.notes, environment_of=environment_of),
        paused=changes.authority.paused,
        window_place=partial(stores.messages.place, MESSAGES),
        batch_message=partial(_batch_message, stores),
    )
    stores.changed.listen(runner.wake)
    chores = (
        Chore(
            "windows",
            5.0,
            partial(window.report_ended, stores.windows, stores.store),
        ),
        Chore(
            "ended pauses",
            1.0,
            partial(
                report_ended,
                stores.pauses,
                stores.store,
                HomeReaders(stores.redis),
                outside.environments,
            ),
        ),
        Chore("second looks", 5.0, looks.step),
        Chore("audit", 1.0, AuditPump(stores.redis, stores.codec, stores.audit).pump),
        Chore("audit index", 5.0, stores.audit.file),
        Chore("audit retention", 3600.0, stores.audit.trim),
        Chore("placements", _PLACEMENTS_SECONDS, changes.governor.scan),
    )
    families: Families = [
        (actions, Owed(stores.redis, NAME)),
        (WindowMessages(stores.windows, environment_of), Owed(stores.redis, MESSAGES)),
        (
            BatchMessages(stores.batches, stores.store, environment_of),
            Owed(stores.redis, BATCHES),
        ),
    ]
    return Background(runner, families, {chore.name: chore for chore in chores})


def _batch_message(stores: Stores, batch: str) -> MessageRecord | None:
    """What is known of the message of a batch; None where there is no such batch (any longer)."""
    if stores.batches.get(batch) is None:
        return None
    return stores.messages.known(BATCHES, batch)
