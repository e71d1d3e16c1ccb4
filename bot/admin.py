"""`gateway-bot admin`: what an operator does about actions and messages that are stuck.

Nothing here goes around the table of edges or the audit trail: an end from outside is a transition
like any other, and names who made it and why.
"""

import getpass
import os
import secrets as entropy
import socket
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bot.clients import audit_key, clusters_of, redis_of
from bot.settings import Secrets, Settings, load_all, load_settings
from deploy.actions import connection, endings
from deploy.actions.action import Action, State
from deploy.actions.audit import AuditLog
from deploy.actions.fencing import Fences, HeldLease
from deploy.actions.inbox import Inbox
from deploy.actions.pauses import waits_for
from deploy.actions.store import ActionStore
from deploy.changes.decide import Ending, checked_reason
from deploy.changes.kinds import KINDS, codec_of
from deploy.errors import Conflict, GatewayBotError, InvalidInput, NotFound
from deploy.gateway import GatewayRef
from deploy.kube.cluster import Cluster
from deploy.masking import mask_secrets
from deploy.observed import inventory
from deploy.times import minute_of
from handlers.actions import again
from handlers.messages.unshown import UnshownMessages
from handlers.slack.request_inbox import RequestInbox

_NOT_ENDED = {
    "gone": "There is no action {id}; what ended is kept for `redis.keep_days`.",
    "already": "Action {id} has ended: it is {state}.",
    "not-running": "Action {id} does not run yet: it is {state}.",
    "held": "The bot {owner} works on action {id}: it renewed its hold seconds ago.",
}
_REMEDIES = {
    "not-running": "It can be cancelled in Slack, and expires automatically.",
    "held": "Stop it in Slack with `/gateway stop {id}`, or add --even-held.",
}

_NOBODY = ("", "gateway-bot")
"""Logins that name no person: none at all, and the user of the bot's image."""
_LONGEST_NAME = 80
_OWNER = "operator"


def actions(config: Path, *, stuck: bool = False) -> int:
    """Print the actions that have not ended, oldest first; `stuck` only those that run, or should, and
    that no bot has."""
    store = store_with(config)
    listing, now = store.listing(), store.now()
    shown = [each for each in listing.actions if not stuck or _stuck(each, now)]
    table(
        ("ID", "KIND", "GATEWAY", "STATE", "SINCE", "HELD BY"),
        [
            (each.id, each.kind, str(each.ref), each.state, _since(each), _holder(each, now))
            for each in shown
        ],
    )
    for name in listing.unreadable:
        print(f"{name}  cannot be read: a newer bot wrote it, or it is damaged")
    if listing.more:
        print(f"{listing.more} more are open; the {len(listing.actions)} due first were read")
    return 0


def show(config: Path, action_id: str) -> int:
    """Print one action, with its log. NotFound where there is none."""
    store = store_with(config)
    action, events = store.told(action_id)
    if action is None:
        raise NotFound(_NOT_ENDED["gone"].format(id=action_id))
    outcome = action.outcome
    for name, value in (
        ("id", action.id),
        ("kind", action.kind),
        ("gateway", str(action.ref)),
        ("state", action.state),
        ("requester", action.requester),
        ("reason", action.why),
        ("decided by", action.decided_by),
        ("stopped by", action.stop_by),
        ("held by", _holder(action, store.now())),
        ("attempts", str(action.attempts)),
        ("outcome", f"{outcome.happened} {outcome.meaning}" if outcome else ""),
    ):
        if value:
            print(f"{name + ':':<12} {one_line(value)}")
    print("log:")
    for event in events:
        who = f" by {event.who}" if event.who else ""
        print(
            f"  {minute_of(event.at)}  {event.name}{who}  {one_line(event.detail)[:200]}".rstrip()
        )
    return 0


def end(
    config: Path,
    action_id: str,
    state: str,
    reason: str,
    *,
    by: str = "",
    even_held: bool = False,
) -> int:
    """End a running action as `unknown` or `failed`; `by` is who does, where the machine does not know
    them. Conflict where it does not run, or where a bot has it and `even_held` is not given;
    InvalidInput without a reason or a name."""
    why, by = checked_reason(reason), operator(by)
    outcome = endings.forced(State(state), by, why)
    redis = redis_with(config)
    store = store_in(redis, load_settings(config))
    decision = store.force_end(
        action_id, outcome, by=by, request_id=f"admin:{entropy.token_hex(8)}", even_held=even_held
    )
    action = decision.action
    if action is not None and (decision.counted or decision.result == "already"):
        # Also once it has ended: whoever ended it so may have got no further than that.
        _ending(redis, store)(action, outcome)
    if not decision.counted:
        known = {
            "id": action_id,
            "state": action.state if action else "",
            "owner": action.lease_owner if action else "",
        }
        said = _NOT_ENDED.get(decision.result, "Action {id} cannot be ended: {state}.")
        remedy = _REMEDIES.get(decision.result, "")
        raise Conflict(said.format(**known), remedy=remedy.format(**known))
    print(f"Action {action_id} ended {state}. Its message and the audit trail say so.")
    print("The cluster was not checked: look at the gateway's status.")
    return 0


def _ending(redis: Any, store: ActionStore) -> Ending:
    """What the end of an action owes others; a bot that runs does it."""
    requests = RequestInbox(Inbox(redis), lambda request: None)
    return Ending(
        store,
        lambda action, request_id: requests.accept(again.renewal(action, request_id)),
        lambda action, request_id: requests.accept(again.look(action, request_id)),
    )


def leases(config: Path) -> int:
    """Print who holds the Lease of each gateway; 1 where one could not be read."""
    settings = load_settings(config)
    rows: list[tuple[str, ...]] = []
    unread: list[str] = []
    for name, cluster in clusters_of(settings).items():
        fences = Fences({name: cluster})
        try:
            found = cluster.everywhere("Deployment")
            unread += (f"cluster {name}: {why}" for why in found.refused)
            for deployment in filter(inventory.is_gateway, found.items):
                ref = inventory.ref_of(name, deployment)
                try:
                    rows.append(_lease(ref, fences.held(ref), cluster))
                except GatewayBotError as error:
                    unread.append(f"the Lease of {ref}: {error.happened}")
        except GatewayBotError as error:
            unread.append(f"cluster {name}: {error.happened}")
        finally:
            cluster.close()
    table(("GATEWAY", "HOLDER", "LAST ACTION", "FENCE", "HELD"), rows)
    for line in unread:
        print(f"UNREAD  {line}")
    return 1 if unread else 0


def _lease(ref: GatewayRef, held: HeldLease | None, cluster: Cluster) -> tuple[str, ...]:
    if held is None:
        return str(ref), "", "", "", "never taken"
    ends = "free"
    if held.holder:
        left = held.until - cluster.now()
        ends = f"for {left:.0f}s" if left > 0 else f"lapsed {-left:.0f}s ago"
    return str(ref), held.holder, held.action_id, str(held.fence), ends


def messages(config: Path) -> int:
    """Print the messages that do not show what they should, those that fail the longest first."""
    found = UnshownMessages(redis_with(config), _OWNER).all()
    rows = [(e.name, minute_of(e.since) if e.since else "", one_line(e.why)) for e in found]
    table(("MESSAGE", "SINCE", "WHY"), rows)
    return 0


def repost(config: Path, name: str, reason: str, *, by: str = "") -> int:
    """Have a message tried anew. NotFound where there is none; InvalidInput as for `end`."""
    why, by, redis = checked_reason(reason), operator(by), redis_with(config)
    UnshownMessages(redis, _OWNER).again(name)
    record(load_all(config)[1], redis, "message tried again", f"message-{name}", "message", by, why)
    print(f"The bot tries the message {name} again now.")
    return 0


def drop(config: Path, name: str, reason: str, *, by: str = "") -> int:
    """Have a message never shown again. NotFound where there is none; InvalidInput as for `end`."""
    why, by, redis = checked_reason(reason), operator(by), redis_with(config)
    UnshownMessages(redis, _OWNER).drop(name, f"dropped by {by}: {why}")
    record(load_all(config)[1], redis, "message dropped", f"message-{name}", "message", by, why)
    print(f"The message {name} is not tried again. Its action or warning is not changed by that.")
    return 0


def record(
    given: Secrets, redis: Any, event: str, subject: str, kind: str, by: str, detail: str
) -> None:
    """Into the audit trail: what was done from the command line to something else than an action."""
    now = connection.now_of(redis)
    AuditLog(redis, key=audit_key(given)).append(
        event,
        by,
        detail,
        subject=subject,
        kind=kind,
        version=int(now * 1000),
        at=now,
    )


def redis_with(config: Path) -> Any:
    """The Redis of these settings."""
    return redis_of(*load_all(config))()


def store_with(config: Path) -> ActionStore:
    """The actions in it."""
    settings, given = load_all(config)
    return store_in(redis_of(settings, given)(), settings)


def store_in(redis: Any, settings: Settings) -> ActionStore:
    """The same, of a Redis that is connected to."""
    return ActionStore(redis, codec_of(KINDS), keep_days=settings.redis.keep_days)


def operator(given: str) -> str:
    """Who does it, for the audit trail: the name that was given, and the login at this machine.
    InvalidInput where neither names a person."""
    name = one_line(given)
    if len(name) > _LONGEST_NAME:
        raise InvalidInput(f"A name can have at most {_LONGEST_NAME} characters.", field="--by")
    try:
        login = getpass.getuser()
    except (KeyError, OSError):
        login = ""
    here = f"{login or 'unknown'}@{socket.gethostname()}"
    if name:
        return f"{name}, as {here} (operator)"
    if login in _NOBODY or "KUBERNETES_SERVICE_HOST" in os.environ:
        raise InvalidInput(
            f"The audit trail needs your name: {here} could be anybody.",
            field="--by",
            remedy='Add it: --by "Ana Diaz".',
        )
    return f"{here} (operator)"


def _stuck(action: Action, now: float) -> bool:
    return action.under_way and action.lease_until <= now and waits_for(action) is None


def _holder(action: Action, now: float) -> str:
    pause = waits_for(action)
    if action.state is State.APPROVED and pause is not None:
        return f"nobody; {pause.scope} {pause.name} is paused"
    if action.state is not State.RUNNING:
        return ""
    if action.lease_until > now:
        return action.lease_owner
    return f"nobody; {action.lease_owner} until {minute_of(action.lease_until)}"


def _since(action: Action) -> str:
    return minute_of(action.decided_at or action.created_at)


def one_line(text: str) -> str:
    """As it is printed."""
    return " ".join(mask_secrets(text).split())


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print the rows below their titles."""
    every = [titles, *rows]
    widths = [max(len(row[at]) for row in every) for at in range(len(titles))]
    for row in every:
        cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
