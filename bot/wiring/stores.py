"""What the bot keeps in Redis, shared by all bots."""

import os
import secrets as entropy
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from bot.bell import Bell
from bot.clients import audit_annotation, audit_key, redis_of
from bot.settings import Secrets, Settings
from deploy.actions.audit import AuditLog
from deploy.actions.batches import Batches
from deploy.actions.codec import Codec
from deploy.actions.inbox import Inbox
from deploy.actions.leases import GatewayLeases
from deploy.actions.pauses import Pauses
from deploy.actions.store import ActionStore
from deploy.actions.windows import MESSAGES, Windows
from deploy.expiry.tracker import Tracker
from deploy.governance.admitted import AdmittedTokens
from deploy.governance.custody import SharedCustody
from deploy.governance.placements import PlacementRecord
from deploy.waits import Waits
from handlers.messages.store import MessageStore
from handlers.slack.connections import ConnectionCount
from handlers.slack.payloads import Request
from handlers.slack.request_inbox import RequestInbox

_PROMPT_SECONDS = 1.0
"""What Redis may take where Slack waits for an ack: it gives three seconds for all of it."""


@dataclass(frozen=True)
class Stores:
    """`owner` is this bot's name in leases. `redis` is the patient client, for parts that work in the
    background, `store` its actions; where Slack waits it is `prompt`, `at_once` and
    `batches_at_once`.

    `changed` rings with the id of each action that this bot has changed, `arrived` with each request
    it has accepted, `marked` with the key of a message that is behind and that a person waits
    for. `audit_annotation` is where Leases note how far `audit` has come.
    """

    owner: str
    redis: Any
    prompt: Any
    codec: Codec
    store: ActionStore
    at_once: ActionStore
    batches: Batches
    batches_at_once: Batches
    audit: AuditLog
    audit_annotation: str
    windows: Windows
    pauses: Pauses
    tracker: Tracker
    inbox: Inbox
    requests: RequestInbox
    placements: PlacementRecord
    admitted: AdmittedTokens
    custody: SharedCustody
    messages: MessageStore
    connections: ConnectionCount
    changed: Bell[str]
    arrived: Bell[Request]
    marked: Bell[str]


def stores_of(
    settings: Settings,
    secrets: Secrets,
    codec: Codec,
    waits: Waits,
    audited: Callable[[str, str], object] = lambda kind, event: None,
) -> Stores:
    """The stores; Redis is not asked anything yet. `audited` is called with each new entry of the trail."""
    connect = redis_of(settings, secrets)
    redis = connect(waits=waits)
    prompt = connect(timeout=_PROMPT_SECONDS, retries=1, retry_timeouts=False, waits=waits)
    owner = f"{socket.gethostname()}-{os.getpid()}-{entropy.token_hex(3)}"
    audit = AuditLog(redis, key=audit_key(secrets), emit=_to_standard_output, noted=audited)
    inbox = Inbox(prompt)
    placements, admitted = PlacementRecord(redis), AdmittedTokens(redis)
    arrived = Bell[Request]()
    return Stores(
        owner=owner,
        redis=redis,
        prompt=prompt,
        codec=codec,
        store=ActionStore(redis, codec, keep_days=settings.redis.keep_days),
        at_once=ActionStore(prompt, codec, keep_days=settings.redis.keep_days),
        batches=Batches(redis, keep_days=settings.redis.keep_days),
        batches_at_once=Batches(prompt, keep_days=settings.redis.keep_days),
        audit=audit,
        audit_annotation=audit_annotation(secrets),
        windows=Windows(prompt, audit, partial(_shown, MessageStore(prompt, owner))),
        pauses=Pauses(prompt),
        tracker=Tracker(redis, owner),
        inbox=inbox,
        requests=RequestInbox(inbox, arrived.ring),
        placements=placements,
        admitted=admitted,
        custody=SharedCustody(GatewayLeases(redis), placements, admitted, owner),
        messages=MessageStore(redis, owner),
        connections=ConnectionCount(prompt, owner),
        changed=Bell[str](),
        arrived=arrived,
        marked=Bell[str](),
    )


def _shown(messages: MessageStore, window: str) -> bool:
    """Whether the message of an approval window is there to be seen."""
    return messages.place(MESSAGES, window) is not None


def _to_standard_output(line: str) -> None:
    print(line, flush=True)
