"""Short-lived permissions handed to the app: trigger ids and response URLs."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from bot.sandbox.slack.ids import Clock, Ids
from bot.sandbox.slack.model import SlackError

TRIGGER_SECONDS = 3.0
RESPONSE_URL_SECONDS = 30 * 60.0
RESPONSE_URL_USES = 5
_KEPT = 10_000


@dataclass
class _Trigger:
    user: str
    born: float
    used: bool = False


class Triggers:
    """Trigger ids: three seconds, one use."""

    def __init__(self, clock: Clock, ids: Ids) -> None:
        self._clock, self._ids = clock, ids
        self._known: dict[str, _Trigger] = {}

    def mint(self, user_id: str) -> str:
        """A fresh trigger for something `user_id` just did."""
        trigger = self._ids.trigger()
        self._known[trigger] = _Trigger(user_id, self._clock())
        while len(self._known) > _KEPT:
            self._known.pop(next(iter(self._known)))
        return trigger

    def exchange(self, trigger_id: str) -> str:
        """Use it up; returns whose it was.

        Raises SlackError invalid_trigger_id, expired_trigger_id or exchanged_trigger_id.
        """
        trigger = self._known.get(trigger_id)
        if trigger is None:
            raise SlackError("invalid_trigger_id")
        if trigger.used:
            raise SlackError("exchanged_trigger_id")
        if self._clock() - trigger.born > TRIGGER_SECONDS:
            raise SlackError("expired_trigger_id")
        trigger.used = True
        return trigger.user


@dataclass
class ResponseURL:
    """What a response URL answers to: a command, or a click on a message."""

    user: str
    channel: str
    born: float
    uses: int = 0
    original_ts: str | None = None
    original_is_ephemeral: bool = False
    thread_ts: str | None = None
    secret: str = field(default="", repr=False)


class ResponseURLs:
    """Response URLs: five uses in thirty minutes."""

    def __init__(self, clock: Clock, team_id: str, base_url: Callable[[], str]) -> None:
        self._clock, self._team, self._base_url = clock, team_id, base_url
        self._known: dict[str, ResponseURL] = {}

    def mint(self, kind: str, user: str, channel: str) -> tuple[str, ResponseURL]:
        """A fresh URL of kind `commands` or `actions`, and its record."""
        secret = secrets.token_hex(12)
        record = ResponseURL(user, channel, self._clock(), secret=secret)
        self._known[secret] = record
        while len(self._known) > _KEPT:
            self._known.pop(next(iter(self._known)))
        number = secrets.randbelow(10**12)
        return f"{self._base_url()}/{kind}/{self._team}/{number}/{secret}", record

    def use(self, secret: str) -> ResponseURL:
        """Count one use. Raises SlackError invalid_url, used_url or expired_url."""
        record = self._known.get(secret)
        if record is None:
            raise SlackError("invalid_url")
        if self._clock() - record.born > RESPONSE_URL_SECONDS:
            raise SlackError("expired_url")
        if record.uses >= RESPONSE_URL_USES:
            raise SlackError("used_url")
        record.uses += 1
        return record
