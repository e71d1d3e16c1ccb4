"""Keeps every message true: the threads that pay what the index of messages says is owed."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from deploy.actions.codec import Unreadable
from deploy.actions.owed import Owed
from deploy.actions.versions import LeftAlone
from deploy.background import begin
from deploy.deadline import Deadline
from deploy.errors import GatewayBotError
from handlers.messages.budgets import Bucket, Order
from handlers.messages.family import Family, by_name
from handlers.messages.store import LostTurn, MessageRecord
from handlers.messages.turn import Later, Turns

log = logging.getLogger(__name__)

_POLL_SECONDS = 1.0
_SWEEP_SECONDS = 30.0
_RETRY_SECONDS = 5.0
_DUE = 200
_WORKERS = 4
_REMEMBERED = 5000
_UNREADABLE_SECONDS = 600.0
_KEEP_SECONDS = 3600.0
"""After so long the records of what may still change are made to last for longer."""

Name = tuple[str, str]
"""A message's family and key."""


@dataclass(frozen=True)
class _Seen:
    """What this bot knows of a message that it has looked at: whose turn comes first."""

    order: Order
    channel: str


@dataclass(frozen=True)
class _Slot:
    """When a message that lacked a call of that bucket gets it."""

    bucket: str
    order: Order
    at: float


class Tab(Protocol):
    """What is kept true in turns as messages are, and is none."""

    @property
    def name(self) -> str:
        """What it is called in the index of messages, as a family is."""

    def pay(self, record: MessageRecord, generation: float) -> None:
        """As the turns of messages."""

    def sweep(self) -> None:
        """Mark each that may be behind though nothing has changed. Raises Unavailable."""


class Engine:
    """Several bots may run one each: a message is one bot's at a time."""

    def __init__(
        self,
        turns: Turns,
        families: Sequence[tuple[Family, Owed]],
        *,
        tabs: Sequence[Tab] = (),
        changed: Callable[[str], object] = lambda family: None,
        poll_seconds: float = _POLL_SECONDS,
        sweep_seconds: float = _SWEEP_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Each family comes with its marks in the index. `changed` is called with the name of a family
        before one of its messages is brought up to date, by whichever bot does that."""
        self._turns = turns
        self._changed = changed
        self._families = by_name(family for family, _ in families)
        self._payers: dict[str, Callable[[MessageRecord, float], None]] = {
            **{name: partial(turns.pay, family) for name, family in self._families.items()},
            **{tab.name: tab.pay for tab in tabs},
        }
        self._tabs = tuple(tabs)
        self._marks = {family.name: owed for family, owed in families}
        self._poll = poll_seconds
        self._sweep_seconds = sweep_seconds
        self._clock = clock
        self._kept_at = float("-inf")
        self._busy: set[Name] = set()
        self._more = False
        self._seen: dict[Name, _Seen] = {}
        self._skipped: dict[Name, float] = {}
        self._slots: dict[Name, _Slot] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._left_alone = LeftAlone(log)
        self._pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="messages")
        self._thread = threading.Thread(target=self._run, name="messages", daemon=True)
        self._sweeper = threading.Thread(target=self._sweep, name="messages-sweep", daemon=True)

    def start(self) -> None:
        """Begin to pay."""
        self._thread.start()
        self._sweeper.start()

    def stop(self, deadline: Deadline) -> None:
        """Finish the turns under way, and leave the rest to other bots."""
        self._stopping.set()
        self._wake.set()
        deadline.join([self._thread, self._sweeper])
        deadline.wait_for(partial(self._pool.shutdown, cancel_futures=True))

    def wake(self, changed: str = "") -> None:
        """Something changed: look now rather than at the next poll."""
        self._wake.set()

    def step(self) -> int:
        """Pay some of what is due now, on the caller's thread; how many messages that was.

        Raises Unavailable where Redis cannot say what is due.
        """
        chosen, generation = self._chosen()
        for name in chosen:
            self._work(name, generation)
        return len(chosen)

    @property
    def live(self) -> bool:
        """Whether the threads run."""
        return self._thread.is_alive() and self._sweeper.is_alive()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(self._poll)
            self._wake.clear()
            try:
                chosen, generation = self._chosen()
                for name in chosen:
                    begin(self._pool, self._work, name, generation)
            except GatewayBotError as error:
                log.warning("messages wait: what is owed cannot be read: %s", error)
                self._stopping.wait(_RETRY_SECONDS)
            except Exception:  # the thread that keeps messages true must outlive any one of them
                log.exception("looking for messages that are behind failed")
                self._stopping.wait(_RETRY_SECONDS)

    def _chosen(self) -> tuple[list[Name], float]:
        """What this bot works on now, and since when Redis has held the records."""
        due = self._turns.store.due(_DUE)
        strangers = [name for name in due.members if name[0] not in self._payers]
        if strangers and len(due.members) == _DUE:
            # Another version's, or of something that the settings have switched off. Only where they
            # hide others: a newer bot shows its own as soon as they are due.
            self._turns.store.put_off(strangers, _UNREADABLE_SECONDS)
        now = self._clock()
        with self._lock:
            self._skipped = {name: until for name, until in self._skipped.items() if now < until}
            free = _WORKERS - len(self._busy)
            known = [
                name
                for name in due.members
                if name[0] in self._payers and name not in self._skipped
            ]
            ready = [name for name in known if name not in self._busy]
            chosen = in_order(ready, self._seen.get)[: max(0, free)]
            self._busy.update(chosen)
            # There was no worker for it, or it was marked again during its turn.
            self._more = len(chosen) < len(known)
        return chosen, due.generation

    def _work(self, name: Name, generation: float) -> None:
        try:
            self._turn(name, generation)
        except Unreadable as record:
            self._left_alone.report(record)
            with self._lock:
                self._skipped[name] = self._clock() + _UNREADABLE_SECONDS
        except GatewayBotError as error:
            log.warning("the message %s waits for its next turn: %s", ":".join(name), error)
        except Exception:  # as above; what is owed stays owed
            log.exception("the message %s could not be brought up to date", ":".join(name))
        finally:
            with self._lock:
                self._busy.discard(name)
                more = self._more
            if more:
                self._wake.set()

    def _turn(self, name: Name, generation: float) -> None:
        record = self._turns.store.take(*name)
        if record is None:
            return
        try:
            if name[0] in self._families:
                self._changed(name[0])
            self._payers[name[0]](record, generation)
        except LostTurn:
            log.info("another bot has the message %s", record.member)
            self._turns.store.doubt(record)
        except Later as later:
            self._put_off(record, later)
        except GatewayBotError:
            self._turns.store.release(record, _RETRY_SECONDS)
            raise
        else:
            with self._lock:
                self._seen.pop(name, None)
                self._slots.pop(name, None)

    def _put_off(self, record: MessageRecord, later: Later) -> None:
        seconds = later.seconds
        if later.lacking is not None:
            name = (record.family, record.key)
            with self._lock:
                if len(self._seen) > _REMEMBERED:
                    self._forget()
                self._seen[name] = _Seen(later.order, later.buckets[-1].name)
                seconds = self._queued(name, later.lacking, later)
        self._turns.store.release(
            record, seconds, hard=later.failed, failed=later.failed, waits=later.waits
        )

    def _queued(self, name: Name, bucket: Bucket, later: Later) -> float:
        """The seconds to wait behind this bot's others that lack a call of that bucket, so that not all
        come back for one."""
        now = self._clock()
        slot = self._slots.get(name)
        if (
            slot is None
            or slot.at <= now
            or (slot.bucket, slot.order) != (bucket.name, later.order)
        ):
            # What has become less urgent since it queued leaves its place to others.
            self._slots.pop(name, None)
            same = (
                s for s in self._slots.values() if (s.bucket, s.order) == (bucket.name, later.order)
            )
            at = first_free([s.at for s in same], now + later.seconds, 1 / bucket.per_second)
            slot = self._slots[name] = _Slot(bucket.name, later.order, at)
        return slot.at - now

    def _forget(self) -> None:
        self._seen.clear()
        self._slots.clear()

    def _sweep(self) -> None:
        while not self._stopping.wait(self._sweep_seconds):
            try:
                # What a bot alone knows, only it can mark.
                for tab in self._tabs:
                    tab.sweep()
                if self._turns.store.sweeps(self._sweep_seconds * 0.9):
                    self.sweep()
            except GatewayBotError as error:
                log.info("messages that a crash left behind are looked for later: %s", error)
            except Exception:  # as above
                log.exception("looking for messages that a crash left behind failed")

    def sweep(self) -> int:
        """Mark each message that shows less than its state; how many there were."""
        behind = 0
        keep = self._clock() - self._kept_at > _KEEP_SECONDS
        for name, family in self._families.items():
            try:
                behind += self._mark_behind(name, family, keep)
            except GatewayBotError as error:
                log.info("messages of %s are compared with their states later: %s", name, error)
        if keep:
            self._kept_at = self._clock()
        if behind:
            self._wake.set()
        return behind

    def _mark_behind(self, name: str, family: Family, keep: bool) -> int:
        versions = family.versions()
        shown = self._turns.store.shown(name, list(versions), keep=keep)
        behind = [key for key, version in versions.items() if version > shown[key]]
        for key in behind:
            self._marks[name].now(key)
        return len(behind)


def first_free(taken: Iterable[float], earliest: float, apart: float) -> float:
    """The first moment from `earliest` on that is at least so far `apart` from each that is taken."""
    at = earliest
    for each in sorted(taken):
        if each - at >= apart:
            break
        if at - each < apart:
            at = each + apart
    return at


def in_order(names: Iterable[Name], seen: Callable[[Name], _Seen | None]) -> list[Name]:
    """Whose turn comes first: what awaits a person, then final states, then progress; the channels
    in turn, and in each the one that has waited longest. `names` come with the longest first."""
    known: dict[Name, tuple[int, int, int]] = {}
    turns: dict[tuple[int, str], int] = {}
    for position, name in enumerate(names):
        found = seen(name)
        order, channel = (found.order, found.channel) if found else (Order.FINAL, str(name))
        nth = turns[order, channel] = turns.get((order, channel), 0) + 1
        known[name] = (order, nth, position)
    return sorted(known, key=lambda name: known[name])
