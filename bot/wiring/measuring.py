"""What says how the bot is: what is counted as it happens, and what is read when somebody asks."""

import datetime
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import requests
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from bot.chores import Chore
from bot.clients import arm_client, automatic_rules, redis_of
from bot.dependencies import Dependencies, Shared
from bot.dispatch import Connections
from bot.metrics.events import Events
from bot.metrics.gateways import Counted, GatewayCount, Rotating
from bot.metrics.gauges import Gauges
from bot.metrics.reading import BacklogReading
from bot.parts import Part
from bot.service_probes import Condition, ServiceProbe
from bot.settings import Secrets, Settings
from bot.settings_digest import settings_digest
from bot.version import version
from bot.wiring.conversation import Conversation, Hearing, Transport
from bot.wiring.outside import Outside
from bot.wiring.probing import probes_of
from bot.wiring.stores import Stores
from deploy.access import Environment, environment_of, frozen
from deploy.actions.backlog import Backlog, BacklogReader
from deploy.actions.replicas import Agreement, Replicas
from deploy.actions.runner import Runner
from deploy.gateway import GatewayRef
from deploy.health.cache import CachedGateway
from deploy.health.levels import Seen
from deploy.health.standing import Standing
from deploy.waits import Service, Waits, guarded
from handlers.intake import Intake
from handlers.lanes import Lane
from handlers.messages.budgets import METHODS
from handlers.slack.acks import Acks

_COUNT_SECONDS = 30.0
_REDIS_SECONDS = 1.0


@dataclass(frozen=True)
class Counting:
    """Notes everything as it happens, and stands in the way of nothing. `waits` is what all clients
    note their calls in, `refused` an attempt that is made again within such a call, and `audited` an
    entry of the audit trail."""

    registry: CollectorRegistry
    waits: Waits
    hearing: Hearing
    refused: Callable[[Service, str], object]
    audited: Callable[[str, str], object]


@dataclass(frozen=True)
class Measuring:
    """`detail` is what readiness says of what the bot depends on, `scrape` what /metrics answers:
    the media type, and the text."""

    parts: Mapping[str, Part]
    detail: Callable[[], Mapping[str, str]]
    scrape: Callable[[], tuple[str, bytes]]


def counting_of(kinds: Iterable[str]) -> Counting:
    """`kinds` are those of actions."""
    registry = CollectorRegistry()
    events = Events(registry, kinds)
    return Counting(
        registry,
        Waits(events.called),
        Hearing(Acks(given=events.acked), events.took),
        guarded(events.refused),
        guarded(events.audited),
    )


def measuring_of(
    settings: Settings,
    secrets: Secrets,
    counting: Counting,
    outside: Outside,
    stores: Stores,
    talk: Conversation,
    runner: Runner,
    last: Callable[[CachedGateway], Seen],
    ready: Callable[[], bool],
    live: Callable[[], Mapping[str, bool]],
) -> Measuring:
    """`last` is what was last seen of a gateway's link to Azure; `ready` and `live` are what the
    probes answer."""
    digest = settings_digest(settings)
    shared = Shared(Replicas(stores.prompt, stores.owner, digest))
    # With connections and a sign-in of its own: what people ask of Azure neither waits for these
    # questions nor fails because of them.
    arm = arm_client(settings, secrets, requests.Session(), counting.waits).asking_once()
    probes = probes_of(shared, outside.posting, arm, outside.instances, outside.patient)
    count = GatewayCount(outside.caches, last, rotating_of(settings, outside.environments))
    client = redis_of(settings, secrets)(timeout=_REDIS_SECONDS, retries=0, retry_timeouts=False)
    sources = _Sources(
        about=(version(), digest),
        shared=shared,
        probes=probes,
        count=count,
        outside=outside,
        transport=talk.transport,
        intake=talk.intake,
        acks=counting.hearing.acks,
        runner=runner,
        is_ready=ready,
        live=live,
        reading=BacklogReading(BacklogReader(client, METHODS).read),
    )
    counting.registry.register(Gauges(sources))
    counts = Chore("gateway counts", _COUNT_SECONDS, count.turn)
    return Measuring(
        {**{f"probe {each.name}": each for each in probes}, counts.name: counts},
        Dependencies(shared, probes, outside.caches).detail,
        lambda: (CONTENT_TYPE_LATEST, generate_latest(counting.registry)),
    )


def rotating_of(
    settings: Settings,
    environments: Sequence[Environment],
    clock: Callable[[], float] = time.time,
) -> Callable[[GatewayRef], Rotating | None]:
    """How the token of a gateway is rotated automatically, by its environment."""
    rules = automatic_rules(settings)

    def found(ref: GatewayRef) -> Rotating | None:
        environment = environment_of(ref, environments)
        rule = rules.get(environment.name)
        now = datetime.datetime.fromtimestamp(clock(), datetime.UTC)
        return None if rule is None else Rotating(rule, frozen(environment, now) is not None)

    return found


@dataclass(frozen=True)
class _Sources:
    """The parts of the bot, as the gauges read them."""

    about: tuple[str, str]
    shared: Shared
    probes: Sequence[ServiceProbe]
    count: GatewayCount
    outside: Outside
    transport: Transport
    intake: Intake
    acks: Acks
    runner: Runner
    is_ready: Callable[[], bool]
    live: Callable[[], Mapping[str, bool]]
    reading: BacklogReading

    @property
    def ready(self) -> bool:
        return self.is_ready()

    @property
    def parts(self) -> Mapping[str, bool]:
        return self.live()

    @property
    def redis_writable(self) -> bool:
        return all(each.answers for each in self.probes if each.service.kind == "redis")

    @property
    def services(self) -> Mapping[Service, Condition]:
        return {each.service: known for each in self.probes if (known := each.condition)}

    @property
    def agreement(self) -> Agreement | None:
        return self.shared.agreement

    @property
    def slack_connected(self) -> bool:
        return self.transport.connected

    @property
    def connections(self) -> Connections | None:
        return self.transport.connections

    @property
    def clusters(self) -> Mapping[str, Standing]:
        return {name: cache.standing for name, cache in self.outside.caches.items()}

    @property
    def unacked(self) -> int:
        return self.acks.unacked

    @property
    def lanes(self) -> Mapping[Lane, tuple[int, int]]:
        return self.intake.depth()

    @property
    def running(self) -> Mapping[str, int]:
        return {**dict.fromkeys(self.outside.caches, 0), **self.runner.running}

    @property
    def gateways(self) -> Counted:
        return self.count.counted

    def backlog(self, seconds: float) -> Backlog | None:
        return self.reading.within(seconds)
