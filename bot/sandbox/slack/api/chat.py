"""chat.*: posting, changing and deleting messages, scheduling them, permalinks."""

import copy
import json
from typing import Any

from bot.sandbox.slack import messages
from bot.sandbox.slack.api.call import Args, Context, Method, page
from bot.sandbox.slack.blocks import MARKDOWN_CHARACTERS
from bot.sandbox.slack.model import JSON, Channel, SlackError

UPDATE_TEXT_LIMIT = 4_000
SCHEDULE_SECONDS = 120 * 24 * 3600
SCHEDULE_WINDOW_SECONDS = 300
SCHEDULED_IN_A_WINDOW = 30
METADATA_CHARACTERS = 16_000
"""Slack has a limit but does not say which; this one is on the safe side."""


def content(args: Args) -> JSON:
    """`text`, `blocks` and `attachments` of a call, checked.

    Raises SlackError no_text, invalid_blocks, markdown_text_conflict and their like.
    """
    text = args.text("text")
    blocks = args.json("blocks", "invalid_blocks_format")
    attachments = args.json("attachments", "invalid_attachments")
    markdown = args.text("markdown_text")
    if markdown:
        if text or blocks:
            raise SlackError("markdown_text_conflict")
        if len(markdown) > MARKDOWN_CHARACTERS:
            raise SlackError("msg_too_long")
        text, blocks = markdown, [{"type": "markdown", "text": markdown}]
    checked_blocks = messages.checked_blocks(blocks) if blocks is not None else None
    checked_attachments = (
        messages.checked_attachments(attachments) if attachments is not None else None
    )
    return {"text": text, "blocks": checked_blocks, "attachments": checked_attachments}


def metadata(args: Args) -> JSON | None:
    """The message metadata of a call. Raises SlackError invalid_metadata_format."""
    given = args.json("metadata", "invalid_metadata_format")
    if given is None:
        return None
    if not isinstance(given, dict):
        raise SlackError("invalid_metadata_format")
    if given:
        typed = isinstance(given.get("event_type"), str) and given["event_type"]
        if not typed or not isinstance(given.get("event_payload"), dict):
            raise SlackError("invalid_metadata_schema")
        if len(json.dumps(given)) > METADATA_CHARACTERS:
            raise SlackError("metadata_too_large")
    return given


def thread(context: Context, channel: Channel, args: Args) -> str | None:
    """The thread a message goes to: always its parent's ts."""
    ts = args.text("thread_ts")
    if not ts:
        return None
    parent = context.state.message(channel.id, ts)
    return str(parent.get("thread_ts", ts)) if parent is not None else ts


def _draft(context: Context, channel: Channel, args: Args, **extra: Any) -> JSON:
    body = content(args)
    if not body["text"] and not body["blocks"] and not body["attachments"]:
        raise SlackError("no_text")
    return messages.bot_message(
        context.state,
        body["text"],
        body["blocks"] or [],
        attachments=body["attachments"] or None,
        thread_ts=thread(context, channel, args),
        **extra,
    )


def post_message(context: Context, args: Args) -> JSON:
    """chat.postMessage."""
    channel = context.postable(args.required("channel"))
    broadcast = args.flag("reply_broadcast") and "thread_ts" in args
    message = _draft(
        context,
        channel,
        args,
        metadata=metadata(args) or None,
        subtype="thread_broadcast" if broadcast else None,
    )
    messages.post(context.state, channel.id, message)
    context.said(channel, message, None)
    return {"channel": channel.id, "ts": message["ts"], "message": message}


def post_ephemeral(context: Context, args: Args) -> JSON:
    """chat.postEphemeral."""
    channel = context.postable(args.required("channel"))
    user = args.required("user")
    if user not in context.state.present(channel):
        raise SlackError("user_not_in_channel")
    if len(args.text("text")) > messages.TEXT_LIMIT:
        raise SlackError("msg_too_long")
    message = _draft(context, channel, args)
    messages.post_ephemeral(context.state, channel.id, user, message)
    return {"message_ts": message["ts"]}


def own_message(context: Context, args: Args, error: str) -> tuple[Channel, JSON]:
    """The app's message named by `channel` and `ts`.

    Raises SlackError message_not_found, or `error` when it is somebody else's.
    """
    channel = context.channel(args.required("channel"))
    message = context.state.message(channel.id, args.required("ts"))
    if message is None or message.get("subtype") == "tombstone":
        raise SlackError("message_not_found")
    if message.get("bot_id") != context.app.bot_id:
        raise SlackError(error)
    return channel, message


def update(context: Context, args: Args) -> JSON:
    """chat.update."""
    channel, message = own_message(context, args, "cant_update_message")
    if message.get("streaming_state") == "in_progress":
        raise SlackError("streaming_state_conflict")
    body = content(args)
    given_text = "text" in args or "markdown_text" in args
    if not given_text and body["blocks"] is None and body["attachments"] is None:
        raise SlackError("no_text")
    if len(body["text"]) > UPDATE_TEXT_LIMIT and "markdown_text" not in args:
        raise SlackError("msg_too_long")
    new_metadata = metadata(args)
    before = copy.deepcopy(message)
    if given_text:
        if not body["text"] and not body["blocks"] and not body["attachments"]:
            raise SlackError("no_text")
        message["text"] = body["text"]
    if given_text or body["blocks"] is not None:
        message.pop("blocks", None)
    if body["blocks"]:
        message["blocks"] = messages.with_block_ids(body["blocks"], context.state.ids)
    if body["attachments"] is not None:
        message.pop("attachments", None)
        if body["attachments"]:
            message["attachments"] = messages.with_ids(body["attachments"], context.state.ids)
    if new_metadata is not None:
        message.pop("metadata", None)
        if new_metadata:
            message["metadata"] = new_metadata
    if not body["blocks"]:
        message["edited"] = {"user": context.app.bot_user_id, "ts": context.state.ids.ts()}
    messages.changed(context.state, channel.id, message)
    context.said(channel, message, before)
    return {
        "channel": channel.id,
        "ts": message["ts"],
        "text": message["text"],
        "message": message,
    }


def delete(context: Context, args: Args) -> JSON:
    """chat.delete."""
    channel, message = own_message(context, args, "cant_delete_message")
    messages.remove(context.state, channel.id, message["ts"])
    return {"channel": channel.id, "ts": message["ts"]}


def permalink(context: Context, args: Args) -> JSON:
    """chat.getPermalink."""
    channel = context.channel(args.required("channel"))
    ts = args.required("message_ts")
    message = context.state.message(channel.id, ts)
    if message is None:
        raise SlackError("message_not_found")
    link = f"{context.base_url()}/archives/{channel.id}/p{ts.replace('.', '')}"
    if message.get("thread_ts", ts) != ts:
        link += f"?thread_ts={message['thread_ts']}&cid={channel.id}"
    return {"channel": channel.id, "permalink": link}


def schedule(context: Context, args: Args) -> JSON:
    """chat.scheduleMessage."""
    channel = context.postable(args.required("channel"))
    at = args.number("post_at", 0)
    now = context.state.clock()
    if at <= now:
        raise SlackError("time_in_past")
    if at > now + SCHEDULE_SECONDS:
        raise SlackError("time_too_far")
    window = at // SCHEDULE_WINDOW_SECONDS
    crowd = [
        entry
        for entry in context.state.scheduled.values()
        if entry["channel"] == channel.id and entry["post_at"] // SCHEDULE_WINDOW_SECONDS == window
    ]
    if len(crowd) >= SCHEDULED_IN_A_WINDOW:
        raise SlackError("restricted_too_many")
    message = _draft(context, channel, args, metadata=metadata(args) or None)
    entry: JSON = {
        "id": context.state.ids.make("Q"),
        "channel": channel.id,
        "post_at": at,
        "date_created": int(now),
        "message": message,
    }
    context.state.scheduled[entry["id"]] = entry
    context.wake_scheduler()
    return {
        "scheduled_message_id": entry["id"],
        "channel": channel.id,
        "post_at": str(at),
        "message": {name: value for name, value in message.items() if name != "ts"},
    }


def unschedule(context: Context, args: Args) -> JSON:
    """chat.deleteScheduledMessage."""
    channel = context.channel(args.required("channel"))
    entry = context.state.scheduled.get(args.required("scheduled_message_id"))
    if entry is None or entry["channel"] != channel.id:
        raise SlackError("invalid_scheduled_message_id")
    del context.state.scheduled[str(entry["id"])]
    return {}


def scheduled(context: Context, args: Args) -> JSON:
    """chat.scheduledMessages.list."""
    channel = context.channel(args.text("channel")).id if "channel" in args else None
    found = [
        {
            "id": entry["id"],
            "channel_id": entry["channel"],
            "post_at": entry["post_at"],
            "date_created": entry["date_created"],
            "text": entry["message"]["text"],
        }
        for entry in sorted(context.state.scheduled.values(), key=lambda e: int(e["post_at"]))
        if channel in (None, entry["channel"])
    ]
    items, more = page(found, args)
    return {"scheduled_messages": items, "response_metadata": more}


_WRITE = ("chat:write",)

METHODS = (
    Method("chat.postMessage", post_message, "special", _WRITE),
    Method("chat.postEphemeral", post_ephemeral, "t4", _WRITE),
    Method("chat.update", update, "t3", _WRITE),
    Method("chat.delete", delete, "t3", _WRITE),
    Method("chat.getPermalink", permalink, "special"),
    Method("chat.scheduleMessage", schedule, "t3", _WRITE),
    Method("chat.deleteScheduledMessage", unschedule, "t3", _WRITE),
    Method("chat.scheduledMessages.list", scheduled, "t3"),
)
