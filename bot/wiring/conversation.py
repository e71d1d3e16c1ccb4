"""The side of the bot that people in Slack talk to: verbs, their services, and live messages."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from slack_bolt import App

from bot.clients import image_repository
from bot.http_mode import HttpMode
from bot.parts import Part
from bot.pool import Pool
from bot.settings import Secrets, Settings
from bot.socket_mode import SocketMode
from bot.wiring.changes import Changes
from bot.wiring.outside import Outside
from bot.wiring.stores import Stores
from deploy.expiry.tracker import Tracker
from deploy.health.levels import Levels
from deploy.health.live_messages import LiveMessages
from deploy.health.portal import portal_of
from deploy.plans.planning import Planner
from handlers import listeners
from handlers.actions import again
from handlers.intake import Intake
from handlers.messages.budget import Budgets
from handlers.messages.left_behind import LeftBehind
from handlers.messages.live import Live
from handlers.permission import guarded
from handlers.services import Services
from handlers.slack import choices
from handlers.slack.people import Team
from handlers.verbs import logs, status
from handlers.verbs.verb import Verb

WORKERS = 32
_LISTENERS = 64
_FOLLOWS = 50


class Transport(Part, Protocol):
    """How Slack's payloads arrive."""

    @property
    def connected(self) -> bool:
        """Whether they can arrive now."""


@dataclass(frozen=True)
class LiveViews:
    """`watches` keeps status messages current, `follows` those of logs."""

    watches: Live
    follows: Live


@dataclass(frozen=True)
class Conversation:
    """What Slack reaches the bot by. `pool` is what requests are worked on with, `listening` what
    acks them."""

    sweeps: Mapping[str, Part]
    pool: Pool
    intake: Intake
    listening: Pool
    transport: Transport


def live_views_of(outside: Outside, stores: Stores, budgets: Budgets) -> LiveViews:
    """Messages that are kept current while somebody looks."""
    return LiveViews(
        Live(
            outside.slack,
            LiveMessages(stores.redis, stores.owner),
            budgets,
            updates=outside.posting,
        ),
        Live(
            outside.slack,
            LiveMessages(stores.redis, stores.owner, prefix="gateway-bot:logs"),
            budgets,
            updates=outside.posting,
            stop_id=logs.STOP,
            at_once=_FOLLOWS,
            look_seconds=1.0,
        ),
    )


def services_of(
    settings: Settings,
    outside: Outside,
    stores: Stores,
    planner: Planner,
    changes: Changes,
    live: LiveViews,
    *,
    levels: Levels,
    team: Team,
    resume: Callable[[str, str], bool],
    pool: Pool,
) -> Services:
    """What the verbs ask for work."""
    return Services(
        slack=outside.slack,
        store=stores.at_once,
        proposer=changes.proposer,
        decider=changes.decider,
        policies=changes.policies,
        planner=planner,
        clusters=outside.clusters,
        caches=outside.caches,
        levels=levels,
        live=live.watches,
        tails=live.follows,
        instances=outside.instances,
        arm=outside.arm,
        registry=outside.registry,
        environments=outside.environments,
        choices=choices.Choices(
            {
                "gateways": choices.gateways(outside.arm, tuple(outside.instances.values())),
                "places": choices.places(outside.clusters, outside.environments),
                "tags": choices.tags(outside.registry),
            },
            pool,
        ),
        authority=changes.authority,
        windows=stores.windows,
        audit=stores.audit,
        tracker=Tracker(stores.prompt, stores.owner),
        accept=stores.requests.accept,
        team=team,
        resume=resume,
        command=settings.slack.command,
        image_repository=image_repository(settings),
        portal=portal_of(settings.azure.arm_endpoint),
        regenerate_keys=settings.rotation.regenerate_keys,
    )


def conversation_of(
    settings: Settings,
    secrets: Secrets,
    outside: Outside,
    stores: Stores,
    services: Services,
    live: LiveViews,
    pool: Pool,
    verbs: Sequence[Verb],
) -> Conversation:
    """The listeners over the table of verbs, and what works on the requests they accept."""
    intake = Intake(
        services,
        stores.inbox,
        {**{verb.name: guarded(verb) for verb in verbs}, again.VERB: again.run},
        pool,
        stores.owner,
    )
    stores.arrived.listen(intake.take_up)
    listening = Pool(_LISTENERS, "listener")
    app = App(
        client=outside.slack,
        signing_secret=_revealed(secrets.slack_signing_secret),
        listener_executor=listening,
        token_verification_enabled=False,
        request_verification_enabled=settings.slack.mode == "http",
    )
    listeners.register(app, services, verbs)
    return Conversation(
        sweeps={
            "left watches": LeftBehind(live.watches, partial(status.watched, services)),
            "left follows": LeftBehind(live.follows, logs.left_behind),
        },
        pool=pool,
        intake=intake,
        listening=listening,
        transport=_transport(app, settings, secrets),
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


def _revealed(secret: object) -> str:
    return secret.get_secret_value() if hasattr(secret, "get_secret_value") else ""
