"""What is done in the background once an action is decided on, and from time to time."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from bot.chores import Chore
from bot.wiring.changes import Changes
from bot.wiring.outside import Outside
from bot.wiring.stores import Stores
from deploy.actions import reminders
from deploy.actions.action import Action, Outcome
from deploy.actions.audit_pump import AuditPump
from deploy.actions.fencing import Fences
from deploy.actions.leases import GatewayLeases
from deploy.actions.outbox import Outbox
from deploy.actions.runner import Runner
from deploy.changes.decide import Authorized
from deploy.rollouts.stopped import stopped
from handlers.messages.budget import Budgets
from handlers.messages.delivery import Deliveries
from handlers.verbs import window
from handlers.views import action as action_view
from handlers.views import notes

_PLACEMENTS_SECONDS = 10.0


@dataclass(frozen=True)
class Background:
    """`chores` are by name."""

    runner: Runner
    deliveries: Deliveries
    chores: Mapping[str, Chore]


def work_of(outside: Outside, stores: Stores, changes: Changes, budgets: Budgets) -> Background:
    """The runner, the delivery of messages, and the chores; a changed action wakes the first two."""

    def report(action: Action, ended: Outcome | None) -> Outcome:
        return stopped(changes.workings[action.kind].left(action), ended)

    runner = Runner(
        stores.store,
        GatewayLeases(stores.redis),
        Fences(outside.clusters),
        {
            name: Authorized(each.executor, changes.policies)
            for name, each in changes.workings.items()
        },
        owner=stores.owner,
        report=report,
        ready=changes.policies.met,
        on_change=stores.changed.ring,
        ending=changes.ending,
        rooms=lambda action: changes.workings[action.kind].rooms(action),
    )
    deliveries = Deliveries(
        outside.posting,
        Outbox(stores.redis, stores.codec),
        action_view.render,
        notes.notes,
        stores.owner,
        budgets=budgets,
        window_place=stores.windows.place_of,
    )
    stores.changed.listen(runner.wake)
    stores.changed.listen(deliveries.wake)
    chores = (
        Chore(
            "windows",
            5.0,
            partial(window.report_ended, outside.slack, stores.windows, stores.store),
        ),
        Chore("audit", 1.0, AuditPump(stores.redis, stores.codec, stores.audit).pump),
        Chore("audit retention", 3600.0, stores.audit.trim),
        Chore("placements", _PLACEMENTS_SECONDS, changes.governor.scan),
        Chore("reminders", 10.0, partial(reminders.remind, stores.store)),
    )
    return Background(runner, deliveries, {chore.name: chore for chore in chores})
