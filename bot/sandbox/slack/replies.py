"""Messages an app sends back: in the answer to a command, or to a response URL."""

from dataclasses import dataclass

from bot.sandbox.slack import messages
from bot.sandbox.slack.model import JSON, SlackError
from bot.sandbox.slack.state import State
from bot.sandbox.slack.tokens import ResponseURL


@dataclass(frozen=True)
class CommandLine:
    """The command as typed, shown when the app answers in the channel."""

    text: str


def reply(state: State, record: ResponseURL, given: JSON, line: CommandLine | None = None) -> None:
    """Show, replace or delete a message. Raises SlackError no_text, invalid_blocks, …"""
    if given.get("delete_original") is True:
        _delete(state, record)
        return
    text = given.get("text") or ""
    if not isinstance(text, str):
        raise SlackError("invalid_payload")
    blocks = messages.checked_blocks(given["blocks"]) if given.get("blocks") else []
    attachments = (
        messages.checked_attachments(given["attachments"]) if given.get("attachments") else None
    )
    if not text and not blocks and not attachments:
        raise SlackError("no_text")
    if given.get("replace_original") is True and record.original_ts is not None:
        _replace(state, record, text, blocks, attachments)
        return
    in_channel = given.get("response_type") == "in_channel"
    message = messages.bot_message(
        state,
        text,
        blocks,
        attachments=attachments,
        thread_ts=given.get("thread_ts") or None,
    )
    if in_channel:
        if line is not None:
            typed = messages.person_message(state, record.user, line.text)
            messages.post(state, record.channel, typed)
            message["ts"] = state.ids.ts()
        messages.post(state, record.channel, message)
    else:
        messages.post_ephemeral(state, record.channel, record.user, message)
    if record.original_ts is None:
        record.original_ts, record.original_is_ephemeral = message["ts"], not in_channel


def _original(state: State, record: ResponseURL) -> JSON:
    if record.original_is_ephemeral:
        found = state.ephemeral(record.user, record.channel, record.original_ts)
    else:
        found = state.message(record.channel, record.original_ts)
    if found is None:
        raise SlackError("message_not_found")
    return found


def _delete(state: State, record: ResponseURL) -> None:
    message = _original(state, record)
    if record.original_is_ephemeral:
        messages.remove_ephemeral(state, record.channel, record.user, message["ts"])
    else:
        messages.remove(state, record.channel, message["ts"])


def _replace(
    state: State,
    record: ResponseURL,
    text: str,
    blocks: list[JSON],
    attachments: list[JSON] | None,
) -> None:
    message = _original(state, record)
    message["text"] = text
    for name in ("blocks", "attachments"):
        message.pop(name, None)
    if blocks:
        message["blocks"] = messages.with_block_ids(blocks, state.ids)
    if attachments:
        message["attachments"] = messages.with_ids(attachments, state.ids)
    if record.original_is_ephemeral:
        messages.ephemeral_changed(state, record.channel, record.user, message)
    else:
        messages.changed(state, record.channel, message)
