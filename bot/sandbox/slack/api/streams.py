"""chat.startStream, appendStream and stopStream: a message that grows while it is written."""

from typing import Any

from bot.sandbox.slack import messages
from bot.sandbox.slack.api.call import Args, Context, Method
from bot.sandbox.slack.api.chat import metadata, own_message
from bot.sandbox.slack.blocks import MARKDOWN_CHARACTERS, MESSAGE_BLOCKS
from bot.sandbox.slack.model import JSON, SlackError, refused_arguments

_TASK_FIELDS = ("title", "status", "sources")


def start(context: Context, args: Args) -> JSON:
    """chat.startStream."""
    channel = context.postable(args.required("channel"))
    if not channel.is_im:
        for name in ("recipient_team_id", "recipient_user_id"):
            if name not in args:
                raise SlackError(f"missing_{name}")
    if context.state.message(channel.id, args.required("thread_ts")) is None:
        raise SlackError("message_not_found")
    chunks = _chunks(args)
    message = messages.bot_message(
        context.state,
        "",
        [],
        thread_ts=args.text("thread_ts"),
        streaming_state="in_progress",
        task_display_mode=args.text("task_display_mode", "timeline"),
    )
    _grow(context, message, chunks)
    messages.post(context.state, channel.id, message)
    return {"channel": channel.id, "ts": message["ts"]}


def append(context: Context, args: Args) -> JSON:
    """chat.appendStream."""
    channel, message = _streaming(context, args)
    chunks = _chunks(args)
    if not chunks:
        raise SlackError("no_text")
    _grow(context, message, chunks)
    messages.changed(context.state, channel, message)
    return {"channel": channel, "ts": message["ts"]}


def stop(context: Context, args: Args) -> JSON:
    """chat.stopStream."""
    channel, message = _streaming(context, args)
    chunks, given_metadata = _chunks(args), metadata(args)
    blocks = args.json("blocks", "invalid_blocks_format")
    if blocks is not None:
        chunks.append({"type": "blocks", "blocks": messages.checked_blocks(blocks)})
    _grow(context, message, chunks)
    message.pop("streaming_state")
    message.pop("task_display_mode", None)
    if given_metadata:
        message["metadata"] = given_metadata
    messages.changed(context.state, channel, message)
    return {"channel": channel, "ts": message["ts"], "message": message}


def _streaming(context: Context, args: Args) -> tuple[str, JSON]:
    channel, message = own_message(context, args, "message_not_owned_by_app")
    if message.get("streaming_state") != "in_progress":
        raise SlackError("message_not_in_streaming_state")
    return channel.id, message


def _chunks(args: Args) -> list[JSON]:
    chunks: list[JSON] = []
    if markdown := args.text("markdown_text"):
        if len(markdown) > MARKDOWN_CHARACTERS:
            raise SlackError("msg_too_long")
        chunks.append({"type": "markdown_text", "text": markdown})
    given = args.json("chunks", "invalid_chunks")
    if given is None:
        return chunks
    if not isinstance(given, list) or not all(isinstance(chunk, dict) for chunk in given):
        raise SlackError("invalid_chunks")
    needed = {
        "markdown_text": ("text",),
        "task_update": ("id", "title", "status"),
        "plan_update": ("title",),
        "blocks": ("blocks",),
    }
    for n, chunk in enumerate(given):
        fields = needed.get(str(chunk.get("type")))
        if fields is None or any(chunk.get(name) is None for name in fields):
            raise SlackError(
                "invalid_chunks",
                response_metadata={"messages": [f"[ERROR] [json-pointer:/chunks/{n}]"]},
            )
    return chunks + given


def _grow(context: Context, message: JSON, chunks: list[JSON]) -> None:
    """Let the message show the chunks. It stays as it was if it would not be acceptable."""
    blocks = [dict(block) for block in message.get("blocks", [])]
    for chunk in chunks:
        _add(blocks, chunk, message.get("task_display_mode") == "plan")
    if len(blocks) > MESSAGE_BLOCKS:
        raise SlackError("msg_blocks_too_many")
    messages.checked_blocks(blocks)
    if blocks:
        message["blocks"] = messages.with_block_ids(blocks, context.state.ids)
    message["text"] = "\n".join(b["text"] for b in blocks if b["type"] == "markdown")


def _add(blocks: list[JSON], chunk: JSON, as_plan: bool) -> None:
    if chunk["type"] == "markdown_text":
        if blocks and blocks[-1]["type"] == "markdown":
            blocks[-1]["text"] += chunk["text"]
        elif chunk["text"]:
            blocks.append({"type": "markdown", "text": chunk["text"]})
    elif chunk["type"] == "blocks":
        blocks.extend(chunk["blocks"])
    elif chunk["type"] == "plan_update":
        _plan(blocks)["title"] = chunk["title"]
    else:
        tasks = _plan(blocks)["tasks"] if as_plan else blocks
        _put_task(tasks, chunk)


def _plan(blocks: list[JSON]) -> JSON:
    for block in blocks:
        if block["type"] == "plan":
            block["tasks"] = list(block.get("tasks", []))
            return block
    plan: JSON = {"type": "plan", "title": "Plan", "tasks": []}
    blocks.append(plan)
    return plan


def _put_task(tasks: list[JSON], chunk: JSON) -> None:
    task: JSON = {"type": "task_card", "task_id": str(chunk["id"])}
    task |= {name: chunk[name] for name in _TASK_FIELDS if chunk.get(name) is not None}
    for name in ("details", "output"):
        if chunk.get(name):
            task[name] = _rich_text(chunk[name])
    for n, known in enumerate(tasks):
        if known.get("task_id") == task["task_id"]:
            tasks[n] = {**known, **task}
            return
    tasks.append(task)


def _rich_text(text: Any) -> JSON:
    if not isinstance(text, str):
        raise refused_arguments("details and output are text [json-pointer:/chunks]")
    section = {"type": "rich_text_section", "elements": [{"type": "text", "text": text}]}
    return {"type": "rich_text", "elements": [section]}


_WRITE = ("chat:write",)

METHODS = (
    Method("chat.startStream", start, "t2", _WRITE),
    Method("chat.appendStream", append, "t4", _WRITE),
    Method("chat.stopStream", stop, "t2", _WRITE),
)
