"""The side of the bot that people in Slack talk to: verbs, what they need, and live messages."""

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
from bot.wiring.binder import Binder
from bot.wiring.outside import Outside
from bot.wiring.stores import Stores
from deploy.actions.audit import AuditLog
from deploy.actions.store import ActionStore
from deploy.actions.windows import Windows
from deploy.expiry.tracker import Tracker
from deploy.health.live_messages import LiveMessages
from deploy.health.portal import portal_of
from handlers import home, listeners, permission
from handlers.actions import again, decisions, fix
from handlers.intake import Intake
from handlers.messages.budget import Budgets
from handlers.messages.left_behind import LeftBehind
from handlers.messages.live import Live
from handlers.slack import choices
from handlers.slack.payloads import Request
from handlers.verbs import logs, status
from handlers.verbs.verb import AnyVerb

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
class ForVerbs:
    """What is made for verbs alone: the stores that answer while Slack waits, and what the settings
    say.

    `verbs` is what people can type, `accept` makes a request safe and starts on it.
    `image_repository` is what manifests name, `portal` the Azure portal of this cloud;
    `regenerate_keys` says whether the settings allow that.
    """

    verbs: Sequence[AnyVerb]
    store: ActionStore
    windows: Windows
    audit: AuditLog
    tracker: Tracker
    accept: Callable[[Request], None]
    choices: choices.Choices
    command: str
    image_repository: str
    portal: str
    regenerate_keys: bool


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


def for_verbs_of(
    settings: Settings,
    outside: Outside,
    stores: Stores,
    pool: Pool,
    verbs: Sequence[AnyVerb],
) -> ForVerbs:
    """What is made for verbs alone; `pool` is what asks for the options of selects."""
    return ForVerbs(
        verbs=verbs,
        store=stores.at_once,
        windows=stores.windows,
        audit=stores.audit,
        tracker=Tracker(stores.prompt, stores.owner),
        accept=stores.requests.accept,
        choices=choices.Choices(
            {
                "gateways": choices.gateways(outside.arm, tuple(outside.instances.values())),
                "places": choices.places(outside.clusters, outside.environments),
                "tags": choices.tags(outside.registry),
            },
            pool,
        ),
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
    binder: Binder,
    live: LiveViews,
    pool: Pool,
    verbs: Sequence[AnyVerb],
) -> Conversation:
    """The listeners over the table of verbs, and what works on the requests they accept. TypeError
    where a verb needs what the bot does not have."""
    bound = [verb.bound(binder.build(verb.needs)) for verb in verbs]
    judging = binder.build(permission.Needs)
    intake = Intake(
        outside.slack,
        stores.inbox,
        {
            **{each.verb.name: permission.guarded(each, judging) for each in bound},
            again.VERB: partial(again.run, binder.build(again.Needs)),
        },
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
    deciding = binder.build(decisions.Needs)
    buttons = {**decisions.CLICKS, **fix.CLICKS}
    listeners.Listeners(
        binder.build(listeners.Needs),
        bound,
        {name: partial(click, deciding) for name, click in buttons.items()},
        partial(decisions.deny_with_reason, deciding),
        partial(home.publish, binder.build(home.Needs), verbs),
    ).register(app)
    watched = partial(status.watched, binder.build(status.Needs))
    return Conversation(
        sweeps={
            "left watches": LeftBehind(live.watches, watched),
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
