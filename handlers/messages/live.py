"""Messages that are kept current for some minutes, with a Stop button: `--watch` and `--follow`."""

import contextlib
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError

from deploy.deadline import Deadline
from deploy.errors import Conflict, GatewayBotError
from deploy.health.live_messages import LiveMessages, Orphan
from handlers.messages.budget import Budgets
from handlers.messages.posting import post
from handlers.views.errors import LinkedConflict
from handlers.views.reply import Block
from handlers.views.text import button, context, date, escape

log = logging.getLogger(__name__)

STOP = "live_stop"
_LOOK_SECONDS = 3.0
_AT_ONCE = 20
_EACH = 10
"""So many of one person, so that one who forgets them leaves room for the others."""
_BLOCKS = 48
_WHY = {"over": "its time is over", "gone": "the bot's store was emptied"}

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
Ended = Callable[[Mapping[str, str] | None], None]
"""Told once it is kept no more: where it was, None where it never was or is another bot's."""


@dataclass(frozen=True)
class _Kept:
    """One that this bot keeps."""

    thread: threading.Thread
    asked: Asked
    place: Mapping[str, str]


class Live:
    """Keeps messages current, each on a thread of its own."""

    def __init__(
        self,
        slack: WebClient,
        store: LiveMessages,
        budgets: Budgets,
        *,
        updates: WebClient | None = None,
        stop_id: str = STOP,
        at_once: int = _AT_ONCE,
        each: int = _EACH,
        look_seconds: float = _LOOK_SECONDS,
    ) -> None:
        """`updates` is a client that does not sleep when Slack says to wait: a lease runs meanwhile.

        `stop_id` is the action_id of its Stop button, `at_once` how many this bot keeps,
        `each` how many of them for one person."""
        self._slack = slack
        self._updates = updates or slack
        self._store = store
        self._budgets = budgets
        self._stop_id = stop_id
        self._at_once = at_once
        self._each = each
        self._look_seconds = look_seconds
        self._kept: dict[str, _Kept] = {}
        self._stopping = threading.Event()

    def start(self) -> None:
        """Nothing runs before somebody asks for it."""

    def stop(self, deadline: Deadline) -> None:
        """End every message that this bot keeps, and say so in it."""
        self._stopping.set()
        deadline.join([kept.thread for kept in list(self._kept.values())])

    @property
    def live(self) -> bool:
        """Whether more can be kept."""
        return not self._stopping.is_set()

    def begin(
        self, asked: Asked, seconds: int, look: Look, *, ended: Ended = lambda place: None
    ) -> None:
        """Post what `look` shows, and keep it current for so long; `ended` is told where it was, in
        any case.

        With a `title` in what is asked, that is posted, and the message stands in its thread.
        Conflict when this bot keeps too many already, in all or for this person.
        """
        full = self._full(str(asked["user"]))
        if full is not None:
            ended(None)
            raise full
        key, ends = str(asked["id"]), time.time() + seconds
        try:
            shown = look(asked)
            if not self._store.begin(key, asked, seconds):
                ended(None)
                return
            place = self._post(asked, shown, ends)
            self._store.placed(key, place)
        except BaseException:  # whatever it was, nothing may go on unseen
            ended(None)
            raise
        thread = threading.Thread(
            target=self._keep,
            args=(asked, place, shown, ends, look, ended),
            name="live",
            daemon=True,
        )
        self._kept[key] = _Kept(thread, asked, place)
        thread.start()

    def stopped(self, key: str, by: str) -> bool:
        """Somebody clicked Stop, whichever bot hears of it; False where no bot keeps it."""
        return self._store.stop(key, by)

    def left_behind(self) -> list[Orphan]:
        """Those of bots that died; they are this bot's to end for a while. Raises what Redis raises."""
        return self._store.orphans(self._kept)

    def close(self, orphan: Orphan, look: Look) -> None:
        """End one of them with what `look` shows now. Raises what Slack and Redis raise."""
        if orphan.place is not None:
            shown = look(orphan.payload)
            self._update(
                orphan.place, shown.text, _ended(shown, "the bot that kept it current is gone")
            )
        self._store.end(orphan.id)

    def _full(self, user: str) -> Conflict | None:
        """Why there is no room for one more of this person."""
        running = [kept for kept in list(self._kept.values()) if kept.thread.is_alive()]
        own = [kept for kept in running if kept.asked["user"] == user]
        if len(own) >= self._each:
            return LinkedConflict(
                f"{len(own)} messages are being kept current for you already.",
                links=f"They are {', '.join(_named(own))}.",
                remedy="Stop one of them with its button; each also ends automatically.",
            )
        if len(running) >= self._at_once:
            return Conflict(
                f"{self._at_once} messages are being kept current already.",
                remedy="Stop one of them first.",
            )
        return None

    def _post(self, asked: Asked, shown: Shown, ends: float) -> dict[str, str]:
        user, channel = str(asked["user"]), str(asked["channel"])
        blocks = self._running(shown, asked, ends)
        if not asked.get("title"):
            return post(self._slack, channel, user, text=shown.text, blocks=blocks)
        top = post(self._slack, channel, user, text=str(asked["title"]))
        below = post(
            self._slack, top["channel"], user, text=shown.text, blocks=blocks, thread_ts=top["ts"]
        )
        return {**below, "thread": top["ts"]}

    def _keep(
        self,
        asked: Asked,
        place: Mapping[str, str],
        shown: Shown,
        ends: float,
        look: Look,
        ended: Ended,
    ) -> None:
        why = "the bot was restarted"
        quiet_until = 0.0
        while not self._stopping.wait(self._look_seconds):
            if time.time() >= ends:
                why = "its time is over"
                break
            try:
                state, by = self._store.hold(str(asked["id"]))
                if state == "lost":
                    # Should whoever took it over die of it, it is for this bot's sweep as well.
                    self._kept.pop(str(asked["id"]), None)
                    ended(None)
                    return
                if state != "on":
                    why = _WHY.get(state) or f"stopped by <@{by}>"
                    break
                now = look(asked)
                if now == shown or time.monotonic() < quiet_until or self._budgets.update() > 0:
                    continue
                self._update(place, now.text, self._running(now, asked, ends))
                shown = now
            except SlackApiError as error:
                quiet_until = time.monotonic() + float(error.response.headers.get("Retry-After", 5))
            except (GatewayBotError, SlackClientError, OSError) as error:
                log.info("a message is not current for a moment: %s", error)
            except Exception:  # the message must still end, whatever one look came to
                log.exception("a message cannot be kept current")
                why = "it could not be kept current"
                break
        # What came since it was shown last is shown in the end.
        with contextlib.suppress(GatewayBotError):
            shown = look(asked)
        self._end(str(asked["id"]), place, shown, why)
        ended(place)

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
            self._updates.chat_update(
                channel=place["channel"], ts=place["ts"], text=text, blocks=blocks
            )
        except SlackApiError as error:
            if error.response.get("error") != "message_not_found":
                raise
            log.info("a message that was kept current is gone")

    def _running(self, shown: Shown, asked: Asked, ends: float) -> list[Block]:
        until = context(f"Kept current until {date(ends, '{time}')}, asked by <@{asked['user']}>")
        stop = button("Stop", self._stop_id, str(asked["id"]))
        return [*shown.blocks[:_BLOCKS], until, {"type": "actions", "elements": [stop]}]


def _named(several: Sequence[_Kept]) -> list[str]:
    """Of which gateway each is, and where it stands, in Slack's mark-up."""
    named: Counter[str] = Counter()
    for kept in several:
        channel = kept.place["channel"]
        where = "a direct message" if channel.startswith("D") else f"<#{channel}>"
        named[f"{escape(kept.asked.get('gateway') or 'of all gateways')} in {where}"] += 1
    return [what if count == 1 else f"{what} ({count} times)" for what, count in named.items()]


def _ended(shown: Shown, why: str) -> list[Block]:
    at = context(f"As of {date(time.time(), '{time}')}; no longer kept current: {why}.")
    return [*shown.blocks[: _BLOCKS + 1], at]
