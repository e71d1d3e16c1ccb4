"""Finds a message of ours by its metadata, where the answer to its post was lost.

Raises what Slack's client raises: a look-up that was refused is not an answer.
"""

from collections.abc import Callable, Mapping
from typing import Any

from slack_sdk import WebClient

from handlers.messages.store import Intent, MessageRecord, Place

EVENT_TYPE = "gateway_message"
SKEW_SECONDS = 300.0
"""By how much Slack's clock may differ from Redis'."""
_ABOUT = "about"
_PAGE = 200
_PAGES = 5


def metadata(
    record: MessageRecord, line: str = "", about: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """What a post carries so that it can be found, and what is to be known of it then."""
    payload = _payload(record, line)
    if about:
        payload[_ABOUT] = dict(about)
    return {"event_type": EVENT_TYPE, "event_payload": payload}


def carried(message: Mapping[str, Any]) -> tuple[str, Mapping[str, str]]:
    """Which message of ours one is, as the index names it, and what it says about itself; empty for
    lines and for what others posted."""
    payload = _event(message)
    if "line" in payload:
        return "", {}
    return str(payload.get("id", "")), payload.get(_ABOUT) or {}


def find(
    slack: WebClient, record: MessageRecord, intent: Intent, spend: Callable[[str], None]
) -> Place | None:
    """Where the post that was announced is; None where it is not among the newest thousand of the time
    in which it may have been made.

    `spend` is called with each method before it is used.
    """
    channel = intent.channel
    if channel.startswith(("U", "W")):
        spend("conversations.open")
        direct: Any = slack.conversations_open(users=channel)
        channel = str(direct["channel"]["id"])
    wanted = _payload(record, intent.line)
    method = "conversations.replies" if intent.thread else "conversations.history"
    more: dict[str, Any] = {
        "channel": channel,
        "oldest": str(intent.since - SKEW_SECONDS),
        "include_all_metadata": True,
        "limit": _PAGE,
    }
    if intent.until:
        more["latest"] = str(intent.until + SKEW_SECONDS)
    if intent.thread:
        more["ts"] = intent.thread
    for _ in range(_PAGES):
        spend(method)
        answer: Any = (
            slack.conversations_replies(**more)
            if intent.thread
            else slack.conversations_history(**more)
        )
        for message in answer["messages"]:
            if _payload_of(message) == wanted:
                return Place(channel, str(message["ts"]), intent.thread)
        cursor = (answer.get("response_metadata") or {}).get("next_cursor")
        if not cursor:
            break
        more["cursor"] = cursor
    return None


def _payload(record: MessageRecord, line: str) -> dict[str, Any]:
    return {"id": record.member, "line": line} if line else {"id": record.member}


def _payload_of(message: Mapping[str, Any]) -> dict[str, Any]:
    """What tells it from every other."""
    return {key: value for key, value in _event(message).items() if key != _ABOUT}


def _event(message: Mapping[str, Any]) -> Mapping[str, Any]:
    found = message.get("metadata") or {}
    if found.get("event_type") != EVENT_TYPE:
        return {}
    payload: Mapping[str, Any] = found.get("event_payload") or {}
    return payload
