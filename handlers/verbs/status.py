"""`/gateway status` and `list`: every gateway, or one in depth."""

import dataclasses
import difflib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from dataclasses import dataclass
from typing import TypeVar

from slack_sdk import WebClient

from deploy.access import Environment, Right, environment_of
from deploy.actions.audit import AuditEntry, AuditLog
from deploy.azure import ApimInstance
from deploy.background import reported
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
from handlers.slack.payloads import Click, Request, request_from_mapping, request_to_mapping
from handlers.verbs.verb import Option, Verb
from handlers.views import errors, fleet
from handlers.views import status as view
from handlers.views.reply import Reply

T = TypeVar("T")

log = logging.getLogger(__name__)

_SOON_SECONDS = 1.5
"""How long a status waits for the image registry and the audit trail; it goes without them."""
_ENTRIES = 20
_MINUTES, _LONGEST = 10, 60
_STEP = 20.0
"""In a message that is kept current, ages move on by so many seconds at a time."""


@dataclass(frozen=True)
class TableNeeds:
    """What the table of gateways is made of."""

    caches: Mapping[str, ClusterCache]
    levels: Levels
    registry: Registry
    environments: tuple[Environment, ...]


@dataclass(frozen=True)
class Needs(TableNeeds):
    """Also what is said of one gateway. `watches` are the messages that are kept current."""

    slack: WebClient
    watches: live.Live
    audit: AuditLog
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
        return table(needs, fleet.Page(selection=_selection(needs, request)))
    return in_depth(needs, request.gateway, time.time())


def watched(needs: Needs, asked: live.Asked) -> Reply:
    """The same for a message that is kept current. Ages move in steps, and so do updates."""
    request = request_from_mapping(asked)
    now = time.time() // _STEP * _STEP
    try:
        if request.gateway:
            return in_depth(needs, request.gateway, now)
        seen = rows_everywhere(needs)
        page = fleet.Page(selection=_selection(needs, request))
        return fleet.overview(
            seen.rows, seen.failed, now, page, seen.unseen, seen.left_out, buttons=False
        )
    except GatewayBotError as error:
        return errors.trouble(error)


def table(needs: Needs, page: fleet.Page) -> Reply:
    """One page of every gateway there is."""
    seen = rows_everywhere(needs)
    return fleet.overview(seen.rows, seen.failed, time.time(), page, seen.unseen, seen.left_out)


def in_depth(needs: Needs, name: str, now: float) -> Reply:
    """The gateway that `name` means."""
    found = found_everywhere(needs.caches)
    ref = meant(needs.caches, name, found.summaries, found.failed)
    levels = needs.levels
    detail = gateway_detail(needs.caches[ref.cluster], ref, levels.azure_events(ref), levels.judged)
    promised = support(detail.summary.tag, _tags(needs.registry))
    done = _done(needs.audit, ref)
    environment = environment_of(ref, needs.environments)
    return view.detail(detail, promised, _portal(needs, detail), now, done, environment)


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


def by_page(needs: Needs, click: Click) -> Reply | None:
    """A button of the table: another page in the place of this one."""
    return dataclasses.replace(table(needs, fleet.Page.parse(click.value)), replace=True)


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


def _soon(read: Callable[[], Sequence[T]], otherwise: Sequence[T]) -> Sequence[T]:
    """What is only good to have: what does not come at once is left out."""
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
    Option("minutes", f"the same, for so many ({_LONGEST} at most)", "number", kind="number"),
)
VERB = Verb(
    "status",
    "shows every gateway, or one in depth",
    Needs,
    run,
    Right.SEE,
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
        live.STOP: by_stop,
    },
    synonyms=("get", "show", "describe"),
)
