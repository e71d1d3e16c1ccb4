"""One bot's runs of actions: claimed, kept by leases, carried out, and ended as they ended.

A run takes the gateway's lease first, so that two actions never touch one gateway, then claims
the action with the lease's fence, then takes the Lease object in the gateway's own namespace, which
is looked at again before each write. A bot that dies lets all of them end; the next one claims the
action with a higher fence and continues from what the cluster shows. A run whose action is stopped
writes nothing more, and reports what the cluster holds then.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from deploy.actions import endings
from deploy.actions.action import Action, Outcome, State
from deploy.actions.claimed import ClaimedRun
from deploy.actions.executor import Executor
from deploy.actions.fencing import Fences
from deploy.actions.holding import Holds
from deploy.actions.leases import GatewayLeases
from deploy.actions.pauses import Pause
from deploy.actions.store import ActionStore
from deploy.errors import GatewayBotError
from deploy.log_context import Stopwatch, carried
from deploy.retry import PATIENCE, RunLost

log = logging.getLogger(__name__)

_STOP_SECONDS = 0.5
"""How often a run looks whether somebody stopped its action, beside doing so before each write."""
_MOST_ATTEMPTS = 20
"""An action that ended that many bots, or met the end of them, is not given to one more."""


class Runs:
    """What one bot carries out. Safe to use from many threads."""

    def __init__(
        self,
        store: ActionStore,
        leases: GatewayLeases,
        fences: Fences,
        executors: Mapping[str, Executor],
        *,
        owner: str,
        report: Callable[[Action, Outcome | None], Outcome],
        ending: Callable[[Action, Outcome], None] = lambda action, outcome: None,
        rooms: Callable[[Action], Sequence[str]] = lambda action: (),
        paused: Callable[[Action], Pause | None] = lambda action: None,
        lease_seconds: float = 15.0,
        heartbeat_seconds: float = 4.0,
        patience: float = PATIENCE,
    ) -> None:
        """`ending` is called with each action and its outcome before that is recorded.

        `report` says how a stopped action ended, given the outcome that its run came to, if any.
        `rooms` names those of which an action needs one to itself while it runs, so that no more
        actions run at a time than there are rooms, on all bots together; none where there is no
        bound. `paused` is the pause that keeps one from beginning; it raises Unavailable where that
        cannot be read, and then nothing begins. `patience` is for how many seconds a cluster that
        does not answer is asked for the gateway's Lease.
        """
        self._store = store
        self._leases = leases
        self._holds = Holds(
            fences,
            owner,
            lease_seconds=lease_seconds,
            renew_seconds=heartbeat_seconds,
            patience=patience,
        )
        self._executors = executors
        self._owner = owner
        self._report = report
        self._ending = ending
        self._rooms = rooms
        self._paused = paused
        self._lease = lease_seconds
        self._beat = heartbeat_seconds
        self._runs: set[ClaimedRun] = set()
        self._lock = threading.Lock()
        self._stopping = threading.Event()

    def __len__(self) -> int:
        return len(self._runs)

    def let_go(self) -> None:
        """Begin nothing more and end every run, so that another bot continues at once."""
        self._stopping.set()
        with self._lock:
            for run in self._runs:
                run.lost.set()

    def run(self, action: Action) -> None:
        """Carry it out to its end, where it can be had; else it is due again."""
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
        lease = self._leases.acquire(action.ref, action.id, self._owner, self._lease)
        if lease.fence:
            # Only now: an action that waits for its gateway must not hold a slot of the cluster.
            above = max(action.fence, self._holds.seen(action.ref))
            lease = self._leases.acquire(
                action.ref, action.id, self._owner, self._lease, above=above
            )
        if not lease.fence:
            if action.state is State.APPROVED and lease.action_id != action.id:
                self._store.waiting(action.id, lease.action_id)
            return
        try:
            if self._comes_after_another(action):
                return
            claimed = self._store.claim(action.id, self._owner, lease.fence, self._lease)
            if claimed is None:
                return
            if self._held_back(claimed, lease.fence):
                return
            run = ClaimedRun(self._store, claimed, self._owner, lease.fence)
            self._carry_out(claimed, run, room)
        finally:
            self._leases.renew(action.ref, self._owner, lease.fence, 0)

    def _comes_after_another(self, action: Action) -> bool:
        """Whether a run of its gateway that a bot left behind has to be continued first: what that
        applied would otherwise count as changed by somebody else.

        The gateway is held, so none can begin meanwhile.
        """
        if action.state is not State.APPROVED:
            return False
        for other in self._store.open_on(action.ref):
            if other.state is State.RUNNING and other.id != action.id:
                self._store.waiting(action.id, other.id)
                return True
        return False

    def _held_back(self, action: Action, fence: int) -> bool:
        """Whether a pause keeps it from beginning.

        This is read after the claim: whoever begins a pause writes it first and then reads what runs,
        so either this action is among that, or the pause is seen here.
        """
        if action.begun or action.stop_by:
            return False
        try:
            pause = self._paused(action)
        except GatewayBotError:
            self._store.release(action.id, self._owner, fence)
            raise
        if pause is None:
            return False
        self._store.hold_back(action.id, self._owner, fence, pause)
        return True

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

    def _carry_out(self, action: Action, run: ClaimedRun, room: "_Room") -> None:
        with self._lock:
            self._runs.add(run)
            if self._stopping.is_set():
                run.lost.set()
        ended = threading.Event()
        keeping = threading.Thread(
            target=carried(self._keep),
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
            self._holds.let_go(run)
            with self._lock:
                self._runs.discard(run)

    def _end(self, action: Action, run: ClaimedRun, ended: threading.Event) -> None:
        """Carry it out and record how that ended, or that it was stopped."""
        outcome: Outcome | None = None
        watch = Stopwatch.started()
        log.info(
            "the run of action %s starts", action.id, extra={"event": "run", "outcome": "started"}
        )
        try:
            outcome = self._outcome(action, run, ended)
            if self._finish(action, run, outcome):
                _log_end(action, outcome, watch)
                return
        except RunLost:
            if not run.stopped:
                raise
        if run.stopped:
            self._holds.outwait(action, run, self._stopping)
            outcome = self._stopped(action, run, outcome)
            if self._finish(action, run, outcome):
                _log_end(action, outcome, watch)
                return
        log.warning("action %s ended under another runner", action.id)

    def _stopped(self, action: Action, run: ClaimedRun, outcome: Outcome | None) -> Outcome:
        # What this run did is in its steps.
        newest = self._store.get(action.id) or action
        # Before the cluster is read: what takes effect later is not seen there.
        pending = run.unconfirmed.names()
        try:
            left = self._report(newest, outcome)
        except Exception:  # as in `_execute`; it must end all the same
            log.exception("what the stopped action %s left could not be read", action.id)
            left = endings.stopped_unread(action)
        return endings.unconfirmed(left, pending)

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
            self._holds.take(action, run, ended)
        except GatewayBotError as error:
            return endings.not_begun(action, error)
        return self._execute(action, run)

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
        except Exception:  # whatever it was, a person must learn that the end is not known
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
                if ended.is_set():
                    return
                log.warning("the lease of action %s is lost", action.id)
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


def _log_end(action: Action, outcome: Outcome, watch: Stopwatch) -> None:
    log.info(
        "action %s (%s) ended %s: %s",
        action.id,
        action.kind,
        outcome.state,
        outcome.happened,
        extra=watch.event("run", outcome.state),
    )


@dataclass(frozen=True)
class _Room:
    """A room an action is in; the one without a name has place for everybody."""

    name: str
    fence: int
    holder: str
