"""Carries approved actions out, each once, whatever happens to the bot that began it.

A runner takes the gateway's lease first, so that two actions never touch one gateway, then claims
the action with the lease's fence, then takes the Lease object in the gateway's own namespace, which
is looked at again before each write. A runner that dies lets all of them end; the next one claims
the action with a higher fence and goes on from what the cluster shows. A run whose action is stopped
writes nothing more, and reports what the cluster holds then.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from deploy.actions import endings
from deploy.actions.action import WAIT, Action, Outcome, State
from deploy.actions.claimed import ClaimedRun
from deploy.actions.executor import Executor
from deploy.actions.fencing import Fence, FenceHeld, FenceLost, Fences, FenceTooLow
from deploy.actions.leases import GatewayLeases
from deploy.actions.store import ActionStore
from deploy.deadline import Deadline
from deploy.errors import GatewayBotError
from deploy.retry import PATIENCE, RunLost, patiently

log = logging.getLogger(__name__)

_STALL_SECONDS = 30.0
_LOOK_SECONDS = 1.0
_AGAIN_SECONDS = 10.0
"""After it could not be read whether an action may begin."""
_STOP_SECONDS = 0.5
"""How often a run looks whether somebody stopped its action, beside doing so before each write."""
_MOST_ATTEMPTS = 20
"""An action that ended that many bots, or met the end of them, is not given to one more."""


class Runner:
    """Finds what is due and works on it, several actions at once."""

    def __init__(
        self,
        store: ActionStore,
        leases: GatewayLeases,
        fences: Fences,
        executors: Mapping[str, Executor],
        *,
        owner: str,
        report: Callable[[Action, Outcome | None], Outcome],
        ready: Callable[[Action], object] = lambda action: None,
        on_change: Callable[[str], None] = lambda action_id: None,
        ending: Callable[[Action, Outcome], None] = lambda action, outcome: None,
        rooms: Callable[[Action], Sequence[str]] = lambda action: (),
        workers: int = 8,
        lease_seconds: float = 15.0,
        heartbeat_seconds: float = 4.0,
        poll_seconds: float = 0.5,
        patience: float = PATIENCE,
    ) -> None:
        """`ready` raises Unavailable while it cannot be read whether an approved action may begin.
        `on_change` is called with each action this runner changed, `ending` with each and its
        outcome before that is recorded.

        `report` says how a stopped action ended, given the outcome that its run came to, if any.
        `rooms` names those of which an action needs one to itself while it runs, so that no more
        actions run at a time than there are rooms, on all bots together; none where there is no
        bound. `patience` is for how many seconds a cluster that does not answer is asked for the
        gateway's Lease.
        """
        self._store = store
        self._leases = leases
        self._fences = fences
        self._executors = executors
        self._owner = owner
        self._report = report
        self._on_change = on_change
        self._ending = ending
        self._ready = ready
        self._not_before: dict[str, float] = {}
        self._rooms = rooms
        self._lease = lease_seconds
        self._beat = heartbeat_seconds
        self._poll = poll_seconds
        self._patience = patience
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="runner")
        self._busy: set[str] = set()
        self._runs: set[ClaimedRun] = set()
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

    def stop(self, deadline: Deadline) -> None:
        """Let go of every run, so that another bot goes on at once."""
        self._stopping.set()
        self._wake.set()
        with self._lock:
            for run in self._runs:
                run.lost.set()
        deadline.join([self._thread])
        deadline.wait_for(self._pool.shutdown)

    def _loop(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(self._poll)
            self._wake.clear()
            try:
                for action_id in self._store.due():
                    self._begin(action_id)
            except GatewayBotError as error:
                log.warning("due actions cannot be read: %s", error)
            except Exception:  # the loop that everything waits for must outlive any one action
                log.exception("looking for due actions failed")
            self._looked_at = time.monotonic()

    def _begin(self, action_id: str) -> None:
        with self._lock:
            if action_id in self._busy or self._stopping.is_set():
                return
            self._busy.add(action_id)
        self._pool.submit(self._look, action_id)

    def _look(self, action_id: str) -> None:
        try:
            self._consider(action_id)
        except GatewayBotError as error:
            log.warning("action %s waits for its next turn: %s", action_id, error)
        except Exception:  # as above; the action stays due and is looked at again
            log.exception("action %s could not be looked at", action_id)
        finally:
            with self._lock:
                self._busy.discard(action_id)
            self._on_change(action_id)

    def _consider(self, action_id: str) -> None:
        action, held = self._store.look_after(action_id)
        if action is None or action.final:
            self._store.drop_due(action_id)
        elif action.state is not State.PENDING and not held and self._may_begin(action):
            self._run(action)

    def _may_begin(self, action: Action) -> bool:
        """Whether it can be read now whether it may; what was begun is brought to its end."""
        if action.begun:
            return True
        if time.monotonic() < self._not_before.get(action.id, 0.0):
            return False
        try:
            self._ready(action)
        except GatewayBotError as error:
            log.warning("action %s does not begin yet: %s", action.id, error)
            self._not_before[action.id] = time.monotonic() + _AGAIN_SECONDS
            return False
        self._not_before.pop(action.id, None)
        return True

    def _run(self, action: Action) -> None:
        # The room first: while there is none, the cluster is not asked anything.
        room = self._enter(action)
        try:
            if room.fence:
                self._run_in(room, action)
            elif action.state is State.APPROVED:
                self._store.waiting(action.id, room.holder)
        finally:
            self._stay(room, 0)

    def _run_in(self, room: "_Room", action: Action) -> None:
        above = max(action.fence, self._seen(action))
        lease = self._leases.acquire(action.ref, action.id, self._owner, self._lease, above=above)
        if not lease.fence:
            if action.state is State.APPROVED and lease.action_id != action.id:
                self._store.waiting(action.id, lease.action_id)
            return
        try:
            claimed = self._store.claim(action.id, self._owner, lease.fence, self._lease)
            if claimed is None:
                return
            run = ClaimedRun(self._store, claimed, self._owner, lease.fence, self._on_change)
            self._on_change(action.id)
            self._carry_out(claimed, run, room)
        finally:
            self._leases.renew(action.ref, self._owner, lease.fence, 0)

    def _enter(self, action: Action) -> "_Room":
        """The first of the action's rooms that is free; fence 0 says who has one of them."""
        # What was stopped only has to be ended, which needs no room.
        names = () if action.stop_by else self._rooms(action)
        if not names:
            return _Room("", 1, "")
        for name in names:
            taken = self._leases.acquire(name, action.id, self._owner, self._lease)
            if taken.fence:
                break
        return _Room(name, taken.fence, taken.action_id)

    def _stay(self, room: "_Room", seconds: float) -> bool:
        if not room.name or not room.fence:
            return True
        return self._leases.renew(room.name, self._owner, room.fence, seconds)

    def _seen(self, action: Action) -> int:
        """The fence that a Redis which has lost its own must go above."""
        try:
            return self._fences.seen(action.ref)
        except GatewayBotError:
            # Taking the Lease meets the same trouble, with more patience, and tells it.
            return 0

    def _carry_out(self, action: Action, run: ClaimedRun, room: "_Room") -> None:
        with self._lock:
            self._runs.add(run)
            if self._stopping.is_set():
                run.lost.set()
        ended = threading.Event()
        keeping = threading.Thread(
            target=self._keep,
            args=(action, run, room, ended),
            name=f"lease {action.id}",
            daemon=True,
        )
        keeping.start()
        try:
            self._end(action, run, ended)
        except RunLost:
            log.info("action %s is let go of", action.id)
            self._store.release(action.id, self._owner, run.fence)
        finally:
            ended.set()
            self._let_go(run)
            with self._lock:
                self._runs.discard(run)

    def _end(self, action: Action, run: ClaimedRun, ended: threading.Event) -> None:
        """Carry it out and record how that ended, or that it was stopped."""
        outcome: Outcome | None = None
        try:
            outcome = self._outcome(action, run, ended)
            if self._finish(action, run, outcome):
                return
        except RunLost:
            if not run.stopped:
                raise
        if run.stopped and self._finish(action, run, self._stopped(action, outcome)):
            return
        log.warning("action %s ended under another runner", action.id)

    def _stopped(self, action: Action, outcome: Outcome | None) -> Outcome:
        # What this run did is in its steps.
        newest = self._store.get(action.id) or action
        try:
            return self._report(newest, outcome)
        except Exception:  # as in `_execute`; it must end all the same
            log.exception("what the stopped action %s left could not be read", action.id)
            return endings.stopped_unread(action)

    def _outcome(self, action: Action, run: ClaimedRun, ended: threading.Event) -> Outcome:
        if action.begun and action.attempts > _MOST_ATTEMPTS:
            return endings.too_many_tries(action)
        # It was claimed at `updated_at`, by Redis' time.
        if (
            not action.begun
            and action.start_by is not None
            and action.updated_at >= action.start_by
        ):
            return endings.too_late()
        try:
            run.hold = self._take(action, run)
        except GatewayBotError as error:
            return endings.not_begun(action, error)
        threading.Thread(
            target=self._keep_hold,
            args=(action, run, run.hold, ended),
            name=f"Lease {action.id}",
            daemon=True,
        ).start()
        return self._execute(action, run)

    def _take(self, action: Action, run: ClaimedRun) -> Fence:
        """The gateway's Lease, once whoever had it has let go. RunLost when another turn must be
        taken at it."""
        waiting = False
        while True:
            try:
                return patiently(
                    lambda: self._fences.take(
                        action.ref, action.id, self._owner, run.fence, self._lease
                    ),
                    run.lost,
                    self._patience,
                )
            except FenceTooLow:
                raise RunLost from None
            except FenceHeld as held:
                if not waiting:
                    run.step(WAIT, f"Waiting for the bot {held.holder} to let the gateway go")
                    waiting = True
                if run.lost.wait(min(held.seconds, _LOOK_SECONDS)):
                    raise RunLost from None

    def _let_go(self, run: ClaimedRun) -> None:
        if run.hold is None:
            return
        try:
            run.hold.release()
        except GatewayBotError as error:
            log.warning("a Lease is left to end by itself: %s", error)

    def _execute(self, action: Action, run: ClaimedRun) -> Outcome:
        executor = self._executors.get(action.kind)
        if executor is None:
            return endings.unknown_kind(action)
        try:
            return executor.execute(action, run)
        except GatewayBotError as error:
            return Outcome(State.FAILED, error.happened, error.meaning, error.remedy)
        except RunLost:
            raise
        except Exception:  # whatever it was, a person must be told that the end is not known
            log.exception("action %s failed inside the bot", action.id)
            return endings.broken(action)

    def _keep(self, action: Action, run: ClaimedRun, room: "_Room", ended: threading.Event) -> None:
        held_until = time.monotonic() + self._lease
        beat = time.monotonic() + self._beat
        while not ended.wait(min(self._beat, _STOP_SECONDS)):
            try:
                run.look()
                if time.monotonic() < beat:
                    continue
                beat = time.monotonic() + self._beat
                held = (
                    self._store.heartbeat(action.id, self._owner, run.fence, self._lease)
                    and self._leases.renew(action.ref, self._owner, run.fence, self._lease)
                    and self._stay(room, self._lease)
                )
            except GatewayBotError:
                # Redis is away: the lease still holds for as long as was last granted.
                held = time.monotonic() < held_until
            else:
                held_until = time.monotonic() + self._lease
            if not held:
                log.warning("the lease of action %s is lost", action.id)
                run.lost.set()
                return

    def _keep_hold(
        self, action: Action, run: ClaimedRun, hold: Fence, ended: threading.Event
    ) -> None:
        while not ended.wait(self._beat):
            try:
                hold.renew()
            except GatewayBotError as error:
                # The cluster is away. Nothing is written before it has been asked again.
                log.info("the Lease of action %s is not renewed: %s", action.id, error)
            except FenceLost:
                if not ended.is_set():
                    log.warning("the Lease of action %s is lost", action.id)
                    run.lost.set()
                return

    def _finish(self, action: Action, run: ClaimedRun, outcome: Outcome) -> bool:
        """Record the end; False when the run is over otherwise: taken over, or stopped."""
        while True:
            try:
                self._ending(action, outcome)
                if self._store.finish(action.id, self._owner, run.fence, outcome):
                    return True
                run.look()
                return False
            except GatewayBotError as error:
                log.warning("the end of action %s is not recorded yet: %s", action.id, error)
                if run.lost.wait(1.0):
                    raise RunLost from error


@dataclass(frozen=True)
class _Room:
    """A room an action is in; the one without a name has place for everybody."""

    name: str
    fence: int
    holder: str
