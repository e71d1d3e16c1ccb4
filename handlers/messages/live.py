"""Messages that are kept current for some minutes, with a Stop button: `--watch` and `--follow`.

The bot that keeps one looks, and writes down what it saw; the engine of messages shows it.
"""

import contextlib
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from deploy.deadline import Deadline
from deploy.errors import Conflict, GatewayBotError
from deploy.health.live_messages import Cause, LiveMessage, LiveMessages
from handlers.messages.store import MessageStore, Place
from handlers.views.errors import LinkedConflict
from handlers.views.reply import Block
from handlers.views.text import escape

log = logging.getLogger(__name__)

STOP = "live_stop"
_LOOK_SECONDS = 3.0
_AT_ONCE = 20
_EACH = 10
"""So many of one person, so that one who forgets them leaves room for the others."""
_PLACED_SECONDS = 30.0
_ENDED_SECONDS = 5.0
_POLL_SECONDS = 0.2

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
Ended = Callable[[bool], None]
"""Called once it is not kept any longer: whether this bot ended it."""


@dataclass(frozen=True)
class _Kept:
    """One that this bot keeps."""

    thread: threading.Thread
    message: LiveMessage


class Live:
    """Keeps messages current, each on a thread of its own."""

    def __init__(
        self,
        store: LiveMessages,
        messages: MessageStore,
        family: str,
        *,
        at_once: int = _AT_ONCE,
        each: int = _EACH,
        look_seconds: float = _LOOK_SECONDS,
    ) -> None:
        """`family` is that of the messages in `store`. `at_once` is how many this bot keeps, `each`
        how many of them for one person."""
        self._store = store
        self._messages = messages
        self._family = family
        self._at_once = at_once
        self._each = each
        self._look_seconds = look_seconds
        self._kept: dict[str, _Kept] = {}
        self._stopping = threading.Event()

    def start(self) -> None:
        """Nothing runs before somebody asks for it."""

    def stop(self, deadline: Deadline) -> None:
        """End every message that this bot keeps, and give the engine a moment to show it."""
        self._stopping.set()
        kept = dict(self._kept)
        deadline.join([each.thread for each in kept.values()])
        until = Deadline.after(min(_ENDED_SECONDS, deadline.left / 2))
        with contextlib.suppress(GatewayBotError):
            while until.left > 0 and self._behind(kept):
                time.sleep(_POLL_SECONDS)

    @property
    def live(self) -> bool:
        """Whether more can be kept."""
        return not self._stopping.is_set()

    def begin(
        self, asked: Asked, seconds: int, look: Look, *, ended: Ended = lambda own: None
    ) -> None:
        """Show what `look` shows, and keep it current for so long; `ended` is called in any case.

        With a `title` in what is asked, that is posted, and the message stands in its thread.
        Conflict when this bot keeps too many already, in all or for this person.
        """
        full = self._full(str(asked["user"]))
        if full is not None:
            ended(False)
            raise full
        try:
            shown = look(asked)
            message = self._store.begin(str(asked["id"]), asked, seconds, _mapping(shown))
        except BaseException:  # whatever it was, nothing may continue unseen
            ended(False)
            raise
        if message is None:
            ended(False)
            return
        thread = threading.Thread(
            target=self._keep, args=(message, shown, look, ended), name="live", daemon=True
        )
        self._kept[message.id] = _Kept(thread, message)
        thread.start()

    def once(self, asked: Asked, shown: Shown) -> None:
        """Show this, and do not keep it current; with a `title` as above."""
        self._store.once(str(asked["id"]), asked, _mapping(shown))

    def placed(self, key: str) -> Place | None:
        """Where one of them is, once it is posted; None where that takes too long."""
        end = time.monotonic() + _PLACED_SECONDS
        while (place := self._messages.place(self._family, key)) is None:
            if time.monotonic() > end or self._stopping.wait(_POLL_SECONDS):
                break
        return place

    def note(self, key: str, text: str) -> None:
        """Post this once in the thread of one of them."""
        self._store.note(key, text)

    def stopped(self, key: str, by: str) -> bool:
        """Somebody clicked Stop, whichever bot gets the click; False where no bot keeps it."""
        return self._store.stop(key, by)

    def left_behind(self) -> list[LiveMessage]:
        """Those of bots that died; they are this bot's to end for a while. Raises what Redis raises."""
        return self._store.orphans(self._kept)

    def close(self, orphan: LiveMessage, look: Look) -> None:
        """End one of them with what `look` shows now, or with what it showed where that has a fault. Raises
        the errors of both: it is tried again, or left to a bot that can read it."""
        try:
            now: Mapping[str, Any] = _mapping(look(orphan.payload))
        except GatewayBotError:
            raise
        except Exception:  # no later look would do better, and the message says that it is current
            log.exception("a message ends with what it showed")
            now = orphan.shown
        self._store.end(orphan, now, "left")

    def _full(self, user: str) -> Conflict | None:
        """Why there is no room for one more of this person."""
        running = [kept.message for kept in list(self._kept.values()) if kept.thread.is_alive()]
        own = [message for message in running if message.payload["user"] == user]
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

    def _keep(self, message: LiveMessage, shown: Shown, look: Look, ended: Ended) -> None:
        cause: Cause = "restarted"
        by = ""
        while not self._stopping.wait(self._look_seconds):
            try:
                state, by = self._store.hold(message.id)
                if state == "lost":
                    # Should whoever took it over die of it, it is for this bot's sweep as well.
                    self._kept.pop(message.id, None)
                    ended(False)
                    return
                if state != "on":
                    cause = state
                    break
                now = look(message.payload)
                if now != shown:
                    self._store.show(message.id, _mapping(now))
                    shown = now
            except GatewayBotError as error:
                log.info("a message is not current for a moment: %s", error)
                if time.time() >= message.ends:
                    cause = "over"
                    break
            except Exception:  # the message must still end, whatever one look came to
                log.exception("a message cannot be kept current")
                cause = "failed"
                break
        # Everything new since it was shown last is shown in the end.
        if cause != "failed":
            try:
                shown = look(message.payload)
            except GatewayBotError as error:
                log.info("a message ends with what it showed: %s", error)
            except Exception:  # as above
                log.exception("a message ends with what it showed")
        try:
            self._store.end(message, _mapping(shown), cause, by)
        except GatewayBotError as error:
            log.warning("a message is ended by a later sweep: %s", error)
        self._kept.pop(message.id, None)
        ended(True)

    def _behind(self, kept: Mapping[str, _Kept]) -> bool:
        """Whether the end of one of these is not shown yet."""
        shown = self._messages.shown(self._family, list(kept))
        ends = {key: self._store.find(key) for key in kept}
        return any(end is not None and shown[key] < end.version for key, end in ends.items())


def _mapping(shown: Shown) -> dict[str, Any]:
    return {"text": shown.text, "blocks": list(shown.blocks)}


def _named(several: Sequence[LiveMessage]) -> list[str]:
    """Of which gateway each is, and where it stands, in Slack's mark-up."""
    named: Counter[str] = Counter()
    for each in several:
        channel = str(each.payload["channel"])
        where = "a direct message" if channel.startswith("D") else f"<#{channel}>"
        named[f"{escape(each.payload.get('gateway') or 'of all gateways')} in {where}"] += 1
    return [what if count == 1 else f"{what} ({count} times)" for what, count in named.items()]
