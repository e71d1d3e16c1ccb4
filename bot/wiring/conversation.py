"""The side of the bot that people in Slack talk to: verbs, what they need, and live messages."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from pydantic import SecretStr

from bot.clients import automatic_rules, environment_channels, image_repository
from bot.dispatch import Connections, Dispatch
from bot.http_mode import HttpMode
from bot.metrics.heard import Heard
from bot.parts import Part
from bot.pool import Pool
from bot.settings import Secrets, Settings
from bot.socket_mode import SocketMode
from bot.wiring.binder import Binder
from bot.wiring.messages import Families
from bot.wiring.outside import Outside
from bot.wiring.stores import Stores
from deploy.access import Right
from deploy.actions.audit import AuditLog
from deploy.actions.batches import Batches
from deploy.actions.owed import Owed
from deploy.actions.store import ActionStore
from deploy.actions.windows import Windows
from deploy.expiry.prospects import Prospects
from deploy.expiry.tracker import Tracker
from deploy.health.live_messages import LiveMessages
from handlers import home, listeners, permission
from handlers.actions import again, batch_decisions, decisions, fix, ways_out
from handlers.intake import Intake, Work
from handlers.lanes import Lane
from handlers.messages.home_tabs import NAME as HOME
from handlers.messages.home_tabs import HomeReaders, HomeTabs
from handlers.messages.left_behind import LeftBehind
from handlers.messages.live import STOP, Live
from handlers.messages.live_family import LiveFamily
from handlers.messages.lost_messages import LostStore
from handlers.messages.store import MessageStore
from handlers.slack import choices
from handlers.slack.acks import Acks
from handlers.slack.form_clicks import FormClicks
from handlers.slack.in_time import InTime
from handlers.slack.payloads import Request, request_to_mapping, verb_of_click, verb_of_form
from handlers.slack.progress import Progress
from handlers.slack.request_inbox import Gathering, accepting, admitting
from handlers.verbs import logs, said, status
from handlers.verbs.verb import AnyVerb, ByClick
from handlers.views import denial
from handlers.views import home as home_view
from handlers.views.renewals import Rotation
from handlers.views.reply import Reply

_ASIDE = 64
_ACCEPTING, _CHECKING = 8, 16
_ACCEPT_SECONDS, _FORM_SECONDS = (1.0, 0.2), (0.75, 0.005)
"""How long an ack waits for Redis, and for what is wrong with a form; and how long where the one
before was late. Slack gives it three."""
_FOLLOWS = 50
_WATCH, _FOLLOW, _ANSWER = "watch", "follow", "answer"
"""The families of messages that are kept current, and of answers to what was said to the bot."""


class Transport(Part, Protocol):
    """How Slack's payloads arrive."""

    @property
    def connected(self) -> bool:
        """Whether they can arrive now."""

    @property
    def connections(self) -> Connections | None:
        """Those of Socket Mode; None where Slack makes them."""

    @property
    def detail(self) -> Mapping[str, str]:
        """What operators should know beside that, by its name."""


@dataclass(frozen=True)
class Hearing:
    """What notes that payloads arrive: `took` is called with the kind of one, the verb that was typed
    and the seconds until there was an ack for it."""

    acks: Acks
    took: Callable[[str, str, float], object]


@dataclass(frozen=True)
class LiveViews:
    """`watches` keeps status messages current, `follows` those of logs; `answers` are to what was said
    to the bot, and shown once."""

    watches: Live
    follows: Live
    answers: LiveMessages
    live_messages: Families


@dataclass(frozen=True)
class ForVerbs:
    """What is made for verbs alone: the stores that answer while Slack waits, and what the settings
    say.

    `verbs` is what people can type; `accept` makes a request safe within a bound and starts on it.
    `accepting` is what `accept` waits with, `checking` what forms are checked with, `aside` does
    the work after an ack; `pools` are what these and the choices do their work on.
    `image_repository` is what manifests name, `portal` the Azure portal of this cloud;
    `regenerate_keys` says whether the settings allow that, `rotations` how tokens are rotated
    automatically, by environment, and `prospects` what keeps them from it.
    """

    accepting: InTime
    checking: InTime
    aside: Executor
    pools: Mapping[str, Pool]
    verbs: Sequence[AnyVerb]
    store: ActionStore
    lost: LostStore
    batches: Batches
    messages: MessageStore
    windows: Windows
    audit: AuditLog
    tracker: Tracker
    accept: Callable[[Request], None]
    choices: choices.Choices
    form_clicks: FormClicks
    command: str
    image_repository: str
    regenerate_keys: bool
    rotations: Mapping[str, Rotation]
    prospects: Prospects


@dataclass(frozen=True)
class Conversation:
    """What Slack reaches the bot by; `progress` shows that an answer takes longer."""

    sweeps: Mapping[str, Part]
    progress: Progress
    intake: Intake
    transport: Transport


def live_views_of(stores: Stores) -> LiveViews:
    """Messages that are kept current while somebody looks."""
    watched, followed, answers = (
        LiveMessages(stores.redis, stores.owner, name, on_mark=stores.marked.ring)
        for name in (_WATCH, _FOLLOW, _ANSWER)
    )
    return LiveViews(
        Live(watched, stores.messages, _WATCH),
        Live(followed, stores.messages, _FOLLOW, at_once=_FOLLOWS, look_seconds=1.0),
        answers,
        [
            (LiveFamily(_WATCH, watched, STOP), Owed(stores.redis, _WATCH)),
            (LiveFamily(_FOLLOW, followed, logs.STOP), Owed(stores.redis, _FOLLOW)),
            (LiveFamily(_ANSWER, answers, ""), Owed(stores.redis, _ANSWER)),
        ],
    )


def for_verbs_of(
    settings: Settings, outside: Outside, stores: Stores, verbs: Sequence[AnyVerb]
) -> ForVerbs:
    """What is made for verbs alone."""
    sources = {
        "gateways": choices.gateways(outside.arm, tuple(outside.instances.values())),
        "places": choices.places(outside.clusters, outside.environments),
        "tags": choices.tags(outside.catalogue, image_repository(settings)),
    }
    aside = Pool(_ASIDE, "aside")
    pools = {
        "accepting": Pool(_ACCEPTING, "accepting"),
        "checking": Pool(_CHECKING, "checking"),
        # Each source is asked by one thread, so none waits for another one's.
        "choices": Pool(sum(len(each) for each in sources.values()), "choices"),
        "aside": aside,
    }
    writing = InTime(pools["accepting"], *_ACCEPT_SECONDS)
    return ForVerbs(
        accepting=writing,
        checking=InTime(pools["checking"], *_FORM_SECONDS),
        aside=aside,
        pools=pools,
        verbs=verbs,
        store=stores.at_once,
        lost=LostStore(stores.prompt, MessageStore(stores.prompt, stores.owner)),
        batches=stores.batches_at_once,
        messages=MessageStore(stores.prompt, stores.owner),
        windows=stores.windows,
        audit=stores.audit,
        tracker=Tracker(stores.prompt, stores.owner),
        accept=accepting(Gathering(stores.requests, pools["accepting"]), writing),
        choices=choices.Choices(sources, pools["choices"]),
        form_clicks=FormClicks(stores.prompt),
        command=settings.slack.command,
        image_repository=image_repository(settings),
        regenerate_keys=settings.rotation.regenerate_keys,
        rotations={
            name: Rotation(rule, next(iter(environment_channels(settings).get(name, ())), ""))
            for name, rule in automatic_rules(settings).items()
        },
        prospects=Prospects(stores.prompt, stores.at_once),
    )


def homes_of(
    outside: Outside, stores: Stores, readers: HomeReaders, binder: Binder, command: str
) -> HomeTabs:
    """The Home tabs, which are drawn in turns as messages are."""
    return HomeTabs(
        outside.posting,
        stores.messages,
        readers,
        Owed(stores.redis, HOME),
        partial(home.drawn, binder.build(home.Needs)),
        home_view.plain(command),
        wake=stores.marked.ring,
    )


def conversation_of(
    settings: Settings,
    secrets: Secrets,
    outside: Outside,
    stores: Stores,
    binder: Binder,
    live: LiveViews,
    verbs: Sequence[AnyVerb],
    homes: HomeTabs,
    hearing: Hearing,
) -> Conversation:
    """The listeners over the table of verbs, and what works on the requests they accept. TypeError
    where a verb needs what the bot does not have."""
    bound = [verb.bound(binder.build(verb.needs)) for verb in verbs]
    judging = binder.build(permission.Needs)
    deciding = binder.build(decisions.Needs)
    on_batches = binder.build(batch_decisions.Needs)
    on_home = home.HomeButtons(
        binder.build(home.Needs),
        {each.verb.name: each for each in bound},
        partial(permission.guarded, needs=judging),
        homes.opened,
    )
    buttons: dict[str, ByClick] = {
        **{
            name: partial(click, deciding)
            for name, click in {**decisions.CLICKS, **ways_out.CLICKS, **fix.CLICKS}.items()
        },
        **{name: partial(click, on_batches) for name, click in batch_decisions.CLICKS.items()},
        **on_home.clicks,
    }
    forms = {denial.CALLBACK: partial(decisions.deny_with_reason, deciding)}
    lanes: dict[str, Work] = {
        **{
            each.verb.name: Work(each.verb.lane, permission.guarded(each, judging), each.verb)
            for each in bound
        },
        said.SAID: Work(
            Lane.DECISIONS, permission.seen(partial(said.run, binder.build(said.Needs)), judging)
        ),
        again.VERB: Work(Lane.PLANS, partial(again.run, binder.build(again.Needs))),
        **{
            verb_of_click(name): Work(lane, permission.clicked(click, judging))
            for lane, name, click in (
                *((Lane.DECISIONS, *button) for button in buttons.items()),
                *(
                    (each.verb.clicks_lane, *button)
                    for each in bound
                    for button in each.clicks.items()
                ),
            )
        },
        **{
            verb_of_form(name): Work(Lane.DECISIONS, permission.filled(form, judging))
            for name, form in forms.items()
        },
        **{
            verb_of_form(each.verb.modal): Work(
                each.verb.lane, permission.sent(each, each.submit, judging)
            )
            for each in bound
            if each.submit is not None
        },
    }
    planning = [each.verb for each in bound if each.verb.right is Right.ASK]
    plans = {again.VERB, *(v.name for v in planning), *(verb_of_form(v.modal) for v in planning)}
    acking = binder.build(listeners.Needs)
    progress = Progress(outside.slack, outside.waits, acking.aside)
    intake = Intake(
        outside.slack,
        stores.inbox,
        {
            name: replace(work, run=progress.over(work.run, planning=name in plans))
            for name, work in lanes.items()
        },
        stores.owner,
        before=hearing.acks.give_way,
        in_conversation=partial(_in_conversation, live.answers),
        command=settings.slack.command,
    )
    stores.arrived.listen(intake.take_up)
    app = listeners.Listeners(
        replace(
            acking,
            accept=admitting(acking.accept, intake.busy, stores.inbox.knows, acking.accepting),
        ),
        bound,
        buttons,
        {
            **{name: partial(click, deciding) for name, click in decisions.OPENS.items()},
            **on_home.opens,
        },
        {denial.CALLBACK: decisions.reason_given},
        homes.opened,
    )
    watched = partial(status.watched, binder.build(status.Needs))
    return Conversation(
        sweeps={
            "left watches": LeftBehind(live.watches, watched),
            "left follows": LeftBehind(live.follows, logs.left_behind),
        },
        progress=progress,
        intake=intake,
        transport=_transport(
            Heard(app, verbs, settings.slack.command, hearing.took),
            settings,
            secrets,
            stores,
            hearing.acks,
        ),
    )


def _in_conversation(answers: LiveMessages, request: Request, reply: Reply) -> None:
    """Answer what was said to the bot where it was said; the same request is answered once."""
    shown = {"text": reply.text, "blocks": list(reply.blocks)}
    answers.once(request.id, request_to_mapping(request), shown)


def _transport(
    app: Dispatch, settings: Settings, secrets: Secrets, stores: Stores, acks: Acks
) -> Transport:
    slack = settings.slack
    if slack.mode == "http":
        return HttpMode(
            app,
            _revealed(secrets.slack_signing_secret),
            host=slack.http.host,
            port=slack.http.port,
            path=slack.http.path,
            drain_seconds=slack.http.drain_seconds,
            acks=acks,
        )
    return SocketMode(
        app,
        _revealed(secrets.slack_app_token),
        slack.api_url,
        stores.connections,
        connections=slack.connections,
        renew_seconds=slack.renew_seconds,
        acks=acks,
    )


def _revealed(secret: SecretStr | None) -> Callable[[], str]:
    return secret.get_secret_value if secret is not None else str
