"""Tells channels of tokens that expire: one message for each gateway, kept true, with a thread.

Each channel has one bot at a time that writes to it, by a lease, one message a second, the most
urgent gateway first. chat.postMessage cannot be repeated safely, so a post whose end nobody noted is
looked for by its metadata before it is made again.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError

from deploy.actions.codec import Unreadable
from deploy.deadline import Deadline
from deploy.errors import GatewayBotError
from deploy.expiry.tracked import Notified, Tracked, WarningEntry
from deploy.expiry.tracker import Tracker
from deploy.gateway import GatewayRef
from handlers.messages.budget import Budgets
from handlers.messages.notices import find_message
from handlers.slack.api_errors import unsure
from handlers.views import expiry as view

log = logging.getLogger(__name__)

EVENT_TYPE = "gateway_expiry"
_POLL_SECONDS = 0.5
_RETRY_SECONDS = 15.0
_LEASE_SECONDS = 40.0
_HOLD_SECONDS = 20.0
"""A post is begun only while the lease lasts for longer than Slack may take to answer it."""
_SKIP_SECONDS = 60.0
_UNREADABLE_SECONDS = 600.0
_OWED = 50
_LIMITED = ("ratelimited", "rate_limited")
_CHANNEL = (
    *("channel_not_found", "not_in_channel", "is_archived", "restricted_action"),
    *("invalid_auth", "account_inactive", "token_revoked", "missing_scope", "ekm_access_denied"),
)
_GONE = ("message_not_found", "cant_update_message", "edit_window_closed", "thread_not_found")


class _Later(Exception):
    """The channel's turn is over for `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds


class Warner:
    """One thread; `slack` must repeat nothing by itself, and not sleep when it is told to wait."""

    def __init__(
        self,
        slack: WebClient,
        tracker: Tracker,
        *,
        budgets: Budgets,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._slack = slack
        self._tracker = tracker
        self._budgets = budgets
        self._clock = clock
        self._not_before: dict[str, float] = {}
        self._held_until: dict[str, float] = {}
        self._skipped: dict[tuple[str, GatewayRef], float] = {}
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="warner", daemon=True)

    def start(self) -> None:
        """Begin to tell."""
        self._thread.start()

    def stop(self, deadline: Deadline) -> None:
        """Finish the message under way, and leave the channels to other bots."""
        self._stopping.set()
        self._wake.set()
        deadline.join([self._thread])

    def wake(self) -> None:
        """Something changed: look now."""
        self._wake.set()

    @property
    def live(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(_POLL_SECONDS)
            self._wake.clear()
            try:
                self.turn()
            except GatewayBotError as error:
                log.warning("warnings wait for their next turn: %s", error)
                self._stopping.wait(_RETRY_SECONDS / 3)
            except Exception:  # the thread that warns must outlive any one warning
                log.exception("a turn of warnings failed")
                self._stopping.wait(_RETRY_SECONDS / 3)
        for channel in self._held_until:
            try:
                self._tracker.let_go(_lease(channel))
            except GatewayBotError as error:
                log.info("the lease of a channel runs out by itself: %s", error)

    def turn(self) -> int:
        """Tell each channel the most urgent thing it is owed; how many messages were sent."""
        sent = 0
        for channel in self._tracker.owing():
            if self._stopping.is_set() or self._clock() < self._not_before.get(channel, 0.0):
                continue
            owed = self._owed(channel)
            if owed and self._hold(channel):
                sent += self._pay(channel, owed)
        return sent

    def _owed(self, channel: str) -> list[GatewayRef]:
        """What can be told now, so that the channel is left to other bots where nothing can."""
        now = self._clock()
        self._skipped = {key: until for key, until in self._skipped.items() if now < until}
        skipped = {ref for place, ref in self._skipped if place == channel}
        owed = self._tracker.owed(channel, _OWED + len(skipped))
        return [ref for ref in owed if ref not in skipped]

    def _hold(self, channel: str) -> bool:
        now = self._clock()
        if self._held_until.get(channel, 0.0) - now < _HOLD_SECONDS:
            if not self._tracker.hold(_lease(channel), _LEASE_SECONDS):
                self._held_until.pop(channel, None)
                return False
            self._held_until[channel] = now + _LEASE_SECONDS
        return True

    def _pay(self, channel: str, owed: Sequence[GatewayRef]) -> int:
        unreadable: list[GatewayRef] = []
        try:
            return self._told(channel, owed, unreadable)
        finally:
            if unreadable:
                self._leave(channel, unreadable)

    def _leave(self, channel: str, unreadable: Sequence[GatewayRef]) -> None:
        """Let a bot have the channel that can read these; this one looks at them again later."""
        now = self._clock()
        self._skipped |= {(channel, ref): now + _UNREADABLE_SECONDS for ref in unreadable}
        self._not_before[channel] = max(
            self._not_before.get(channel, 0.0), now + _RETRY_SECONDS / 3
        )
        self._held_until.pop(channel, None)
        self._tracker.let_go(_lease(channel))

    def _told(self, channel: str, owed: Sequence[GatewayRef], unreadable: list[GatewayRef]) -> int:
        """How many messages were sent; those whose record cannot be read are added to the last."""
        sent = 0
        for ref in owed:
            try:
                sent += self._tell(channel, ref)
            except Unreadable:
                unreadable.append(ref)
            except _Later as later:
                self._not_before[channel] = self._clock() + later.seconds
                return sent
            except SlackApiError as error:
                self._refused(channel, ref, error)
                return sent
            except (SlackClientError, OSError) as error:
                # Whether it was posted is not known, so the mark of the post stays.
                log.warning("Slack did not answer for %s: %s", ref, type(error).__name__)
                self._not_before[channel] = self._clock() + _RETRY_SECONDS / 3
                return sent
            if not self._hold(channel):
                return sent
        return sent

    def _tell(self, channel: str, ref: GatewayRef) -> int:
        tracked = self._tracker.find(ref)
        if tracked is None or channel not in tracked.behind():
            self._tracker.paid(ref, channel)
            return 0
        told = tracked.told.get(channel, Notified())
        if told.episode != tracked.episode:
            told = Notified(episode=tracked.episode)
        if not told.ts:
            ts = self._found(channel, None, told, _payload(tracked))
            if ts is None:
                return self._root(channel, tracked)
            told = Notified(told.episode, ts, entry=told.upto)
            self._tracker.sent(
                ref, channel, episode=told.episode, ts=ts, version=0, entry=told.entry
            )
        return self._more(channel, tracked, told)

    def _root(self, channel: str, tracked: Tracked) -> int:
        """Post the episode's message; what led to it is told by it."""
        if tracked.over:
            # Nobody was told that it began.
            self._tracker.unsent(tracked.ref, channel)
            self._tracker.paid(tracked.ref, channel)
            return 0
        text, blocks = view.message(tracked)
        last = tracked.entries[-1].number if tracked.entries else 0
        ts = self._post(
            tracked.ref,
            channel,
            last,
            text=text,
            blocks=blocks,
            metadata=_meta(_payload(tracked)),
        )
        self._tracker.sent(
            tracked.ref,
            channel,
            episode=tracked.episode,
            ts=ts,
            version=tracked.version,
            entry=last,
        )
        self._tracker.paid(tracked.ref, channel)
        return 1

    def _more(self, channel: str, tracked: Tracked, told: Notified) -> int:
        """Bring the message up to date, then tell in its thread what happened since."""
        if self._budgets.update() > 0:
            raise _Later(2.0)
        text, blocks = view.message(tracked)
        self._slack.chat_update(channel=channel, ts=told.ts, text=text, blocks=blocks)
        for entry in _untold(tracked, told):
            self._note(channel, tracked, told, entry)
            told = Notified(told.episode, told.ts, told.version, entry.number)
        self._tracker.sent(
            tracked.ref,
            channel,
            episode=tracked.episode,
            ts=told.ts,
            version=tracked.version,
            entry=told.entry,
        )
        self._tracker.paid(tracked.ref, channel)
        return 1

    def _note(self, channel: str, tracked: Tracked, told: Notified, entry: WarningEntry) -> None:
        text, broadcast = view.note(entry)
        payload = {**_payload(tracked), "entry": entry.number}
        if self._found(channel, told.ts, told, payload) is None:
            self._post(
                tracked.ref,
                channel,
                entry.number,
                thread_ts=told.ts,
                text=text,
                reply_broadcast=broadcast,
                metadata=_meta(payload),
            )
        self._tracker.sent(
            tracked.ref,
            channel,
            episode=tracked.episode,
            ts=told.ts,
            version=told.version,
            entry=entry.number,
        )

    def _post(self, ref: GatewayRef, channel: str, upto: int, **arguments: Any) -> str:
        wait = self._budgets.post(channel)
        if wait:
            raise _Later(wait)
        if not self._hold(channel):
            raise _Later(_POLL_SECONDS)
        self._tracker.posting(ref, channel, upto)
        try:
            return str(self._slack.chat_postMessage(channel=channel, **arguments)["ts"])
        except SlackApiError as error:
            if not unsure(error):
                self._tracker.unsent(ref, channel)
            raise

    def _found(
        self, channel: str, thread: str | None, told: Notified, payload: Mapping[str, Any]
    ) -> str | None:
        """Where the message is that a try which was cut short may have posted."""
        if told.posting is None:
            return None
        return find_message(self._slack, channel, thread, told.posting, EVENT_TYPE, payload)

    def _refused(self, channel: str, ref: GatewayRef, error: SlackApiError) -> None:
        reason = str(error.response.get("error"))
        wait = _RETRY_SECONDS
        if error.response.status_code == 429 or reason in _LIMITED:
            wait = float(error.response.headers.get("Retry-After", _RETRY_SECONDS))
        elif reason in _GONE:
            log.warning("the warning of %s is gone; it is posted anew", ref)
            self._tracker.unsent(ref, channel, lost=True)
            wait = 0.0
        elif reason not in _CHANNEL and not unsure(error):
            # It is this message that Slack does not take; the others need not wait for it.
            log.error("Slack refused the warning of %s in %s: %s", ref, channel, reason)
            self._skipped[channel, ref] = self._clock() + _SKIP_SECONDS
            wait = 0.0
        else:
            log.error("Slack takes no warnings in %s: %s", channel, reason)
        self._not_before[channel] = self._clock() + wait


def _untold(tracked: Tracked, told: Notified) -> list[WarningEntry]:
    return [
        entry
        for entry in tracked.entries
        if entry.number > told.entry and entry.episode == tracked.episode
    ]


def _payload(tracked: Tracked) -> dict[str, Any]:
    return {"id": f"{tracked.ref}#{tracked.episode}"}


def _meta(payload: Mapping[str, Any]) -> dict[str, Any]:
    return {"event_type": EVENT_TYPE, "event_payload": dict(payload)}


def _lease(channel: str) -> str:
    return f"warnings-{channel}"
