"""Posting, changing and removing messages, whoever asks for it (API, response URL, person)."""

import copy
from collections.abc import Sequence
from typing import Any

from bot.sandbox.slack.blocks import (
    MESSAGE_CHARACTERS,
    characters,
    check_blocks,
    check_message_blocks,
    elements_of,
    tables,
)
from bot.sandbox.slack.ids import Ids
from bot.sandbox.slack.model import JSON, SlackError
from bot.sandbox.slack.state import State
from bot.sandbox.slack.typed import rich_text

TEXT_LIMIT = 40_000
ATTACHMENT_LIMIT = 100
PAST_ELEMENTS = 200
_ICON = "https://a.slack-edge.com/80588/img/plugins/app/bot_{}.png"
BOT_ICONS = {f"image_{size}": _ICON.format(size) for size in (36, 48, 72)}
"""Those of an app that has none of its own."""


def checked_blocks(blocks: object) -> list[JSON]:
    """The blocks of a message, if Slack would take them.

    Raises SlackError invalid_blocks_format, invalid_blocks, invalid_attachments or
    msg_blocks_too_long.
    """
    if not isinstance(blocks, list):
        raise SlackError("invalid_blocks_format")
    refuse_blocks(check_message_blocks(blocks))
    if tables(blocks) > 1:
        raise SlackError(
            "invalid_attachments", response_metadata={"messages": ["only_one_table_allowed"]}
        )
    if characters(blocks) > MESSAGE_CHARACTERS:
        raise SlackError("msg_blocks_too_long")
    return blocks


def checked_attachments(attachments: object) -> list[JSON]:
    """The attachments of a message, if Slack would take them.

    Raises SlackError too_many_attachments, invalid_attachments or invalid_blocks.
    """
    if not isinstance(attachments, list) or not all(isinstance(a, dict) for a in attachments):
        raise SlackError("invalid_attachments")
    if len(attachments) > ATTACHMENT_LIMIT:
        raise SlackError("too_many_attachments")
    for attachment in attachments:
        if "blocks" in attachment:
            refuse_blocks(check_blocks(attachment["blocks"]))
    return attachments


def refuse_blocks(problems: Sequence[str]) -> None:
    """Raise SlackError invalid_blocks when there are problems."""
    if problems:
        raise SlackError(
            "invalid_blocks",
            errors=list(problems),
            response_metadata={"messages": [f"[ERROR] {p}" for p in problems]},
        )


def completed(given: Any) -> Any:
    """A copy in which every text says of itself what Slack adds: `emoji` where it is plain, `verbatim`
    where it is mrkdwn (docs.slack.dev/reference/block-kit/composition-objects/text-object)."""
    if isinstance(given, list):
        return [completed(each) for each in given]
    if not isinstance(given, dict):
        return copy.deepcopy(given)
    found = {name: completed(value) for name, value in given.items()}
    if isinstance(found.get("text"), str):
        if found.get("type") == "plain_text":
            found.setdefault("emoji", True)
        elif found.get("type") == "mrkdwn":
            found.setdefault("verbatim", False)
    return found


def with_block_ids(blocks: Sequence[JSON], ids: Ids) -> list[JSON]:
    """A copy in which every block has an id, every interactive element an action id, and every text
    is complete."""
    copied: list[JSON] = completed(list(blocks))
    for block in copied:
        block.setdefault("block_id", ids.block_id())
        for element in elements_of(block):
            if element.get("type") not in ("image", "mrkdwn", "plain_text"):
                element.setdefault("action_id", ids.block_id())
    return copied


def with_ids(attachments: Sequence[JSON], ids: Ids) -> list[JSON]:
    """The same for the blocks of attachments, which are numbered from 1."""
    copied = []
    for number, attachment in enumerate(attachments, start=1):
        entry = {"id": number, **attachment}
        if "blocks" in attachment:
            entry["blocks"] = with_block_ids(attachment["blocks"], ids)
        copied.append(entry)
    return copied


def all_blocks(message: JSON) -> list[JSON]:
    """A message's blocks and those of its attachments."""
    found = list(message.get("blocks", []))
    for attachment in message.get("attachments", []):
        found += attachment.get("blocks", [])
    return found


def bot_message(state: State, text: str, blocks: Sequence[JSON], **extra: Any) -> JSON:
    """A new message by the app, without a place yet; `extra` leaves out what is None."""
    app, team = state.app, state.team["id"]
    message: JSON = {
        "type": "message",
        "user": app.bot_user_id,
        "ts": state.ids.ts(),
        "bot_id": app.bot_id,
        "app_id": app.app_id,
        "text": text[:TEXT_LIMIT],
        "team": team,
        "bot_profile": {
            "id": app.bot_id,
            "deleted": False,
            "name": app.name,
            "updated": 1_700_000_000,
            "app_id": app.app_id,
            "user_id": app.bot_user_id,
            "icons": BOT_ICONS,
            "team_id": team,
        },
    }
    if blocks:
        message["blocks"] = with_block_ids(blocks, state.ids)
    if attachments := extra.pop("attachments", None):
        message["attachments"] = with_ids(attachments, state.ids)
    message.update({name: value for name, value in extra.items() if value is not None})
    return message


def person_message(state: State, user_id: str, text: str, thread_ts: str | None = None) -> JSON:
    """A new message somebody typed."""
    team = state.team_of(user_id)["id"]
    message = {
        "type": "message",
        "user": user_id,
        "ts": state.ids.ts(),
        "client_msg_id": state.ids.make("m"),
        "text": text[:TEXT_LIMIT],
        "team": team,
        "blocks": [rich_text(text[:TEXT_LIMIT], state.ids.block_id())],
    }
    if team != state.team["id"]:
        message |= {"user_team": team, "source_team": team}
    return {**message, "thread_ts": thread_ts} if thread_ts else message


def post(state: State, channel_id: str, message: JSON) -> JSON:
    """Put a message into a channel, and count it on its thread's parent."""
    state.messages.setdefault(channel_id, {})[message["ts"]] = message
    remember_elements(state, channel_id, message)
    parent = state.message(channel_id, message.get("thread_ts"))
    sees = state.sees(channel_id)
    state.announce({"type": "message", "channel": channel_id, "message": message}, sees)
    if parent is not None and parent is not message:
        _count_replies(state, channel_id, parent)
    return message


def post_ephemeral(state: State, channel_id: str, user_id: str, message: JSON) -> JSON:
    """Show a message to one person, until they reload."""
    message = {**message, "is_ephemeral": True}
    state.ephemerals.setdefault(user_id, []).append((channel_id, message))
    remember_elements(state, channel_id, message)
    state.announce(
        {"type": "message", "channel": channel_id, "message": message}, lambda u: u == user_id
    )
    return message


def changed(state: State, channel_id: str, message: JSON) -> None:
    """Announce that a message is different now."""
    remember_elements(state, channel_id, message)
    state.announce(
        {"type": "message_changed", "channel": channel_id, "message": message},
        state.sees(channel_id),
    )


def ephemeral_changed(state: State, channel_id: str, user_id: str, message: JSON) -> None:
    """The same for a message one person sees."""
    remember_elements(state, channel_id, message)
    state.announce(
        {"type": "message_changed", "channel": channel_id, "message": message},
        lambda u: u == user_id,
    )


def remove(state: State, channel_id: str, ts: str) -> None:
    """Delete a message; a parent with replies stays as a tombstone."""
    message = state.messages[channel_id][ts]
    if message.get("reply_count"):
        for name in ("blocks", "attachments", "files", "metadata", "bot_profile", "bot_id"):
            message.pop(name, None)
        message |= {
            "subtype": "tombstone",
            "user": "USLACKBOT",
            "text": "This message was deleted.",
        }
        changed(state, channel_id, message)
        return
    del state.messages[channel_id][ts]
    state.announce(
        {"type": "message_deleted", "channel": channel_id, "ts": ts, "is_ephemeral": False},
        state.sees(channel_id),
    )
    parent = state.message(channel_id, message.get("thread_ts"))
    if parent is not None:
        _count_replies(state, channel_id, parent)


def remove_ephemeral(state: State, channel_id: str, user_id: str, ts: str) -> None:
    """Take a message off one person's screen."""
    kept = [(c, m) for c, m in state.ephemerals.get(user_id, []) if m["ts"] != ts]
    state.ephemerals[user_id] = kept
    state.announce(
        {"type": "message_deleted", "channel": channel_id, "ts": ts, "is_ephemeral": True},
        lambda u: u == user_id,
    )


def remember_elements(state: State, channel_id: str, message: JSON) -> None:
    """Keep what could be clicked: a client that has not redrawn yet still sends such clicks."""
    seen = state.past_elements.setdefault((channel_id, message["ts"]), {})
    for block in all_blocks(message):
        for element in elements_of(block):
            if "action_id" in element:
                seen[block["block_id"], element["action_id"]] = element
    while len(seen) > PAST_ELEMENTS:
        del seen[next(iter(seen))]


def without_metadata(message: JSON) -> JSON:
    """As history shows it unless all metadata is asked for."""
    return {name: value for name, value in message.items() if name != "metadata"}


def _count_replies(state: State, channel_id: str, parent: JSON) -> None:
    replies = [
        m
        for m in state.in_channel(channel_id)
        if m.get("thread_ts") == parent["ts"] and m["ts"] != parent["ts"]
    ]
    if replies:
        people = list(dict.fromkeys(m["user"] for m in replies))
        parent |= {
            "thread_ts": parent["ts"],
            "reply_count": len(replies),
            "reply_users_count": len(people),
            "reply_users": people,
            "latest_reply": replies[-1]["ts"],
            "is_locked": False,
            "subscribed": True,
        }
    else:
        for name in [
            "thread_ts",
            "reply_count",
            "reply_users_count",
            "reply_users",
            "latest_reply",
            "is_locked",
            "subscribed",
        ]:
            parent.pop(name, None)
    changed(state, channel_id, parent)
