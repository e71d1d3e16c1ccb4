"""The messages of incidents: each has one, with a thread for what became of its gateways."""

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

from deploy.health.incident_store import IncidentStore
from deploy.health.incidents import Incident
from handlers.messages.budgets import Order
from handlers.messages.family import Line, Message
from handlers.messages.store import MessageRecord
from handlers.views import incidents as view
from handlers.views.places import EnvironmentOf
from handlers.views.renewals import RenewalOf
from handlers.views.reply import Block

NAME = "incident"


def key_of(subject: str, incident: Incident) -> str:
    """How its message is called: by cluster, channel and incident."""
    return f"{subject}:{incident.id}"


class IncidentMessages:
    """The family of incidents."""

    name = NAME

    def __init__(
        self,
        store: IncidentStore,
        clusters: Iterable[str],
        environment_of: EnvironmentOf | None = None,
        renewal_of: RenewalOf = lambda ref: None,
        change_before: view.ChangeBefore = lambda ref, since: None,
    ) -> None:
        """`clusters` are those that are watched."""
        self._store = store
        self._environment_of = environment_of
        self._renewal_of = renewal_of
        self._change_before = change_before
        self._clusters = tuple(clusters)

    def load(self, key: str, record: MessageRecord) -> tuple[str, Incident] | None:
        """The channel and the incident as it is now; None for one that was over before anything of
        it was posted."""
        subject, incident_id = _parts(key)
        incident = self._store.find(subject, incident_id)
        if incident is None:
            return None
        unseen = record.place is None and record.intent is None and record.shown < 0
        if unseen and incident.over_at is not None:
            return None
        return subject.rpartition(":")[2], incident

    def render(self, state: Any, record: MessageRecord) -> Message:
        """Which gateways are worse, and why; and later that it is over."""
        channel, incident = state
        text, blocks = view.message(
            incident, self._environment_of, self._renewal_of, self._change_before
        )
        return _message(channel, incident, record, text, tuple(blocks))

    def plain(self, state: Any, record: MessageRecord) -> Message:
        """What it is about."""
        channel, incident = state
        text = view.sentence(incident, self._environment_of)
        return _message(channel, incident, record, text, ())

    def versions(self) -> Mapping[str, int]:
        """Those of the incidents that last, or were over a moment ago."""
        return {
            key_of(subject, incident): incident.version
            for subject, incidents in self._store.watched(self._clusters).items()
            for incident in incidents
        }


def _message(
    channel: str,
    incident: Incident,
    record: MessageRecord,
    text: str,
    blocks: tuple[Block, ...],
) -> Message:
    changes = [change for change in incident.changes if change.version > record.cursor]
    # An end whose message is gone has no thread.
    lines = changes if record.place is not None else ()
    return Message(
        version=incident.version,
        text=text,
        blocks=blocks,
        channels=(channel,),
        since=incident.opened_at,
        lines=tuple(
            Line(str(version), view.replies(list(together)))
            for version, together in groupby(lines, lambda change: change.version)
        ),
        cursor=max((change.version for change in changes), default=record.cursor),
        order=Order.FINAL,
        anew=incident.over_at is None,
        about={"state": "open" if incident.over_at is None else "ended"},
    )


def _parts(key: str) -> tuple[str, str]:
    """The subject and the incident's id, which holds no colon."""
    subject, _, incident = key.rpartition(":")
    return subject, incident
