"""`/gateway status` and `list`: every gateway, or one in depth."""

import dataclasses
import datetime
import difflib
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from dataclasses import dataclass
from typing import Any, TypeVar

from slack_sdk import WebClient

from deploy.access import Environment, Right, environment_of, freezes_of
from deploy.actions.action import Action
from deploy.actions.audit import AuditEntry, AuditLog
from deploy.actions.makers import credited
from deploy.actions.store import ActionStore
from deploy.azure import ApimInstance
from deploy.background import reported
from deploy.changes.authority import Authority
from deploy.errors import GatewayBotError, InvalidInput, NotFound
from deploy.gateway import GatewayRef
from deploy.health.cache import ClusterCache
from deploy.health.fleet import Row, Selection, rows_of
from deploy.health.levels import Levels
from deploy.health.portal import gateway_link, instance_named
from deploy.health.status import GatewayDetail, gateway_detail
from deploy.images.registry import Registry
from deploy.images.support import support
from handlers.fleet import find, found_everywhere, meant
from handlers.lanes import Lane
from handlers.messages import live
from handlers.slack.payloads import (
    Click,
    Request,
    in_channel,
    request_from_mapping,
    request_to_mapping,
)
from handlers.verbs.verb import Option, Verb
from handlers.views import errors, fleet, freezes, sharing, status_more
from handlers.views import status as view
from handlers.views.reply import Reply
from handlers.views.words.help import Group

T = TypeVar("T")
U = TypeVar("U")

_SOON_SECONDS = 1.5
"""How long a status waits for the image registry and the audit trail; it goes without them."""
_ENTRIES = 20
_MINUTES, _LONGEST = 10, 60
_SHARE_ONE, _SHARE_PAGE = "status_share", "status_share_page"
_AHEAD = datetime.timedelta(days=1)
"""Freezes that begin within this time are shown."""
_STEP = 20.0
"""In a message that is kept current, ages move on by so many seconds at a time."""


@dataclass(frozen=True)
class TableNeeds:
    """What the table of gateways is made of."""

    caches: Mapping[str, ClusterCache]
    levels: Levels
    registry: Registry
    environments: tuple[Environment, ...]
    authority: Authority


@dataclass(frozen=True)
class Needs(TableNeeds):
    """Also what is said of one gateway. `watches` are the messages that are kept current."""

    slack: WebClient
    watches: live.Live
    audit: AuditLog
    store: ActionStore
    instances: Mapping[str, ApimInstance]


def run(needs: Needs, request: Request) -> Reply | None:
    """The table, or one gateway; a cluster that does not answer is said, not hidden."""
    minutes = int(request.options.get("minutes", _MINUTES))
    if request.options.get("watch") or "minutes" in request.options:
        if not 1 <= minutes <= _LONGEST:
            raise InvalidInput(
                f"A message is kept current for 1 to {_LONGEST} minutes.", field="minutes"
            )
        if request.gateway:
            # One that it cannot mean is for whoever typed it, not for the channel.
            ref = find(needs.caches, request.gateway)
            request = dataclasses.replace(request, gateway=str(ref))
        needs.watches.begin(
            request_to_mapping(request), minutes * 60, lambda asked: watched(needs, asked)
        )
        return None
    return shown(needs, request)


def shown(needs: Needs, request: Request) -> Reply:
    """What the request asks for, as it is now."""
    if not request.gateway:
        return table(needs, fleet.Page(selection=_selection(needs, request)), request.channel)
    reply = in_depth(needs, request.gateway, time.time())
    if not in_channel(request.channel):
        return reply
    return sharing.offered(reply, _SHARE_ONE, request.gateway)


def watched(needs: Needs, asked: live.Asked) -> Reply:
    """The same for a message that is kept current. Ages move in steps, and so do updates."""
    request = request_from_mapping(asked)
    now = time.time() // _STEP * _STEP
    try:
        if request.gateway:
            return in_depth(needs, request.gateway, now)
        page = fleet.Page(selection=_selection(needs, request))
        return _page(needs, page, now, buttons=False)
    except GatewayBotError as error:
        return errors.trouble(error)


def table(needs: Needs, page: fleet.Page, channel: str) -> Reply:
    """One page of every gateway there is, to be shared in that channel."""
    reply = _page(needs, page, time.time(), buttons=True)
    return sharing.offered(reply, _SHARE_PAGE, page.value()) if in_channel(channel) else reply


def _page(needs: Needs, page: fleet.Page, now: float, *, buttons: bool) -> Reply:
    seen = rows_everywhere(needs)
    shown = fleet.overview(
        seen.rows, seen.failed, now, page, seen.unseen, seen.left_out, buttons=buttons
    )
    selected = page.selection
    return _with_freezes(needs, shown, now, selected.cluster, selected.environment)


def in_depth(needs: Needs, name: str, now: float) -> Reply:
    """The gateway that `name` means."""
    found = found_everywhere(needs.caches)
    ref = meant(needs.caches, name, found.summaries, found.failed)
    detail = _detail(needs, ref)
    promised = support(detail.summary.tag, _tags(needs.registry))
    environment = environment_of(ref, needs.environments)
    requests = _soon(lambda: _open_requests(needs.store, ref), ())
    portal = _portal(needs, detail)
    shown = view.detail(detail, promised, portal, now, environment, requests)
    return _with_freezes(needs, shown, now, ref.cluster, environment.name)


def _with_freezes(
    needs: TableNeeds, shown: Reply, now: float, cluster: str, environment: str
) -> Reply:
    """The freezes of that environment, or of all where none is named, before they refuse anything, and
    the pauses of the two."""
    moment = datetime.datetime.fromtimestamp(now, datetime.UTC)
    found = freezes_of(needs.environments, moment, _AHEAD)
    theirs = [each for each in found if environment in ("", each[0].name)]
    held = _soon(needs.authority.pauses, None)
    pauses = [p for p in held if p.covers(cluster, environment)] if held is not None else None
    return freezes.told(shown, theirs, now, pauses)


def _detail(needs: Needs, ref: GatewayRef) -> GatewayDetail:
    levels = needs.levels
    return gateway_detail(needs.caches[ref.cluster], ref, levels.azure_events(ref), levels.judged)


@dataclass(frozen=True)
class Everywhere:
    """Every gateway as a row, what is wrong with clusters that cannot be looked at, what of the
    others cannot be seen, and where nothing is looked at."""

    rows: tuple[Row, ...]
    failed: Mapping[str, GatewayBotError]
    unseen: tuple[str, ...]
    left_out: tuple[str, ...]


def rows_everywhere(needs: TableNeeds) -> Everywhere:
    """What is known of every cluster."""
    found = found_everywhere(needs.caches)
    seen = needs.levels.look(found.gateways)
    rows = rows_of(found.summaries, seen, _tags(needs.registry), needs.environments)
    return Everywhere(rows, found.failed, found.unseen, found.left_out)


def by_button(needs: Needs, click: Click) -> Reply | None:
    """The Status button of the help, of the Home tab and of an action's message."""
    return shown(needs, Request("", VERB.name, click.user, click.channel, gateway=click.value))


def by_more(needs: Needs, click: Click) -> Reply | None:
    """The More button of one gateway: a modal at once, filled as soon as its cluster has answered."""
    ref = GatewayRef.parse(click.value)
    opened = needs.slack.views_open(trigger_id=click.trigger_id, view=status_more.loading(ref))
    opened_view: Mapping[str, Any] = opened["view"]
    try:
        found = find(needs.caches, str(ref))
        done = _done(needs.audit, found)
        deep = _detail(needs, found)
        deep = dataclasses.replace(deep, actions=credited(deep.actions, done))
        shown = status_more.modal(deep, time.time(), done)
    except GatewayBotError as error:
        shown = status_more.unread(str(error))
    needs.slack.views_update(view_id=opened_view["id"], hash=opened_view["hash"], view=shown)
    return None


def by_page(needs: Needs, click: Click) -> Reply | None:
    """A button of the table: another page in the place of this one."""
    page = fleet.Page.parse(click.value)
    return dataclasses.replace(table(needs, page, click.channel), replace=True)


def by_share(needs: Needs, click: Click) -> Reply | None:
    """The Share button of one gateway: what is there now, for everybody in the channel."""
    now = time.time()
    return _share(needs, click, in_depth(needs, click.value, now), now)


def by_share_page(needs: Needs, click: Click) -> Reply | None:
    """The Share button of the table: the same page, read anew."""
    now = time.time()
    page = fleet.Page.parse(click.value)
    return _share(needs, click, _page(needs, page, now, buttons=False), now)


def _share(needs: Needs, click: Click, reply: Reply, now: float) -> Reply | None:
    asked = {"id": click.id, "user": click.user, "channel": click.channel, "shared": True}
    needs.watches.once(asked, sharing.shared(reply, click.user, now))
    return None


def by_stop(needs: Needs, click: Click) -> Reply | None:
    """The Stop button of a message that is kept current."""
    return end(needs.watches, click)


def end(kept: live.Live, click: Click) -> Reply | None:
    """End a message that is kept current, for anybody who sees it."""
    if kept.stopped(click.value[:200], click.user):
        return None
    # As where a bot died between its post and the note of where that is.
    return Reply("No bot keeps this message current.")


def _selection(needs: Needs, request: Request) -> Selection:
    options = request.options
    return Selection(
        str(options.get("filter", ""))[:100],
        _known(str(options.get("env", "")), [e.name for e in needs.environments], "env"),
        _known(str(options.get("cluster", "")), list(needs.caches), "cluster"),
        bool(options.get("attention", False)),
    )


def _known(value: str, known: Sequence[str], option: str) -> str:
    by_case = {name.casefold(): name for name in known}
    if not value or value.casefold() in by_case:
        return by_case.get(value.casefold(), "")
    near = [by_case[name] for name in difflib.get_close_matches(value.casefold(), by_case, n=1)]
    raise NotFound(
        f"There is no {'environment' if option == 'env' else option} “{value[:40]}”.",
        remedy=f"Did you mean {near[0]}?" if near else f"This bot knows {', '.join(known[:12])}.",
    ).did_mean(f"--{option}", *near)


def _tags(registry: Registry) -> Sequence[str]:
    """A registry that does not answer at once only leaves support unknown."""
    return _soon(registry.tags, ())


def _done(audit: AuditLog, ref: GatewayRef) -> Sequence[AuditEntry]:
    """What was last done with it, as the audit trail has it."""
    return _soon(lambda: audit.of(str(ref), _ENTRIES), ())


def _open_requests(store: ActionStore, ref: GatewayRef) -> Sequence[Action]:
    """What is asked for or under way, the oldest first."""
    return store.open_on(ref)[::-1]


def _soon(read: Callable[[], T], otherwise: U) -> T | U:
    """What is only good to have: what does not come at once is not waited for."""
    pool = ThreadPoolExecutor(1, thread_name_prefix="soon")
    try:
        return reported(pool.submit(read)).result(_SOON_SECONDS)
    except (GatewayBotError, TooLate):
        return otherwise
    finally:
        pool.shutdown(wait=False)


def _portal(needs: Needs, detail: GatewayDetail) -> str:
    instance = instance_named(needs.instances.values(), detail.instance)
    if instance is None or not detail.summary.gateway:
        return ""
    return gateway_link(instance, detail.summary.gateway)


OPTIONS = (
    Option("filter", "only those with these words in name, place, image or state", "text"),
    Option("env", "only those of one environment", "name"),
    Option("cluster", "only those of one cluster", "name"),
    Option("attention", "only those that somebody should look at", kind="flag"),
)
_WATCH = (
    Option(
        "watch", f"one message in the channel, kept current for {_MINUTES} minutes", kind="flag"
    ),
    Option(
        "minutes",
        f"like --watch, for this many minutes ({_LONGEST} at most)",
        "number",
        kind="number",
    ),
)
VERB = Verb(
    "status",
    "shows one gateway in depth, or all of them",
    Needs,
    run,
    Right.SEE,
    group=Group.LOOK,
    clicks_lane=Lane.READS,
    gateway="optional",
    options=(*OPTIONS, *_WATCH),
    examples=("status", "status edge-1 --watch", "status --env production --attention"),
    clicks={
        "show_status": by_button,
        "status_back": by_page,
        "status_next": by_page,
        "status_attention": by_page,
        "status_again": by_page,
        _SHARE_ONE: by_share,
        _SHARE_PAGE: by_share_page,
        live.STOP: by_stop,
    },
    opens={view.MORE: by_more},
    synonyms=("get", "show", "describe"),
)
