"""Tells channels when gateways get worse or better: one message each, kept true, with a thread."""

import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError

from deploy.deadline import Deadline
from deploy.errors import GatewayBotError
from deploy.gateway import GatewayRef
from deploy.health.cache import ClusterCache
from deploy.health.incident_store import IncidentStore
from deploy.health.incidents import Health, Incident, WatchedIncident, health_of, step
from deploy.health.levels import Levels
from handlers.messages.budget import Budgets
from handlers.messages.posting import CLOSED
from handlers.views import incidents as view

log = logging.getLogger(__name__)

EVENT_TYPE = "gateway_incident"
_PERIOD = 10.0
_HISTORY = 100
_GONE = ("message_not_found", "cant_update_message", "edit_window_closed")

ChannelOf = Callable[[GatewayRef], str]
"""Where people hear of a gateway; empty where nobody wants to."""


class Watchers:
    """One thread for every cluster; of several bots one watches each, for each channel."""

    def __init__(
        self,
        slack: WebClient,
        caches: Mapping[str, ClusterCache],
        levels: Levels,
        store: IncidentStore,
        channel_of: ChannelOf,
        *,
        budgets: Budgets,
        period: float = _PERIOD,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._slack = slack
        self._caches = caches
        self._levels = levels
        self._store = store
        self._channel_of = channel_of
        self._budgets = budgets
        self._period = period
        self._clock = clock
        self._subjects: set[tuple[str, str]] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchers", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self, deadline: Deadline) -> None:
        """End, and let another bot watch."""
        self._stopping.set()
        deadline.join([self._thread])

    @property
    def live(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.wait(self._period):
            for name in self._caches:
                try:
                    self.watch(name)
                except GatewayBotError as error:
                    log.warning("cluster %s is not watched just now: %s", name, error)
                except Exception:  # whoever is to be warned must not depend on one odd cluster
                    log.exception("watching cluster %s failed", name)
        for name, channel in self._subjects:
            try:
                self._store.release(_subject(name, channel))
            except GatewayBotError as error:
                log.info("the watch of %s runs out by itself: %s", name, error)

    def watch(self, cluster: str) -> None:
        """Look once, and tell each channel what it is owed. Raises what Redis raises."""
        by_channel, away = self._look(cluster)
        heard = self._store.channels(cluster)
        for channel in by_channel.keys() - heard:
            self._store.remember(cluster, channel)
        for channel in sorted(by_channel.keys() | heard):
            self._subjects.add((cluster, channel))
            healths = None if away else by_channel.get(channel, [])
            watch = self._watch(cluster, channel, healths, away)
            if not (watch is None or watch.incidents or away or channel in by_channel):
                self._store.forget(cluster, channel)

    def _look(self, cluster: str) -> tuple[dict[str, list[Health]], str]:
        """How each gateway is, by the channel that hears of it, or why nobody knows."""
        try:
            snapshot = self._caches[cluster].read(wait=1.0)
        except GatewayBotError as error:
            return {}, error.happened
        found: dict[str, list[Health]] = {}
        for gateway in snapshot.gateways:
            channel = self._channel_of(gateway.ref)
            if channel:
                health = health_of(gateway, self._levels.last(gateway))
                found.setdefault(channel, []).append(health)
        return found, snapshot.stale

    def _watch(
        self, cluster: str, channel: str, healths: list[Health] | None, away: str
    ) -> WatchedIncident | None:
        """What is remembered then; None where another bot watches."""
        subject = _subject(cluster, channel)
        known = self._store.take(subject)
        if known is None:
            return None
        watch = step(known, cluster, healths, away, self._clock())
        if watch != known and not self._store.save(subject, watch):
            return None
        for incident in watch.incidents:
            if incident.told < incident.version or incident.replies:
                watch = self._tell(subject, channel, watch, incident)
        return watch

    def _tell(
        self, subject: str, channel: str, watch: WatchedIncident, incident: Incident
    ) -> WatchedIncident:
        """Pay what the incident owes to its channel; what fails is owed the next time."""
        budget = self._budgets
        if (budget.update() if incident.message else budget.post(channel)) > 0:
            return watch
        trying = dataclasses.replace(incident, attempts=incident.attempts + 1)
        watch = self._kept(subject, watch, trying)
        try:
            told = self._told(channel, trying)
        except (SlackApiError, SlackClientError, OSError) as error:
            log.warning("a channel was not told of %s: %s", incident.id, error)
            if incident.over_at is None or not _closed(error):
                return watch
            # It would be owed for ever to a channel that is archived, or left by the bot.
            told = dataclasses.replace(trying, told=trying.version, replies=())
        return self._kept(subject, watch, told)

    def _kept(self, subject: str, watch: WatchedIncident, incident: Incident) -> WatchedIncident:
        changed = dataclasses.replace(
            watch,
            incidents=tuple(incident if i.id == incident.id else i for i in watch.incidents),
        )
        self._store.save(subject, changed)
        return changed

    def _told(self, channel: str, incident: Incident) -> Incident:
        text, blocks = view.message(incident)
        place = incident.message or self._already_posted(channel, incident)
        if place is not None and incident.told < incident.version:
            gone = not self._updated(place, text, blocks)
            if gone and incident.over_at is None:
                # Told anew at the next look; an end needs no message of its own.
                return dataclasses.replace(incident, message=None, attempts=0)
        if place is None:
            metadata = {"event_type": EVENT_TYPE, "event_payload": {"id": incident.id}}
            posted = self._slack.chat_postMessage(
                channel=channel, text=text, blocks=blocks, metadata=metadata
            )
            place = {"channel": str(posted["channel"]), "ts": str(posted["ts"])}
        if incident.replies:
            self._slack.chat_postMessage(
                channel=place["channel"],
                thread_ts=place["ts"],
                text=view.replies(incident.replies),
            )
        return dataclasses.replace(
            incident, message=place, told=incident.version, replies=(), attempts=0
        )

    def _updated(self, place: Mapping[str, str], text: str, blocks: list[Any]) -> bool:
        """Bring the message up to date, where Slack lets the bot; False where it is no more."""
        try:
            self._slack.chat_update(
                channel=place["channel"], ts=place["ts"], text=text, blocks=blocks
            )
        except SlackApiError as error:
            reason = error.response.get("error")
            if reason not in _GONE:
                raise
            log.info("the message of an incident is not changed any more: %s", reason)
            return bool(reason != "message_not_found")
        return True

    def _already_posted(self, channel: str, incident: Incident) -> Mapping[str, str] | None:
        """A message whose posting was never confirmed: it is looked for before it is posted."""
        if incident.attempts <= 1:
            return None
        history = self._slack.conversations_history(
            channel=channel,
            oldest=str(incident.opened_at - 60),
            include_all_metadata=True,
            limit=_HISTORY,
        )
        for message in history["messages"]:
            metadata = message.get("metadata") or {}
            payload = metadata.get("event_payload") or {}
            if metadata.get("event_type") == EVENT_TYPE and payload.get("id") == incident.id:
                return {"channel": channel, "ts": str(message["ts"])}
        return None


def _closed(error: Exception) -> bool:
    """Whether Slack lets the bot write nothing there, whatever it is."""
    return isinstance(error, SlackApiError) and error.response.get("error") in CLOSED


def _subject(cluster: str, channel: str) -> str:
    return f"{cluster}:{channel}"
