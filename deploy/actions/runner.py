"""Finds what is due: ends what nobody decided in time, reminds, and begins what was approved.

Looking shares no threads with the runs, so it always continues. An action begins only where a slot of
its cluster is free; what has to wait for one is left to other bots meanwhile, and says so.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from deploy.actions.action import Action, State
from deploy.actions.codec import Unreadable
from deploy.actions.pauses import Pause, waits_for
from deploy.actions.records import Due
from deploy.actions.reminders import remind, reminder_of
from deploy.actions.runs import Runs
from deploy.actions.slots import Slots, Turn
from deploy.actions.store import DUE_AT_ONCE, ActionStore
from deploy.actions.versions import LeftAlone
from deploy.background import begin
from deploy.deadline import Deadline
from deploy.errors import GatewayBotError
from deploy.log_context import about

log = logging.getLogger(__name__)

_STALL_SECONDS = 120.0
_WHILE_PAUSED = 60.0
"""Several times as long as a Redis that hangs holds up one look."""
_AGAIN_SECONDS = 10.0
"""After it could not be read whether an action may begin."""
_LOOKERS = 4
_PER_CLUSTER = 8
"""Actions that one bot carries out at a time on one cluster."""


class Runner:
    """Looks at due actions and begins those whose turn it is."""

    def __init__(
        self,
        store: ActionStore,
        runs: Runs,
        *,
        ready: Callable[[Action], object] = lambda action: None,
        paused: Callable[[Action], Pause | None] = lambda action: None,
        on_change: Callable[[str], None] = lambda action_id: None,
        per_cluster: int = _PER_CLUSTER,
        poll_seconds: float = 1.0,
    ) -> None:
        """`ready` raises Unavailable while it cannot be read whether an approved action may begin.
        `paused` is the pause that keeps one from beginning now, which needs no claim then; it raises
        Unavailable, too.
        `on_change` is called with each action this runner changed."""
        self._store = store
        self._runs = runs
        self._ready = ready
        self._paused = paused
        self._on_change = on_change
        self._poll = poll_seconds
        self._slots = Slots(per_cluster)
        self._left_alone = LeftAlone(log)
        self._not_before: dict[str, float] = {}
        self._lookers = ThreadPoolExecutor(_LOOKERS, thread_name_prefix="looker")
        self._threads: set[threading.Thread] = set()
        self._busy: set[str] = set()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._looked_at = time.monotonic()
        self._thread = threading.Thread(target=self._loop, name="runner", daemon=True)

    def start(self) -> None:
        """Begin to look for due actions."""
        self._thread.start()

    def wake(self, action_id: str) -> None:
        """An action changed: look now rather than at the next poll."""
        self._wake.set()

    @property
    def live(self) -> bool:
        """Whether the loop runs and looked lately."""
        stalled = time.monotonic() - self._looked_at > _STALL_SECONDS
        return self._thread.is_alive() and not stalled

    @property
    def running(self) -> Mapping[str, int]:
        """How many actions this bot carries out now, by cluster."""
        return self._slots.running

    def stop(self, deadline: Deadline) -> None:
        """Let go of every run, so that another bot continues at once."""
        self._stopping.set()
        self._wake.set()
        self._runs.let_go()
        deadline.join([self._thread])
        deadline.wait_for(self._lookers.shutdown)
        with self._lock:
            running = tuple(self._threads)
        deadline.join(running)

    def _loop(self) -> None:
        while not self._stopping.is_set():
            # Bots in step would always leave the same one to look first.
            self._wake.wait(self._poll * random.uniform(0.7, 1.0))
            self._wake.clear()
            try:
                self._look_at_due()
            except GatewayBotError as error:
                log.warning("due actions cannot be read: %s", error)
            except Exception:  # the loop that everything waits for must outlive any one action
                log.exception("looking for due actions failed")
            self._looked_at = time.monotonic()

    def _look_at_due(self) -> None:
        """Everything once, also what has to wait for a slot and may be due again meanwhile."""
        seen: set[str] = set()
        while True:
            found = self._store.due()
            # A slow Redis makes many pages take long, and a restart would not mend that.
            self._looked_at = time.monotonic()
            new = [due for due in found if due.id not in seen]
            for due in new:
                self._begin(due)
            seen.update(due.id for due in new)
            if len(found) < DUE_AT_ONCE or not new:
                return

    def _begin(self, due: Due) -> None:
        with self._lock:
            if due.id in self._busy or self._stopping.is_set():
                return
            self._busy.add(due.id)
        begin(self._lookers, self._look, due)

    def _look(self, due: Due) -> None:
        changed = runs = False
        try:
            action, held = self._store.look_after(due.id)
            if action is None or action.final:
                self._store.drop_due(due)
                changed = True
            elif action.state is State.PENDING:
                changed = remind(self._store, action)
                self._store.put_off(due, filter(None, (reminder_of(action), action.expires_at)))
            elif not held and self._not_before.get(due.id, 0.0) <= time.monotonic():
                runs = not self._kept_waiting(due, action) and self._start(due, action)
        except Unreadable as record:
            self._left_alone.report(record)
        except GatewayBotError as error:
            log.warning("action %s waits for its next turn: %s", due.id, error)
        except Exception:  # as above; the action stays due and is looked at again
            log.exception("action %s could not be looked at", due.id)
        finally:
            if not runs:
                self._done(due.id, changed=changed)

    def _done(self, action_id: str, *, changed: bool) -> None:
        with self._lock:
            self._busy.discard(action_id)
            self._threads.discard(threading.current_thread())
        if changed:
            self._on_change(action_id)

    def _kept_waiting(self, due: Due, action: Action) -> bool:
        """Whether it waits for the end of a pause, or until pauses can be read, which takes no slot from
        what may begin."""
        if action.state is not State.APPROVED:
            return False
        try:
            pause = self._paused(action)
        except Unreadable:
            raise
        except GatewayBotError as error:
            self._ask_later(action, error)
            return True
        if pause is not None or waits_for(action) is not None:
            self._store.paused(action.id, pause)
        if pause is None:
            return False
        # Whoever ends it before its time makes this due. Each look moves the hour in which it must
        # begin, so the next one is not left to the end of the pause.
        again = self._store.now() + _WHILE_PAUSED
        self._store.put_off(due, [again, *filter(None, (pause.until,))])
        return True

    def _start(self, due: Due, action: Action) -> bool:
        """Whether it has a slot, and a thread to itself that continues with it."""
        turn = Turn(action.id, action.ref.cluster, action.decided_at or action.created_at)
        if not self._slots.take(turn):
            if action.state is State.APPROVED:
                self._store.queued(action.id)
            self._store.hand_on(due)
            return False
        thread = threading.Thread(
            target=self._run, args=(action,), name=f"run {action.id}", daemon=True
        )
        with self._lock:
            self._threads.add(thread)
        try:
            thread.start()
        except BaseException:
            self._slots.leave(action.id)
            raise
        return True

    def _run(self, action: Action) -> None:
        ref = action.ref
        with about(
            action=action.id,
            user=action.requester,
            gateway=str(ref),
            cluster=ref.cluster,
            anew=True,
        ):
            self._run_to_its_end(action)

    def _run_to_its_end(self, action: Action) -> None:
        changed = False
        try:
            if self._may_begin(action):
                self._runs.run(action)
                changed = True
        except Unreadable as record:
            self._left_alone.report(record)
        except GatewayBotError as error:
            log.warning("action %s waits for its next turn: %s", action.id, error)
            changed = True
        except Exception:  # as above
            log.exception("action %s could not be carried out", action.id)
            changed = True
        finally:
            self._slots.leave(action.id)
            self._done(action.id, changed=changed)

    def _may_begin(self, action: Action) -> bool:
        """Whether it can be read now whether it may; what was begun is brought to its end."""
        if action.begun:
            return True
        try:
            self._ready(action)
        except GatewayBotError as error:
            self._ask_later(action, error)
            return False
        self._not_before.pop(action.id, None)
        return True

    def _ask_later(self, action: Action, error: GatewayBotError) -> None:
        """Leave it alone for a while: it cannot be read whether it may begin."""
        log.warning("action %s does not begin yet: %s", action.id, error)
        now = time.monotonic()
        with self._lock:
            # Those among them that ended otherwise are not asked about again.
            waiting = {name: at for name, at in self._not_before.items() if at > now}
            self._not_before = waiting | {action.id: now + _AGAIN_SECONDS}
