"""The Home tab: what it shows, read from what the bot holds already, and what its buttons do.

Drawing it asks no cluster and not Azure: gateways come from the caches, requests from Redis. Its buttons
do what commands do.
"""

import datetime
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TypeVar

from slack_sdk import WebClient

from deploy.access import Environment, Right
from deploy.actions.audit import AuditEntry, AuditLog
from deploy.actions.reader import Listing
from deploy.actions.windows import Windows
from deploy.changes.authority import Authority
from deploy.changes.refusal import NotAllowed
from deploy.errors import GatewayBotError
from deploy.expiry.prospects import Prospect, Prospects
from deploy.gateway import GatewayRef
from deploy.health.cache import ClusterCache
from deploy.health.fleet import Row, rows_of
from deploy.health.levels import Levels
from handlers.fleet import found_everywhere
from handlers.slack.payloads import Click, Request
from handlers.verbs import (
    deploy,
    expiring,
    history,
    logs,
    manage_token,
    pending,
    restart,
    rotate,
    status,
    whoami,
)
from handlers.verbs import help as help_verb
from handlers.verbs.verb import BoundVerb, ByClick, Run
from handlers.views import errors, modals
from handlers.views import home as view
from handlers.views.renewals import Rotation
from handlers.views.reply import Reply, View
from handlers.views.words import home as words

T = TypeVar("T")

_WAIT_SECONDS = 0.5
"""How long a cluster is waited for that has not been read yet."""
_ENTRIES = 100
"""So many of the trail's newest entries tell which gateways somebody changed lately."""
_AHEAD = datetime.timedelta(seconds=view.SOON_SECONDS)
_NOTABLE = (
    "succeeded",
    "failed",
    "stopped",
    "unknown",
    "denied",
    "window opened",
    "window closed",
    "paused",
    "resumed",
)
_LISTS = (pending, status, expiring, history, whoami, help_verb)


@dataclass(frozen=True)
class Needs(pending.Needs):
    """Where the facts of the tab are; `accept` makes a request safe and starts on it. `rotations` are by
    environment."""

    slack: WebClient
    authority: Authority
    caches: Mapping[str, ClusterCache]
    levels: Levels
    environments: tuple[Environment, ...]
    windows: Windows
    audit: AuditLog
    rotations: Mapping[str, Rotation]
    prospects: Prospects
    accept: Callable[[Request], None]


@dataclass(frozen=True)
class Drawn:
    """The tab of one person; two of the same `digest` differ at most in when they were read."""

    view: View
    digest: str
    closed: bool = False
    """Whether this person may see nothing here."""


def drawn(needs: Needs, user: str) -> Drawn:
    """The tab as it is now. For whoever may see nothing here it says why. Unavailable where it cannot
    be read who they are."""
    try:
        needs.authority.check(Right.SEE, user)
    except NotAllowed as error:
        return Drawn(view.refusal(errors.trouble(error)), "refused", closed=True)
    home = read(needs, user, time.time())
    environment_of = needs.authority.environment
    return Drawn(view.view(home, environment_of), view.digest(home, environment_of))


def read(needs: Needs, user: str, now: float) -> view.Home:
    """What the tab shows. What cannot be read takes nothing from the rest, and is named."""
    unread: list[tuple[str, str]] = []

    def either(section: str, get: Callable[[], Sequence[T]]) -> Sequence[T]:
        try:
            return get()
        except GatewayBotError as error:
            unread.append((section, error.happened))
            return ()

    listing = Listing(())
    try:
        listing = needs.store.listing()
    except GatewayBotError as error:
        unread.append((words.ASKED, error.happened))
    actions = listing.actions
    decide = pending.decidable(needs, actions, user)
    deciding = {action.id for action in decide}
    found = found_everywhere(needs.caches, _WAIT_SECONDS)
    seen = {gateway.ref: needs.levels.last(gateway) for gateway in found.gateways}
    # What is promised for an image is not shown, so the registry is not asked.
    rows = rows_of(found.summaries, seen, (), needs.environments)
    trail = either(words.CHANGES, lambda: needs.audit.read(_ENTRIES, steps=False))
    return view.Home(
        user=user,
        at=now,
        decide=decide,
        asked=[a for a in actions if a.requester == user and a.id not in deciding],
        rows=rows,
        own=_own(rows, trail, user),
        failed=found.failed,
        rotations=needs.rotations,
        prospects=_prospects(needs, rows, now),
        pauses=either(words.FREEZES, needs.authority.pauses),
        freezes=needs.authority.freezes(_AHEAD),
        windows=either(words.FREEZES, needs.windows.all_open),
        changes=_changes(trail),
        unread=unread,
        notes=[
            *([words.unreadable(listing.unreadable)] if listing.unreadable else []),
            *([words.left(listing.more)] if listing.more else []),
            *found.unseen,
            *found.left_out,
        ],
    )


def _prospects(needs: Needs, rows: Sequence[Row], now: float) -> Mapping[str, Prospect] | None:
    """What keeps the tokens that expire soon from being rotated automatically, by environment; None where
    that cannot be read."""
    tokens: dict[str, dict[GatewayRef, float]] = {}
    for row in rows:
        at = row.summary.token_expires_at
        if at is not None and at - now < view.SOON_SECONDS:
            tokens.setdefault(row.environment, {})[row.summary.ref] = at
    automatic = [
        name for name in tokens if needs.rotations.get(name, Rotation()).rule.mode != "off"
    ]
    try:
        return {name: needs.prospects.of(name, tokens[name]) for name in automatic}
    except GatewayBotError:
        return None


def _changes(trail: Sequence[AuditEntry]) -> list[AuditEntry]:
    """What has ended, with all that is known of it, and what else is worth a line."""
    ended = {entry.action for entry in trail if entry.event in _NOTABLE and entry.action}
    return [entry for entry in trail if entry.event in _NOTABLE or entry.action in ended]


def _own(rows: Sequence[Row], trail: Sequence[AuditEntry], user: str) -> list[Row]:
    """The gateways that somebody asked to change, the last one first."""
    by_ref = {str(row.summary.ref): row for row in rows}
    named = dict.fromkeys(entry.ref for entry in trail if entry.who == user and entry.ref)
    return [by_ref[ref] for ref in named if ref in by_ref]


class HomeButtons:
    """What the buttons of the tab do. `verbs` are the table's, each as far as its person may use it."""

    def __init__(
        self, needs: Needs, verbs: Mapping[str, BoundVerb], allowed: Callable[[BoundVerb], Run],
        draw: Callable[[str], None],
    ) -> None:  # fmt: skip
        """`allowed` is the verb where the authority allows it, `draw` publishes somebody's tab."""
        self._needs = needs
        self._verbs = verbs
        self._allowed = allowed
        self._draw = draw

    @property
    def clicks(self) -> Mapping[str, ByClick]:
        """Those whose effect must not be lost."""
        return {
            view.LOGS: partial(self._ask, logs.VERB.name),
            view.RESTART: partial(self._ask, restart.VERB.name),
            view.ROTATE: partial(self._ask, rotate.VERB.name),
            view.KEEP: partial(self._ask, manage_token.VERB.name),
        }

    @property
    def opens(self) -> Mapping[str, ByClick]:
        """Those that open a modal, or draw again."""
        return {
            view.STATUS: self._status,
            view.MORE: self._more,
            view.PAGE: self._page,
            view.DEPLOY: self._deploy,
            view.REFRESH: self._refresh,
        }

    def _ask(self, verb: str, click: Click) -> Reply | None:
        """As if it had been typed to the bot in person."""
        self._needs.accept(
            Request(
                id=f"click:{click.id}:{verb}",
                verb=verb,
                user=click.user,
                channel=click.user,
                gateway=click.value,
            )
        )
        return None

    def _refresh(self, click: Click) -> None:
        self._draw(click.user)

    def _deploy(self, click: Click) -> None:
        verb = self._verbs[deploy.VERB.name]
        assert verb.open_modal is not None
        verb.open_modal(
            Request("", verb.verb.name, click.user, click.user, gateway=click.value),
            click.trigger_id,
        )

    def _status(self, click: Click) -> None:
        self._show(click, status.VERB.name, gateway=click.value)

    def _more(self, click: Click) -> None:
        """What a section shows only the first of."""
        name, _, option = click.value.partition(" --")
        if name in {each.VERB.name for each in _LISTS}:
            self._show(click, name, options={option: True} if option else {})

    def _show(
        self,
        click: Click,
        verb: str,
        gateway: str = "",
        options: Mapping[str, bool] = MappingProxyType({}),
    ) -> None:
        """The answer to a command, in a modal that is there at once."""
        modal = secrets.token_hex(16)
        title = f"{verb} {gateway.rpartition('/')[2]}".strip().capitalize()
        slack = self._needs.slack
        slack.views_open(trigger_id=click.trigger_id, view=modals.loading(title, modal))
        request = Request("", verb, click.user, click.user, gateway=gateway, options=dict(options))
        try:
            reply = self._allowed(self._verbs[verb])(request)
        except GatewayBotError as error:
            reply = errors.trouble(error)
        self._fill(modal, title, reply)

    def _page(self, click: Click) -> None:
        """Another page of the table, in the modal that the first one is in."""
        modal = modals.modal_of(click.value)
        verb = self._verbs[status.VERB.name]
        reply = verb.clicks["status_next"](click)
        if modal:
            self._fill(modal, status.VERB.name.capitalize(), reply)

    def _fill(self, modal: str, title: str, reply: Reply | None) -> None:
        blocks = modals.listing(reply.blocks if reply else (), view.IN_MODALS, modal)
        self._needs.slack.views_update(external_id=modal, view=modals.showing(title, blocks, modal))
