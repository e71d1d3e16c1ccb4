"""Keeps each action's one message true: posts it once, then updates it to the newest state.

What is owed stands in the outbox beside the action, so a message ends right even if the bot dies in
between. Slack allows about fifty chat.update calls a minute for a whole workspace (tier 3), so
progress is coalesced and the newest state always wins.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError

from deploy.actions.outbox import Delivery, Outbox
from deploy.actions.record import Action
from deploy.errors import GatewayBotError
from handlers.verb import Block

log = logging.getLogger(__name__)

Render = Callable[[Action], tuple[str, list[Block]]]

EVENT_TYPE = "gateway_action"
_LEASE_SECONDS = 30
_POLL_SECONDS = 0.5
_RETRY_SECONDS = 5.0
_PROGRESS_SECONDS = 1.5
_HISTORY_COUNT = 100


class Budget:
    """A token bucket: `per_minute` calls on average, `burst` at once."""

    def __init__(
        self, per_minute: float, burst: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = per_minute / 60
        self._burst = burst
        self._clock = clock
        self._left = float(burst)
        self._at = clock()

    def take(self) -> bool:
        """Use one call if there is one."""
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Deliveries:
    """The thread that pays what the outbox owes."""

    def __init__(self, slack: WebClient, outbox: Outbox, render: Render, owner: str) -> None:
        self._slack = slack
        self._outbox = outbox
        self._render = render
        self._owner = owner
        self._updates = Budget(per_minute=50, burst=10)
        self._sent_at: dict[str, float] = {}
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="delivery", daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the message under way and end."""
        self._stopping.set()
        self._wake.set()
        self._thread.join(timeout=10)

    def wake(self) -> None:
        """Something changed: look now rather than at the next poll."""
        self._wake.set()

    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(_POLL_SECONDS)
            self._wake.clear()
            try:
                for action_id in self._outbox.owed():
                    self._deliver(action_id)
            except GatewayBotError as error:
                log.warning("the outbox cannot be read: %s", error)
                self._stopping.wait(_RETRY_SECONDS)
            except Exception:  # the thread that keeps messages true must outlive any one of them
                log.exception("a delivery failed")
                self._stopping.wait(_RETRY_SECONDS)

    def _deliver(self, action_id: str) -> None:
        delivery = self._outbox.claim(action_id, self._owner, _LEASE_SECONDS)
        if delivery is None:
            return
        since = time.monotonic() - self._sent_at.get(action_id, float("-inf"))
        if since < _PROGRESS_SECONDS and not delivery.action.final:
            self._outbox.release(action_id, self._owner, _PROGRESS_SECONDS - since)
            return
        try:
            message = self._send(delivery)
        except SlackApiError as error:
            self._refused(delivery, error)
        except (SlackClientError, OSError) as error:
            log.warning("Slack did not answer for %s: %s", action_id, type(error).__name__)
            self._outbox.release(action_id, self._owner, _RETRY_SECONDS)
        else:
            if message is None:
                self._outbox.release(action_id, self._owner, _PROGRESS_SECONDS)
                return
            self._outbox.delivered(action_id, self._owner, delivery.version, message)
            if delivery.action.final:
                self._sent_at.pop(action_id, None)
            else:
                self._sent_at[action_id] = time.monotonic()

    def _send(self, delivery: Delivery) -> Mapping[str, Any] | None:
        action = delivery.action
        text, blocks = self._render(action)
        message = action.message or self._already_posted(delivery)
        if message is None:
            return self._post(action, text, blocks)
        if not self._updates.take() and not action.final:
            return None
        self._slack.chat_update(
            channel=message["channel"], ts=message["ts"], text=text, blocks=blocks
        )
        return message

    def _post(self, action: Action, text: str, blocks: list[Block]) -> Mapping[str, Any]:
        metadata = {"event_type": EVENT_TYPE, "event_payload": {"id": action.id}}
        channel = str(action.origin["channel"])
        try:
            posted = self._slack.chat_postMessage(
                channel=channel, text=text, blocks=blocks, metadata=metadata
            )
        except SlackApiError as error:
            if error.response.get("error") not in ("not_in_channel", "channel_not_found"):
                raise
            # The command was typed where the bot is no member: the requester's DM is always open.
            posted = self._slack.chat_postMessage(
                channel=action.requester, text=text, blocks=blocks, metadata=metadata
            )
        return {"channel": posted["channel"], "ts": posted["ts"]}

    def _already_posted(self, delivery: Delivery) -> Mapping[str, Any] | None:
        """A message whose posting was never confirmed: chat.postMessage cannot be repeated safely,
        so our own metadata is looked for first."""
        if delivery.attempt <= 1:
            return None
        action = delivery.action
        try:
            history = self._slack.conversations_history(
                channel=str(action.origin["channel"]),
                oldest=str(action.created_at - 60),
                include_all_metadata=True,
                limit=_HISTORY_COUNT,
            )
        except SlackApiError as error:
            log.info("history cannot be read: %s", error.response.get("error"))
            return None
        for message in history["messages"]:
            metadata = message.get("metadata") or {}
            if (
                metadata.get("event_type") == EVENT_TYPE
                and metadata.get("event_payload", {}).get("id") == action.id
            ):
                return {"channel": str(action.origin["channel"]), "ts": message["ts"]}
        return None

    def _refused(self, delivery: Delivery, error: SlackApiError) -> None:
        action_id, reason = delivery.action.id, str(error.response.get("error"))
        if reason in ("ratelimited", "rate_limited") or error.response.status_code == 429:
            wait = float(error.response.headers.get("Retry-After", _RETRY_SECONDS))
        elif reason in ("message_not_found", "cant_update_message") and delivery.action.message:
            log.warning("the message of %s is gone; it is posted anew", action_id)
            self._outbox.delivered(action_id, self._owner, delivery.version - 1, None)
            return
        else:
            log.error("Slack refused the message of %s: %s", action_id, reason)
            wait = _RETRY_SECONDS * 6
        self._outbox.release(action_id, self._owner, wait)
