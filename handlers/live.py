"""`--watch`: one message in the channel that is kept current for some minutes, with a Stop button."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError

from deploy.errors import Conflict, GatewayBotError
from deploy.live_messages import LiveMessages
from handlers.budget import Budgets
from handlers.views.text import Block, button, context, date

log = logging.getLogger(__name__)

STOP = "live_stop"
_LOOK_SECONDS = 3.0
_AT_ONCE = 20
_SWEEP_SECONDS = 5.0
_BLOCKS = 48

Asked = Mapping[str, Any]
"""A request as it is stored: `id`, `user`, `channel` and what it asks for."""


class Shown(Protocol):
    """What a message says."""

    @property
    def text(self) -> str: ...

    @property
    def blocks(self) -> Sequence[Block]: ...


Look = Callable[[Asked], Shown]
"""What the request shows now."""


class Live:
    """Keeps messages current, each on a thread of its own."""

    def __init__(
        self,
        slack: WebClient,
        store: LiveMessages,
        budgets: Budgets,
        *,
        look_seconds: float = _LOOK_SECONDS,
        sweep_seconds: float = _SWEEP_SECONDS,
    ) -> None:
        self._slack = slack
        self._store = store
        self._budgets = budgets
        self._look_seconds = max(2.0, look_seconds)
        self._sweep_seconds = sweep_seconds
        self._kept: dict[str, threading.Thread] = {}
        self._stopping = threading.Event()
        self._look: Look | None = None

    def start(self, look: Look) -> None:
        """Begin to end what bots that died have left behind. `look` renders what it showed."""
        self._look = look
        threading.Thread(target=self._sweep, name="live-sweep", daemon=True).start()

    def stop(self) -> None:
        """End every message that this bot keeps, and say so in it."""
        self._stopping.set()
        for thread in list(self._kept.values()):
            thread.join(timeout=5)

    def begin(self, asked: Asked, minutes: int, look: Look) -> None:
        """Post what `look` shows, and keep it current.

        Conflict when this bot keeps too many already.
        """
        if sum(thread.is_alive() for thread in self._kept.values()) >= _AT_ONCE:
            raise Conflict(
                f"{_AT_ONCE} messages are being kept current already.",
                remedy="Stop one of them, or look without `--watch`.",
            )
        shown, key = look(asked), str(asked["id"])
        if not self._store.begin(key, asked, minutes * 60):
            return
        ends = time.time() + minutes * 60
        place = self._post(asked, shown, ends)
        self._store.placed(key, place)
        thread = threading.Thread(
            target=self._keep, args=(asked, place, shown, ends, look), name="live", daemon=True
        )
        self._kept[key] = thread
        thread.start()

    def stopped(self, key: str, by: str) -> None:
        """Somebody clicked Stop."""
        self._store.stop(key, by)

    def _post(self, asked: Asked, shown: Shown, ends: float) -> dict[str, str]:
        blocks = _running(shown, asked, ends)
        try:
            posted = self._slack.chat_postMessage(
                channel=str(asked["channel"]), text=shown.text, blocks=blocks
            )
        except SlackApiError as error:
            if error.response.get("error") not in ("not_in_channel", "channel_not_found"):
                raise
            posted = self._slack.chat_postMessage(
                channel=str(asked["user"]), text=shown.text, blocks=blocks
            )
        return {"channel": str(posted["channel"]), "ts": str(posted["ts"])}

    def _keep(
        self, asked: Asked, place: Mapping[str, str], shown: Shown, ends: float, look: Look
    ) -> None:
        why = "the bot was restarted"
        while not self._stopping.wait(self._look_seconds):
            try:
                state, by = self._store.hold(str(asked["id"]))
                if state == "lost":
                    return
                if state != "on":
                    why = f"stopped by <@{by}>" if state == "stopped" else "its time is over"
                    break
                now = look(asked)
                if now != shown and self._budgets.update() == 0:
                    self._update(place, now.text, _running(now, asked, ends))
                    shown = now
            except (GatewayBotError, SlackApiError, SlackClientError, OSError) as error:
                log.info("a message is not current for a moment: %s", error)
            except Exception:  # the message must still end, whatever one look came to
                log.exception("a message cannot be kept current")
                why = "it could not be kept current"
                break
        self._end(str(asked["id"]), place, shown, why)

    def _end(self, key: str, place: Mapping[str, str], shown: Shown, why: str) -> None:
        """Say that it is current no more; a Slack that fails leaves that to the next sweep."""
        try:
            self._update(place, shown.text, _ended(shown, why))
            self._store.end(key)
        except (GatewayBotError, SlackApiError, SlackClientError, OSError) as error:
            log.warning("a message could not be ended: %s", error)
        self._kept.pop(key, None)

    def _update(self, place: Mapping[str, str], text: str, blocks: list[Block]) -> None:
        try:
            self._slack.chat_update(
                channel=place["channel"], ts=place["ts"], text=text, blocks=blocks
            )
        except SlackApiError as error:
            if error.response.get("error") != "message_not_found":
                raise
            log.info("a message that was kept current is gone")

    def _sweep(self) -> None:
        while not self._stopping.wait(self._sweep_seconds):
            try:
                for orphan in self._store.orphans():
                    self._close(orphan.id, orphan.payload, orphan.place)
            except (GatewayBotError, SlackApiError, SlackClientError, OSError) as error:
                log.info("messages left behind wait for the next turn: %s", error)
            except Exception:  # a message that looks current and is not would be a lie
                log.exception("messages left behind cannot be ended")

    def _close(self, key: str, asked: Asked, place: Mapping[str, str] | None) -> None:
        if place is not None and self._look is not None:
            shown = self._look(asked)
            self._update(place, shown.text, _ended(shown, "the bot that kept it current is gone"))
        self._store.end(key)


def _running(shown: Shown, asked: Asked, ends: float) -> list[Block]:
    until = context(f"Kept current until {date(ends, '{time}')}, asked by <@{asked['user']}>")
    stop = {"type": "actions", "elements": [button("Stop", STOP, str(asked["id"]))]}
    return [*shown.blocks[:_BLOCKS], until, stop]


def _ended(shown: Shown, why: str) -> list[Block]:
    at = context(f"As of {date(time.time(), '{time}')}; not kept current any more: {why}.")
    return [*shown.blocks[: _BLOCKS + 1], at]
