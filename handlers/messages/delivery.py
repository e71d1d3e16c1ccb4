"""Keeps each action's one message true, and tells the rest in its thread.

What is owed stands in the outbox beside the action, so a message ends right even if the bot dies in
between. The newest state wins; a line in the thread or to the requester is told once: whether it
was posted before is looked up by its metadata, since chat.postMessage cannot be repeated safely.
"""

import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError

from deploy.actions.action import Action, Event
from deploy.actions.outbox import Delivery, Outbox
from deploy.deadline import Deadline
from deploy.errors import GatewayBotError
from handlers.messages.budget import Budgets
from handlers.messages.posting import CLOSED
from handlers.views.notes import Note
from handlers.views.reply import Block

log = logging.getLogger(__name__)

Render = Callable[[Action], tuple[str, list[Block]]]
Notes = Callable[[Action, Sequence[Event]], tuple[Note, ...]]
Place = Mapping[str, Any]
"""Where a message is: `channel` and `ts`."""

EVENT_TYPE = "gateway_action"
_LEASE_SECONDS = 30
_POLL_SECONDS = 0.5
_RETRY_SECONDS = 5.0
_PROGRESS_SECONDS = 1.5
_HISTORY_COUNT = 100
_WORKERS = 4
_PASSING = (
    *("ratelimited", "rate_limited", "service_unavailable", "request_timeout"),
    *("internal_error", "fatal_error"),
)
"""What Slack may answer otherwise the next time."""


class Later(Exception):
    """Slack's limits allow this only after `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds


class Deliveries:
    """The threads that pay what the outbox owes."""

    def __init__(
        self,
        slack: WebClient,
        outbox: Outbox,
        render: Render,
        notes: Notes,
        owner: str,
        *,
        budgets: Budgets,
        window_place: Callable[[str], Place | None] = lambda window: None,
    ) -> None:
        """`slack` must not sleep on its own when it is told to wait: others would wait with it.

        `window_place` says where the message of an approval window is.
        """
        self._slack = slack
        self._outbox = outbox
        self._render = render
        self._notes = notes
        self._owner = owner
        self._budgets = budgets
        self._window_place = window_place
        self._sent_at: dict[str, float] = {}
        self._busy: set[str] = set()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="delivery")
        self._thread = threading.Thread(target=self._run, name="delivery", daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def stop(self, deadline: Deadline) -> None:
        """Finish the messages under way and end."""
        self._stopping.set()
        self._wake.set()
        deadline.join([self._thread])
        deadline.wait_for(partial(self._pool.shutdown, cancel_futures=True))

    def wake(self, action_id: str) -> None:
        """An action changed: look now rather than at the next poll."""
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
                for action_id in self._outbox.owed():
                    self._begin(action_id)
            except GatewayBotError as error:
                log.warning("the outbox cannot be read: %s", error)
                self._stopping.wait(_RETRY_SECONDS)
            except Exception:  # the thread that keeps messages true must outlive any one of them
                log.exception("looking for what is owed failed")
                self._stopping.wait(_RETRY_SECONDS)

    def _begin(self, action_id: str) -> None:
        with self._lock:
            if action_id in self._busy:
                return
            self._busy.add(action_id)
        self._pool.submit(self._work, action_id)

    def _work(self, action_id: str) -> None:
        try:
            self._deliver(action_id)
        except GatewayBotError as error:
            log.warning("the message of %s waits for its next turn: %s", action_id, error)
        except Exception:  # as above; what is owed stays owed
            log.exception("the message of %s could not be delivered", action_id)
        finally:
            with self._lock:
                self._busy.discard(action_id)

    def _deliver(self, action_id: str) -> None:
        delivery = self._outbox.claim(action_id, self._owner, _LEASE_SECONDS)
        if delivery is None:
            return
        since = time.monotonic() - self._sent_at.get(action_id, float("-inf"))
        if since < _PROGRESS_SECONDS and not delivery.action.final and not delivery.events:
            self._outbox.release(action_id, self._owner, _PROGRESS_SECONDS - since)
            return
        try:
            message = self._send(delivery)
            noted = self._tell(delivery, message)
        except Later as later:
            self._outbox.release(action_id, self._owner, later.seconds)
        except SlackApiError as error:
            self._refused(delivery, error)
        except (SlackClientError, OSError) as error:
            log.warning("Slack did not answer for %s: %s", action_id, type(error).__name__)
            self._outbox.release(action_id, self._owner, _RETRY_SECONDS)
        else:
            self._outbox.delivered(action_id, self._owner, delivery.version, message, noted=noted)
            if delivery.action.final:
                self._sent_at.pop(action_id, None)
            else:
                self._sent_at[action_id] = time.monotonic()

    def _send(self, delivery: Delivery) -> Place:
        action = delivery.action
        text, blocks = self._render(action)
        message = action.message or self._already_posted(delivery)
        if message is None:
            return self._post(action, text, blocks)
        wait = self._budgets.update()
        if wait and not action.final:
            raise Later(max(wait, _PROGRESS_SECONDS))
        if self._updated(message, text, blocks):
            return message
        log.warning("the message of %s is out of reach; it is posted anew", action.id)
        # Unless it was so already, in a try that was cut short.
        anew = self._already_posted(delivery, but_in=message["channel"])
        if anew is not None and self._updated(anew, text, blocks):
            return anew
        return self._post(action, text, blocks)

    def _updated(self, message: Place, text: str, blocks: list[Block]) -> bool:
        """Bring a message up to date; False where the bot may not write in its channel any more."""
        try:
            self._slack.chat_update(
                channel=message["channel"], ts=message["ts"], text=text, blocks=blocks
            )
        except SlackApiError as error:
            if error.response.get("error") not in CLOSED:
                raise
            return False
        return True

    def _post(self, action: Action, text: str, blocks: list[Block]) -> Place:
        metadata = {"event_type": EVENT_TYPE, "event_payload": {"id": action.id}}
        channel = str(action.origin["channel"])
        try:
            posted = self._posted(channel=channel, text=text, blocks=blocks, metadata=metadata)
        except SlackApiError as error:
            if error.response.get("error") not in CLOSED:
                raise
            # The command was typed where the bot may not post: the requester's DM is always open.
            posted = self._posted(
                channel=action.requester, text=text, blocks=blocks, metadata=metadata
            )
        return {"channel": posted["channel"], "ts": posted["ts"]}

    def _tell(self, delivery: Delivery, message: Place) -> int:
        """Post what is owed beside the message; the version up to which all has been told.

        Everybody else comes before the requester, whose direct messages may not take any.
        """
        action = dataclasses.replace(delivery.action, message=message)
        owed = self._notes(action, delivery.events)
        for note in sorted(owed, key=lambda note: note.to == "requester"):
            try:
                self._tell_one(delivery, note, message)
            except SlackApiError as error:
                if _passing(error):
                    raise
                # As where the bot was taken out of the channel: that keeps nobody else in the dark.
                log.error(
                    "Slack takes no line about %s: %s", action.id, error.response.get("error")
                )
        return delivery.events[-1].version if delivery.events else 0

    def _tell_one(self, delivery: Delivery, note: Note, message: Place) -> None:
        if note.to == "requester":
            self._tell_requester(delivery, note, message)
            return
        if note.to == "channel":
            self._tell_channel(delivery, note)
            return
        windows = delivery.action.policy.windows
        top = self._window_place(windows[0]) if note.to == "window" else message
        if top is not None:
            self._reply(delivery, note, top)

    def _tell_channel(self, delivery: Delivery, note: Note) -> None:
        if not self._noted(delivery, note, note.channel, None):
            self._posted(
                channel=note.channel,
                text=note.text,
                blocks=list(note.blocks),
                metadata=_metadata(delivery, note),
            )

    def _tell_requester(self, delivery: Delivery, note: Note, message: Place) -> None:
        """In person; by name in the thread where Slack opens no direct messages with them."""
        requester = delivery.action.requester
        try:
            direct: Any = self._slack.conversations_open(users=requester)
            channel = str(direct["channel"]["id"])
            if not self._noted(delivery, note, channel, None):
                self._posted(channel=channel, text=note.text, metadata=_metadata(delivery, note))
        except SlackApiError as error:
            if _passing(error):
                raise
            log.warning("%s cannot be told: %s", requester, error.response.get("error"))
            named = dataclasses.replace(note, text=f"<@{requester}> {note.text}")
            self._reply(delivery, named, message)

    def _reply(self, delivery: Delivery, note: Note, top: Place) -> None:
        if not self._noted(delivery, note, top["channel"], top["ts"]):
            self._posted(
                channel=top["channel"],
                thread_ts=top["ts"],
                text=note.text,
                reply_broadcast=note.broadcast,
                metadata=_metadata(delivery, note),
            )

    def _posted(self, *, channel: str, **arguments: Any) -> Any:
        wait = self._budgets.post(channel)
        if wait:
            raise Later(wait)
        return self._slack.chat_postMessage(channel=channel, **arguments)

    def _already_posted(self, delivery: Delivery, but_in: str = "") -> Place | None:
        """A message whose posting was never confirmed, in another channel than `but_in`."""
        if delivery.attempt <= 1:
            return None
        action = delivery.action
        for channel in self._channels(action):
            if channel == but_in:
                continue
            for message in self._history(channel, None, action.created_at):
                if _payload(message) == {"id": action.id}:
                    return {"channel": channel, "ts": message["ts"]}
        return None

    def _channels(self, action: Action) -> Iterator[str]:
        """Where an action's message may have been posted."""
        yield str(action.origin["channel"])
        try:
            direct: Any = self._slack.conversations_open(users=action.requester)
        except SlackApiError as error:
            log.info("there are no direct messages: %s", error.response.get("error"))
            return
        yield str(direct["channel"]["id"])

    def _noted(self, delivery: Delivery, note: Note, channel: str, thread: str | None) -> bool:
        """Whether the note is there already, from a try that was cut short."""
        if delivery.attempt <= 1:
            return False
        wanted = {"id": delivery.action.id, "note": note.key}
        found = self._history(channel, thread, delivery.action.created_at)
        return any(_payload(message) == wanted for message in found)

    def _history(self, channel: str, thread: str | None, since: float) -> list[dict[str, Any]]:
        more: dict[str, Any] = {
            "channel": channel,
            "oldest": str(since - 60),
            "include_all_metadata": True,
            "limit": _HISTORY_COUNT,
        }
        try:
            answer: Any = (
                self._slack.conversations_replies(ts=thread, **more)
                if thread
                else self._slack.conversations_history(**more)
            )
        except SlackApiError as error:
            log.info("history cannot be read: %s", error.response.get("error"))
            return []
        return list(answer["messages"])

    def _refused(self, delivery: Delivery, error: SlackApiError) -> None:
        action_id, reason = delivery.action.id, str(error.response.get("error"))
        limited = reason in ("ratelimited", "rate_limited") or error.response.status_code == 429
        if limited:
            wait = float(error.response.headers.get("Retry-After", _RETRY_SECONDS))
        elif reason in ("message_not_found", "cant_update_message") and delivery.action.message:
            log.warning("the message of %s is gone; it is posted anew", action_id)
            self._outbox.delivered(action_id, self._owner, delivery.version - 1, None)
            return
        else:
            log.error("Slack refused the message of %s: %s", action_id, reason)
            wait = _RETRY_SECONDS * 6
        told_to = limited or not _passing(error)
        self._outbox.release(action_id, self._owner, wait, told_to=told_to)


def _passing(error: SlackApiError) -> bool:
    return error.response.get("error") in _PASSING or error.response.status_code != 200


def _metadata(delivery: Delivery, note: Note) -> dict[str, Any]:
    payload = {"id": delivery.action.id, "note": note.key}
    return {"event_type": EVENT_TYPE, "event_payload": payload}


def _payload(message: Mapping[str, Any]) -> Any:
    metadata = message.get("metadata") or {}
    return metadata.get("event_payload") if metadata.get("event_type") == EVENT_TYPE else None
