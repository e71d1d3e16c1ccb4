"""The composition root: the one place where settings become clients and the parts meet."""

import functools
import logging
import os
import secrets as entropy
import socket
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import requests
from slack_bolt import App
from slack_sdk import WebClient
from slack_sdk.http_retry import RateLimitErrorRetryHandler
from slack_sdk.http_retry.builtin_handlers import ServerErrorRetryHandler

from bot.chores import Chore
from bot.clients import (
    arm_client,
    audit_key,
    clusters_of,
    environments_of,
    identities_of,
    image_repository,
    instances_of,
    redis_url,
    registry_of,
    rooms_of,
    warning_channels,
)
from bot.expiry import Expiry, Parts
from bot.health import HealthServer
from bot.http_mode import HttpMode
from bot.settings import Secrets, Settings
from bot.socket_mode import SocketMode
from deploy.actions import connection, reminders
from deploy.actions.audit import AuditLog
from deploy.actions.executor import Executor
from deploy.actions.fencing import Fences
from deploy.actions.inbox import Inbox
from deploy.actions.leases import GatewayLeases
from deploy.actions.outbox import Outbox
from deploy.actions.runner import Runner
from deploy.actions.store import ActionStore
from deploy.actions.windows import Windows
from deploy.changes.gatekeeper import Gatekeeper, NoFreeze
from deploy.expiry.tracker import Tracker
from deploy.health.cache import ClusterCache
from deploy.health.incident_store import IncidentStore
from deploy.health.levels import Levels
from deploy.health.live_messages import LiveMessages
from deploy.health.portal import portal_of
from deploy.plans.planning import Planner
from deploy.rollouts import regeneration
from deploy.rollouts.applying import Applier
from deploy.rollouts.deployer import Deployer
from deploy.rollouts.minting import Minter
from deploy.rollouts.regeneration import Regenerator, Survey
from deploy.rollouts.removal import Remover
from deploy.rollouts.rotator import Rotator, plan_rotation
from deploy.rollouts.stopped import StopReports
from deploy.rollouts.verification import observing
from deploy.tokens import rotation
from handlers import listeners
from handlers.actions import again
from handlers.actions.again import Reproposing
from handlers.intake import Intake
from handlers.messages.budget import Budgets
from handlers.messages.delivery import Deliveries
from handlers.messages.live import Live
from handlers.messages.watchers import Watchers
from handlers.services import Services
from handlers.slack import choices
from handlers.slack.payloads import Request
from handlers.slack.people import Team, UserGroups
from handlers.verbs import logs, status, window
from handlers.verbs.table import VERBS
from handlers.views import action as action_view
from handlers.views import notes

log = logging.getLogger(__name__)

_WORKERS = 32
_LISTENERS = 64
_FOLLOWS = 50
_PROMPT_SECONDS = 1.0
"""What Redis may take where Slack waits for an ack: it gives three seconds for all of it."""


class Transport(Protocol):
    """How Slack's payloads arrive."""

    def start(self) -> bool: ...

    def stop(self) -> None: ...

    def connected(self) -> Sequence[bool]: ...


class Bot:
    """One running bot. Several of them share one Redis and split the work between them."""

    def __init__(self, settings: Settings, secrets: Secrets) -> None:
        owner = f"{socket.gethostname()}-{os.getpid()}-{entropy.token_hex(3)}"
        self._pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="work")
        url = redis_url(settings, secrets)
        redis = connection.connect(url)
        store = ActionStore(redis, keep_days=settings.redis.keep_days)
        prompt = connection.connect(url, timeout=_PROMPT_SECONDS, retries=1, retry_timeouts=False)
        slack = _web_client(settings, secrets)
        slack.retry_handlers.append(RateLimitErrorRetryHandler(max_retry_count=2))
        audit = AuditLog(redis, key=audit_key(secrets), emit=_say)
        session = requests.Session()
        clusters = clusters_of(settings)
        self._caches = {name: ClusterCache(cluster) for name, cluster in clusters.items()}
        self._levels = Levels(self._caches, lambda ref: self._expiry.about(ref))
        instances = instances_of(settings)
        environments = environments_of(settings)
        arm = arm_client(settings, secrets, session)
        registry = registry_of(settings, session)
        planner = Planner(clusters.__getitem__, registry.tags, environments)
        windows = Windows(prompt, audit)
        gatekeeper = Gatekeeper(environments, identities_of(settings), UserGroups(slack), windows)
        # A run repeats what fails itself, so that stopping it interrupts the wait.
        asked = arm.asking_once()
        applier = Applier(planner, clusters, Minter(asked, instances))
        executors: dict[str, Executor] = {
            "deploy": Deployer(applier),
            "delete": Remover(clusters),
            rotation.KIND: Rotator(applier, observing=observing(settings.rotation.verify_seconds)),
            regeneration.KIND: Regenerator(
                Survey(self._caches),
                clusters,
                asked,
                instances,
                allowed=settings.rotation.regenerate_keys,
                environments=environments,
            ),
        }
        self.runner = Runner(
            store,
            GatewayLeases(redis),
            Fences(clusters),
            {
                kind: NoFreeze(Reproposing(inner, self._accept), gatekeeper)
                for kind, inner in executors.items()
            },
            owner=owner,
            report=StopReports(clusters).report,
            on_change=self._changed,
            rooms=rooms_of(settings, environments),
        )
        budgets = Budgets()
        updating = _sending_client(settings, secrets)
        self._watchers = Watchers(
            _sending_client(settings, secrets),
            self._caches,
            self._levels,
            IncidentStore(redis, owner),
            warning_channels(settings),
            budgets=budgets,
        )
        self.deliveries = Deliveries(
            _sending_client(settings, secrets),
            Outbox(redis),
            action_view.render,
            notes.notes,
            owner,
            budgets=budgets,
            window_place=windows.place_of,
        )
        self.chores = (
            Chore("windows", 5.0, lambda: window.tell_ended(slack, windows, store)),
            Chore("audit", 1.0, audit.pump),
            Chore("audit retention", 3600.0, audit.trim),
            Chore("reminders", 10.0, lambda: reminders.remind(store)),
        )
        team = Team(slack)
        self._expiry = Expiry(
            settings,
            secrets,
            Parts(
                redis=redis,
                owner=owner,
                caches=self._caches,
                slack=_sending_client(settings, secrets),
                budgets=budgets,
                store=store,
                audit=audit,
                plans=lambda ref, asked, new_id: plan_rotation(
                    planner, applier.cluster(ref), ref, asked, new_id
                ),
                bot_user=team.bot_user,
                wake=self._changed,
            ),
        )
        self._live = Live(slack, LiveMessages(redis, owner), budgets, updates=updating)
        self._tails = Live(
            slack,
            LiveMessages(redis, owner, prefix="gateway-bot:logs"),
            budgets,
            updates=updating,
            stop_id=logs.STOP,
            at_once=_FOLLOWS,
            look_seconds=1.0,
        )
        services = self._services = Services(
            slack=slack,
            store=ActionStore(prompt, keep_days=settings.redis.keep_days),
            planner=planner,
            clusters=clusters,
            caches=self._caches,
            levels=self._levels,
            live=self._live,
            tails=self._tails,
            instances=instances,
            arm=arm,
            registry=registry,
            environments=environments,
            choices=choices.Choices(
                {
                    "gateways": choices.gateways(arm, tuple(instances.values())),
                    "places": choices.places(clusters, environments),
                    "tags": choices.tags(registry),
                },
                self._pool,
            ),
            gatekeeper=gatekeeper,
            windows=windows,
            audit=audit,
            tracker=Tracker(prompt, owner),
            accept=self._accept,
            team=team,
            resume=self._expiry.resume,
            wake=self._changed,
            command=settings.slack.command,
            decision_seconds=settings.decision.seconds,
            image_repository=image_repository(settings),
            portal=portal_of(settings.azure.arm_endpoint),
            regenerate_keys=settings.rotation.regenerate_keys,
        )
        self.intake = Intake(
            services,
            Inbox(prompt),
            {verb.name: verb for verb in (*VERBS, again.VERB)},
            self._pool,
            owner,
        )
        app = App(
            client=slack,
            signing_secret=_revealed(secrets.slack_signing_secret),
            listener_executor=ThreadPoolExecutor(_LISTENERS, thread_name_prefix="listener"),
            token_verification_enabled=False,
            request_verification_enabled=settings.slack.mode == "http",
        )
        listeners.register(app, services, VERBS, self.intake)
        self.transport = _transport(app, settings, secrets)
        self.health = HealthServer(settings.health.host, settings.health.port, self.parts)
        self._stopped = threading.Event()

    def start(self) -> None:
        """Start every thread; what an earlier bot left undone is taken up at once."""
        self.health.start()
        for cache in self._caches.values():
            cache.start()
        self._levels.start()
        self._watchers.start()
        self._expiry.start()
        self._tails.start(logs.left_behind)
        self._live.start(functools.partial(status.watched, self._services))
        self.runner.start()
        self.deliveries.start()
        self.intake.start()
        for chore in self.chores:
            chore.start()
        if not self.transport.start():
            log.warning("Slack cannot be reached yet; the bot goes on trying")

    def stop(self) -> None:
        """Stop in the order in which nothing new can arrive and nothing begun is lost."""
        self.transport.stop()
        self.intake.stop()
        self.runner.stop(timeout=10)
        self._pool.shutdown(wait=True, cancel_futures=True)
        self.deliveries.stop()
        for chore in self.chores:
            chore.stop()
        self._live.stop()
        self._expiry.stop()
        self._tails.stop()
        self._watchers.stop()
        self._levels.stop()
        for cache in self._caches.values():
            cache.stop()
        self.health.stop()

    def parts(self) -> dict[str, bool]:
        """What must live for the bot to be of use, and whether it does."""
        return {
            "slack": any(self.transport.connected()),
            "runner": self.runner.healthy(),
            "delivery": self.deliveries.alive(),
            "intake": self.intake.alive(),
            "expiry": self._expiry.healthy(),
            "chores": all(chore.healthy() for chore in self.chores),
        }

    def _accept(self, request: Request) -> None:
        self.intake.accept(request)

    def _changed(self, action_id: str) -> None:
        self.runner.wake(action_id)
        self.deliveries.wake()


def _web_client(settings: Settings, secrets: Secrets) -> WebClient:
    client = WebClient(
        token=secrets.slack_bot_token.get_secret_value(),
        base_url=settings.slack.api_url,
        timeout=10,
    )
    client.retry_handlers.append(ServerErrorRetryHandler())
    return client


def _sending_client(settings: Settings, secrets: Secrets) -> WebClient:
    """Repeats nothing by itself, and does not sleep when it is told to wait."""
    return WebClient(
        token=secrets.slack_bot_token.get_secret_value(),
        base_url=settings.slack.api_url,
        timeout=10,
        retry_handlers=[],
    )


def _transport(app: App, settings: Settings, secrets: Secrets) -> Transport:
    slack = settings.slack
    if slack.mode == "http":
        return HttpMode(app, host=slack.http.host, port=slack.http.port, path=slack.http.path)
    return SocketMode(
        app,
        _revealed(secrets.slack_app_token),
        slack.api_url,
        connections=slack.connections,
    )


def _say(line: str) -> None:
    print(line, flush=True)


def _revealed(secret: object) -> str:
    return secret.get_secret_value() if hasattr(secret, "get_secret_value") else ""
