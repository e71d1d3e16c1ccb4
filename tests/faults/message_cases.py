"""One message of each family, from the moment that somebody causes it to its end, through the family's
own store: a new family adds a line to CASES and is in every trouble there is."""

import datetime
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from deploy.actions.action import Outcome, State
from deploy.actions.audit import AuditLog
from deploy.actions.owed import Owed
from deploy.actions.store import ActionStore
from deploy.actions.windows import Windows
from deploy.errors import Unavailable
from deploy.expiry.rotation_stops import RotationStops
from deploy.expiry.thresholds import DEFAULT
from deploy.expiry.tracked import ExpiryFacts
from deploy.expiry.tracker import Tracker
from deploy.expiry.weekly import Weekly
from deploy.gateway import GatewayRef
from deploy.health.cache import Snapshot
from deploy.health.incident_store import IncidentStore
from deploy.health.live_messages import LiveMessage, LiveMessages
from deploy.policy import People
from handlers.messages import incident_messages, rotation_messages
from handlers.messages.action_messages import ActionMessages
from handlers.messages.batch_messages import BatchMessages
from handlers.messages.connection_messages import ConnectionMessages
from handlers.messages.digest_messages import NAME as DIGEST
from handlers.messages.digest_messages import DigestMessages, Digests
from handlers.messages.expiry_messages import ExpiryMessages
from handlers.messages.family import Family, Message
from handlers.messages.incident_messages import IncidentMessages
from handlers.messages.live import STOP
from handlers.messages.live_family import LiveFamily
from handlers.messages.rotation_messages import RotationMessages, StopMarks
from handlers.messages.store import MessageRecord, MessageStore
from handlers.messages.watchers import Watchers
from handlers.messages.window_messages import WindowMessages
from handlers.slack.connections import ConnectionCount
from handlers.slack.payloads import Request, request_to_mapping
from handlers.views import action as action_view
from handlers.views import notes
from handlers.views.text import section
from tests.support import actions, batches
from tests.support.actions import CODEC, by_approvers
from tests.support.batches import DEV, restart_each
from tests.support.changes import PROD, PRODUCTION, Changes
from tests.support.slack_workspace import ANA, BEN, OPS

DAY = 86_400.0
LONG = 3600
"""Seconds in which a request is to be decided on: no machine is so slow that it expires meanwhile."""
REF = GatewayRef("west", "dev", "edge-1")


class Case(Protocol):
    """The life of one message.

    `begins` and `ends` are words of what it says while it lasts and in the end. `told` is who is
    notified in person when it cannot be shown. `anew`: its end is posted again where somebody
    deleted it. `patient`: it waits for its channel. `reset` is whether the bot finds the same thing
    again after Redis was emptied.
    """

    begins: str
    ends: str
    told: str
    anew: bool
    patient: bool
    reset: bool

    def family(self, redis: Any) -> Family | Sequence[Family]:
        """Its family, as a bot has it; the first of several."""

    def begin(self, redis: Any) -> None:
        """It begins; again, it is the same."""

    def end(self, redis: Any) -> None:
        """It ends; again, it is the same."""


class ActionCase:
    """A deployment in production that an approver denies."""

    begins, ends = "Nothing has changed yet", "Denied by"
    told, anew, patient, reset = ANA, True, False, False

    def family(self, redis: Any) -> Family:
        return ActionMessages(ActionStore(redis, CODEC), action_view.render, notes.notes)

    def begin(self, redis: Any) -> None:
        policy = by_approvers(people=People(groups=("S0APP",)))
        where = {"channel": OPS}
        store = ActionStore(redis, CODEC)
        actions.ask(store, ref=PROD, requester=ANA, policy=policy, origin=where, ttl=LONG)

    def end(self, redis: Any) -> None:
        actions.deny(ActionStore(redis, CODEC), BEN, "AAAAAA", reason="no")


class _NoPlans:
    """Stands for the messages of a batch's plans, of which this bot shows none."""

    name = "action"

    def load(self, key: str, record: MessageRecord) -> None:
        return None

    def render(self, state: Any, record: MessageRecord) -> Message:
        raise AssertionError

    plain = render

    def versions(self) -> Mapping[str, int]:
        return {}


class BatchCase:
    """A restart of two gateways: one is carried out, an approver denies the other."""

    begins, ends = "1 waiting for approval", "1 of 2 done, 1 denied"
    told, anew, patient, reset = "", False, False, False

    def family(self, redis: Any) -> Sequence[Family]:
        changes = Changes(redis)
        where = changes.authority.environment
        return BatchMessages(changes.batches, changes.store, where), _NoPlans()

    def begin(self, redis: Any) -> None:
        restart_each(Changes(redis), (DEV[0], batches.PRODUCTION[0]), user=ANA, channel=OPS)

    def end(self, redis: Any) -> None:
        changes = Changes(redis)
        first, second = batches.members(changes).values()
        changes.agree(first, ANA)
        if changes.store.claim(first.id, "bot", 1, 60):
            changes.store.finish(first.id, "bot", 1, Outcome(State.SUCCEEDED, "It restarted."))
        changes.deny(second, "U2", reason="not today")


class WindowCase:
    """An approval window that is closed."""

    begins, ends = "may change this gateway alone", "Closed by"
    told, anew, patient, reset = BEN, False, False, False

    def __init__(self) -> None:
        self._key = ""

    def family(self, redis: Any) -> Family:
        return WindowMessages(self._windows(redis), lambda ref: PRODUCTION)

    def begin(self, redis: Any) -> None:
        self._key = (
            self._windows(redis)
            .open(PROD, ANA, by=BEN, reason="x", seconds=3600, channel=OPS, request_id="r1")
            .key
        )

    def end(self, redis: Any) -> None:
        self._windows(redis).close(self._key, by=BEN)

    def _windows(self, redis: Any) -> Windows:
        messages = MessageStore(redis, "keeper")
        return Windows(redis, AuditLog(redis), lambda key: bool(messages.place("window", key)))


class ExpiryCase:
    """A token that is renewed after it was warned of."""

    begins, ends = "has a token that expires in", "has a new token"
    told, anew, patient, reset = "", False, True, True

    def __init__(self) -> None:
        self._soon, self._late = time.time() + 2 * DAY, time.time() + 29 * DAY

    def family(self, redis: Any) -> Family:
        return ExpiryMessages(Tracker(redis, "keeper"))

    def begin(self, redis: Any) -> None:
        self._note(redis, self._soon)

    def end(self, redis: Any) -> None:
        self._note(redis, self._late)

    def _note(self, redis: Any, expires_at: float) -> None:
        tracker = Tracker(redis, "keeper")
        tracker.note(
            ExpiryFacts(REF, REF.name, "development", expires_at, "annotation", DEFAULT, (OPS,))
        )
        # What a bot took and did not settle is due again a moment later.
        redis.zadd("gateway-bot:{warnings}:due", {str(REF): 0}, xx=True)
        while tracker.tick():
            pass


class DigestCase:
    """A weekly digest, which is whole when it is posted."""

    begins = ends = "Tokens this week: 0 gateways"
    told, anew, patient, reset = "", False, True, True

    def __init__(self) -> None:
        self._now = datetime.datetime.now(datetime.UTC)
        self._weekly = Weekly(self._now.weekday(), self._now.hour)

    def family(self, redis: Any) -> Family:
        return DigestMessages(Tracker(redis, "keeper"), self._weekly, clock=lambda: self._now)

    def begin(self, redis: Any) -> None:
        owed, messages = Owed(redis, DIGEST), MessageStore(redis, "keeper")
        Digests(messages, owed, [OPS], self._weekly, clock=lambda: self._now).turn()

    def end(self, redis: Any) -> None:
        self.begin(redis)


class IncidentCase:
    """A cluster that does not answer, and answers again."""

    begins, ends = "Cluster west does not answer", "Resolved: Cluster west did not answer"
    told, anew, patient, reset = "", False, False, False

    def __init__(self) -> None:
        self._now = time.time() - 600
        self._away = True

    def family(self, redis: Any) -> Family:
        return IncidentMessages(IncidentStore(redis, "keeper"), ["west"])

    def begin(self, redis: Any) -> None:
        IncidentStore(redis, "keeper").remember("west", OPS)
        self._look(redis)

    def end(self, redis: Any) -> None:
        self._away = False
        self._look(redis)

    def _look(self, redis: Any) -> None:
        """For as long as it takes a trouble to begin or to be over."""
        levels: Any = None
        caches: Any = {"west": self}
        store, owed = IncidentStore(redis, "keeper"), Owed(redis, incident_messages.NAME)
        watchers = Watchers(caches, levels, store, owed, lambda ref: OPS, clock=lambda: self._now)
        for _ in range(5):
            self._now += 10
            watchers.watch("west")

    def read(self, **_: Any) -> Snapshot:
        """What the cache of the cluster shows."""
        if self._away:
            raise Unavailable("Cluster west does not answer.")
        return Snapshot("west", (), self._now)


class RotationCase:
    """Automatic rotation that stopped, and was resumed."""

    begins, ends = "Automatic rotation stopped in dev", "Resumed by"
    told, anew, patient, reset = "", False, True, False

    def family(self, redis: Any) -> Family:
        return RotationMessages(RotationStops(redis))

    def begin(self, redis: Any) -> None:
        RotationStops(redis).count("dev", "A1", failed="Azure refused it.", allowed=1)
        self._mark(redis)

    def end(self, redis: Any) -> None:
        RotationStops(redis).resume("dev", by=BEN, at=time.time())
        self._mark(redis)

    def _mark(self, redis: Any) -> None:
        """As the chore does, from time to time."""
        stop = RotationStops(redis).latest("dev")
        if stop is not None:
            owed = Owed(redis, rotation_messages.NAME)
            StopMarks(MessageStore(redis, "keeper"), owed, {"dev": [OPS]}).mark(stop)


class ConnectionsCase:
    """Socket Mode connections that no bot has, until Slack has forgotten them."""

    begins, ends = "do not reach the bot", "reach the bot again"
    told, anew, patient, reset = "", False, True, True

    def family(self, redis: Any) -> Family:
        return ConnectionMessages(self._count(redis), OPS, "/gateway")

    def begin(self, redis: Any) -> None:
        self._hellos(redis, 4)

    def end(self, redis: Any) -> None:
        self._hellos(redis, 2)

    def _hellos(self, redis: Any, at_slack: int) -> None:
        """Of which the second is believed."""
        for _ in range(2):
            self._count(redis).hello(2, at_slack)

    def _count(self, redis: Any) -> ConnectionCount:
        return ConnectionCount(redis, "keeper", confirm_seconds=0)


class LiveCase:
    """Something that is kept current until somebody stops it; with a title, in that one's thread."""

    begins, ends = "first look", "no longer kept current: stopped by"
    told, anew, patient, reset = ANA, False, False, True

    def __init__(self, name: str, title: str = "") -> None:
        self._name = name
        self._asked: Mapping[str, Any] = {"id": "r1", "user": ANA, "channel": OPS, "title": title}
        self._kept: LiveMessage | None = None

    def family(self, redis: Any) -> Family:
        return LiveFamily(self._name, self._store(redis), STOP)

    def begin(self, redis: Any) -> None:
        store = self._store(redis)
        shown = {"text": "first look", "blocks": [section("first look")]}
        begun = store.begin("r1", self._asked, 600, shown)
        self._kept = begun or store.find("r1") or self._kept

    def end(self, redis: Any) -> None:
        assert self._kept is not None
        shown = {"text": "last look", "blocks": [section("last look")]}
        self._store(redis).end(self._kept, shown, "stopped", BEN)

    def _store(self, redis: Any) -> LiveMessages:
        return LiveMessages(redis, "keeper", self._name)


class AnswerCase:
    """The answer to what somebody said to the bot, which is whole when it is posted."""

    begins = ends = "no gateway runs"
    told, anew, patient, reset = ANA, False, False, True

    def family(self, redis: Any) -> Family:
        return LiveFamily("answer", self._store(redis), "")

    def begin(self, redis: Any) -> None:
        said = Request("said:r1", "status", ANA, OPS, said=True)
        shown = {"text": "no gateway runs", "blocks": [section("no gateway runs")]}
        self._store(redis).once(said.id, request_to_mapping(said), shown)

    def end(self, redis: Any) -> None:
        self.begin(redis)

    def _store(self, redis: Any) -> LiveMessages:
        return LiveMessages(redis, "keeper", "answer")


CASES: Mapping[str, Callable[[], Case]] = {
    "action": ActionCase,
    "batch": BatchCase,
    "window": WindowCase,
    "expiry": ExpiryCase,
    "digest": DigestCase,
    "incident": IncidentCase,
    "rotation": RotationCase,
    "connections": ConnectionsCase,
    "watch": lambda: LiveCase("watch"),
    "follow": lambda: LiveCase("follow", "The log of edge-1"),
    "answer": AnswerCase,
}
