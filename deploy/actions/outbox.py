"""What people are owed: the newest state of each action's message, and the lines of its log.

A transition writes both in its own script, so nothing that happened goes untold, whoever dies in
between. One sender at a time has an action's message.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deploy.actions.action import Action, Event
from deploy.actions.codec import Codec
from deploy.actions.connection import redis_errors
from deploy.actions.records import Records, canonical

_VISIBILITY_MS = 1000
_LIMIT = 50

_CLAIM = """
if redis.call('EXISTS', act) == 0 then return {'gone', {}, {}, {}} end
if number('version') <= number('delivered') then return snapshot('paid') end
if field('sender') ~= ARGV[1] and now < number('sending') then return snapshot('busy') end
if now < number('not_before') and field('sender') ~= ARGV[1] then return snapshot('busy') end
set('sender', ARGV[1], 'sending', now + tonumber(ARGV[2]))
redis.call('HINCRBY', act, 'tries', 1)
return snapshot('done')
"""

_DELIVERED = """
if redis.call('EXISTS', act) == 0 then return {'gone', {}, {}, {}} end
if field('sender') ~= ARGV[1] then
  -- What it sent after its turn was over may have replaced something newer, also what another is
  -- sending now: the newest is owed once more.
  redis.call('HINCRBY', act, 'version', 1)
  return snapshot('late')
end
if tonumber(ARGV[2]) > number('delivered') then set('delivered', ARGV[2]) end
if tonumber(ARGV[4]) > number('noted') then set('noted', ARGV[4]) end
if ARGV[3] == '' then redis.call('HDEL', act, 'message') else set('message', ARGV[3]) end
set('sending', 0, 'tries', 0)
return snapshot(number('version') > number('delivered') and 'owed' or 'paid')
"""

_RELEASE = """
if field('sender') == ARGV[1] then
  set('sending', 0, 'not_before', now + tonumber(ARGV[2]))
  if ARGV[3] == '1' then set('sender', '') end
end
return snapshot('done')
"""
"""Who only makes a pause of its own may end it for what is final, unlike one that Slack asks for."""


@dataclass(frozen=True)
class Delivery:
    """A message that is owed: the newest record, the version it pays for, which try this is.

    `events` are the lines of the log that nobody has been told of yet.
    """

    action: Action
    version: int
    attempt: int
    events: tuple[Event, ...] = ()


class Outbox:
    """What is owed of every action, in one Redis."""

    def __init__(self, client: Any, codec: Codec, *, prefix: str = "gateway-bot") -> None:
        self._records = Records(
            client, prefix, {"CLAIM": _CLAIM, "DELIVERED": _DELIVERED, "RELEASE": _RELEASE}, codec
        )

    @redis_errors
    def owed(self) -> list[str]:
        """Actions whose message may be behind. One that is not final stays in the index, for it
        will change again."""
        return self._records.take_due(self._records.owed_key, _LIMIT, _VISIBILITY_MS)

    @redis_errors
    def claim(self, action_id: str, owner: str, lease_seconds: float) -> Delivery | None:
        """The right to send the newest state, if it is owed and nobody else is sending."""
        records = self._records
        result, action = records.run("CLAIM", action_id, owner, int(lease_seconds * 1000))
        if result == "gone" or (result == "paid" and action is not None and action.final):
            records.drop(records.owed_key, action_id)
        if result != "done" or action is None:
            return None
        tries, noted = records.field(action_id, "tries"), records.field(action_id, "noted")
        # What came after the record was read is told with the record that knows of it.
        events = tuple(
            event
            for event in records.events(action_id, int(noted or 0))
            if event.version <= action.version
        )
        return Delivery(action, action.version, int(tries or 1), events)

    @redis_errors
    def delivered(
        self,
        action_id: str,
        owner: str,
        version: int,
        message: Mapping[str, Any] | None,
        *,
        noted: int = 0,
    ) -> None:
        """The message shows `version`, and every line of the log up to `noted` has been told.

        `message` says where it is, None that it is gone. Of a sender whose turn was over by then
        nothing counts, and the newest state is owed once more.
        """
        told = "" if message is None else canonical(message)
        records = self._records
        result, _ = records.run("DELIVERED", action_id, owner, version, told, noted)
        if result == "late":
            records.client.zadd(records.owed_key, {action_id: 0})

    @redis_errors
    def release(
        self, action_id: str, owner: str, wait_seconds: float, *, told_to: bool = False
    ) -> None:
        """It was not sent; others try again after a while, and so does `owner` where it was `told_to`
        wait."""
        wait_ms = int(wait_seconds * 1000)
        self._records.run("RELEASE", action_id, owner, wait_ms, int(told_to))
