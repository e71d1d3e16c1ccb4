"""Copies what actions have logged to the audit trail, each entry once, whoever dies in between."""

from typing import Any

from deploy.actions.action import State
from deploy.actions.audit import AuditLog
from deploy.actions.codec import Codec, Unreadable
from deploy.actions.connection import redis_errors
from deploy.actions.records import Records

_LIMIT = 50
_VISIBILITY_MS = 3000
_AGAIN_SECONDS = 300.0

_AUDITED = """
if redis.call('EXISTS', act) == 0 then return {'gone', {}, {}, {}} end
if tonumber(ARGV[1]) > number('audited') then set('audited', ARGV[1]) end
return snapshot('done')
"""


class AuditPump:
    """From the logs of actions in one Redis to the one trail."""

    def __init__(
        self, client: Any, codec: Codec, audit: AuditLog, *, prefix: str = "gateway-bot"
    ) -> None:
        self._records = Records(client, prefix, {"AUDITED": _AUDITED}, codec)
        self._audit = audit

    @redis_errors
    def pump(self) -> int:
        """Copy what actions have logged to the chain; how many entries there were."""
        records, copied = self._records, 0
        for due in records.take_due(records.unaudited_key, _LIMIT, _VISIBILITY_MS):
            action_id = due.id
            state, version, done = records.fields(action_id, "state", "version", "audited")
            if state == State.PENDING and version == done:
                records.put_off(records.unaudited_key, due, _AGAIN_SECONDS)
                continue
            try:
                action = records.get(action_id)
            except Unreadable:
                # The newer bot that wrote it copies it.
                continue
            if action is None:
                records.drop(records.unaudited_key, due)
                continue
            events = records.events(action_id, int(done or 0))
            for event in events:
                self._audit.append(
                    event.name,
                    event.who,
                    event.detail,
                    ref=action.ref,
                    subject=action_id,
                    kind=action.kind,
                    version=event.version,
                    at=event.at,
                )
                copied += 1
            if events:
                records.run("AUDITED", action_id, events[-1].version)
            # Read before its log was: what has ended by then has nothing more to log. What has not is
            # due at its next change; looking again later repairs a crash between the two.
            if action.final:
                records.drop(records.unaudited_key, due)
            else:
                records.put_off(records.unaudited_key, due, _AGAIN_SECONDS)
        return copied
