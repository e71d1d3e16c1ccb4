"""files.* of the external upload flow, and reactions.*."""

import mimetypes
import secrets
from typing import Any
from urllib.parse import quote

from bot.sandbox.slack import messages
from bot.sandbox.slack.api.call import Args, Context, Method
from bot.sandbox.slack.api.chat import content, thread
from bot.sandbox.slack.model import JSON, Channel, SlackError, refused_arguments
from bot.sandbox.slack.state import File, State

PREVIEW_CHARACTERS = 2_000
FORM_BYTES = 10_000_000
_EMOJI = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_+-':")


def get_upload_url(context: Context, args: Args) -> JSON:
    """files.getUploadURLExternal."""
    filename = args.required("filename")
    length = args.number("length", 0)
    if length <= 0:
        raise refused_arguments("missing required field: length")
    secret = secrets.token_hex(16)
    base = context.base_url()
    meta = described(context.state, base, filename, length, context.app.bot_user_id)
    if snippet_type := args.text("snippet_type"):
        meta["filetype"] = snippet_type
    if "alt_txt" in args:
        meta["alt_txt"] = args.text("alt_txt")
    context.state.files[meta["id"]] = File(meta, secret=secret)
    return {"upload_url": f"{base}/upload/v1/{meta['id']}/{secret}", "file_id": meta["id"]}


def described(state: State, base_url: str, filename: str, size: int, user: str) -> JSON:
    """The file object of a new file."""
    file_id = state.ids.make("F")
    now = int(state.clock())
    extension = filename.rpartition(".")[2].lower() if "." in filename else "text"
    private = f"{base_url}/files-pri/{state.team['id']}-{file_id}"
    return {
        "id": file_id,
        "created": now,
        "timestamp": now,
        "name": filename,
        "title": filename,
        "mimetype": mimetypes.guess_type(filename)[0] or "text/plain",
        "filetype": extension,
        "pretty_type": extension.upper(),
        "user": user,
        "user_team": state.team["id"],
        "size": size,
        "mode": "hosted",
        "editable": False,
        "is_external": False,
        "external_type": "",
        "is_public": True,
        "public_url_shared": False,
        "display_as_bot": False,
        "username": "",
        "file_access": "visible",
        "media_display_type": "unknown",
        "has_rich_preview": False,
        "has_more_shares": False,
        "is_starred": False,
        "comments_count": 0,
        "channels": [],
        "groups": [],
        "ims": [],
        "shares": {},
        "url_private": f"{private}/{quote(filename)}",
        "url_private_download": f"{private}/download/{quote(filename)}",
        "permalink": f"{base_url}/_control/files/{file_id}",
        "permalink_public": f"{base_url}/_control/files/{file_id}",
    }


def upload_for_form(state: State, base_url: str, user: str, filename: str, content: bytes) -> JSON:
    """What a client does when somebody chooses a file in a `file_input`; the file object.

    Raises SlackError for a file of more than 10 MB
    (docs.slack.dev/reference/block-kit/block-elements/file-input-element).
    """
    if len(content) > FORM_BYTES:
        raise SlackError("file_too_large")
    meta = {**described(state, base_url, filename, len(content), user), "is_public": False}
    state.files[meta["id"]] = File(meta, content, complete=True)
    return meta


def take_upload(state: State, file_id: str, secret: str, uploaded: bytes) -> bool:
    """Store the bytes of an upload that was announced; False when they are not as announced."""
    file = state.files.get(file_id)
    if file is None or file.secret != secret or len(uploaded) != file.meta["size"]:
        return False
    file.secret = ""
    file.content = uploaded
    return True


def complete_upload(context: Context, args: Args) -> JSON:
    """files.completeUploadExternal."""
    given = args.json("files")
    if not isinstance(given, list) or not given:
        raise refused_arguments("missing required field: files")
    chosen = []
    for entry in given:
        file = context.state.files.get(str(entry.get("id"))) if isinstance(entry, dict) else None
        if file is None or file.complete or not file.content:
            raise SlackError("file_not_found")
        chosen.append((file, entry.get("title")))
    refs = [args.text("channel_id")] if "channel_id" in args else args.words("channels")
    channels = [context.channel(ref) for ref in refs]
    if any(not context.is_member(channel) for channel in channels):
        raise SlackError("not_in_channel")
    comment = {"text": args.text("initial_comment"), "blocks": args.json("blocks")}
    body = content(Args(comment))
    for file, title in chosen:
        file.complete = True
        file.meta["title"] = title or file.meta["name"]
        if file.meta["mimetype"].startswith("text/"):
            file.meta["preview"] = file.content[:PREVIEW_CHARACTERS].decode(errors="replace")
            file.meta["preview_is_truncated"] = len(file.content) > PREVIEW_CHARACTERS
            file.meta["lines"] = file.content.count(b"\n") + 1
            file.meta["lines_more"] = file.meta["lines"] - file.meta["preview"].count("\n") - 1
    shown = [file.meta for file, _ in chosen]
    for channel in channels:
        message = messages.bot_message(
            context.state,
            body["text"],
            body["blocks"] or [],
            files=shown,
            upload=True,
            subtype="file_share",
            thread_ts=thread(context, channel, args),
        )
        for file, _ in chosen:
            _share(context.state, file, channel, message)
        messages.post(context.state, channel.id, message)
    return {"files": shown}


def _share(state: State, file: File, channel: Channel, message: JSON) -> None:
    file.meta[{"im": "ims"}.get(channel.kind, channel.kind)].append(channel.id)
    share: JSON = {
        "ts": message["ts"],
        "channel_name": channel.name,
        "team_id": state.team["id"],
        "reply_users": [],
        "reply_users_count": 0,
        "reply_count": 0,
    }
    if "thread_ts" in message:
        share["thread_ts"] = message["thread_ts"]
    kind = "private" if channel.is_private or channel.is_im else "public"
    file.meta["shares"].setdefault(kind, {}).setdefault(channel.id, []).append(share)


def file_info(context: Context, args: Args) -> JSON:
    """files.info."""
    file = context.state.files.get(args.required("file"))
    if file is None or not file.complete:
        raise SlackError("file_not_found")
    return {"file": file.meta, "comments": []}


def _reaction(context: Context, args: Args) -> tuple[str, JSON, str]:
    name = args.required("name").strip(":")
    if not set(name) <= _EMOJI:
        raise SlackError("invalid_name")
    channel = context.channel(args.required("channel"))
    message = context.state.message(channel.id, args.required("timestamp"))
    if message is None:
        raise SlackError("message_not_found")
    return channel.id, message, name


def add_reaction(context: Context, args: Args) -> JSON:
    """reactions.add."""
    channel, message, name = _reaction(context, args)
    reactions: list[dict[str, Any]] = message.setdefault("reactions", [])
    entry = next((r for r in reactions if r["name"] == name), None)
    if entry is None:
        entry = {"name": name, "users": [], "count": 0}
        reactions.append(entry)
    if context.app.bot_user_id in entry["users"]:
        raise SlackError("already_reacted")
    entry["users"].append(context.app.bot_user_id)
    entry["count"] += 1
    messages.changed(context.state, channel, message)
    return {}


def remove_reaction(context: Context, args: Args) -> JSON:
    """reactions.remove."""
    channel, message, name = _reaction(context, args)
    entry = next((r for r in message.get("reactions", []) if r["name"] == name), None)
    if entry is None or context.app.bot_user_id not in entry["users"]:
        raise SlackError("no_reaction")
    entry["users"].remove(context.app.bot_user_id)
    entry["count"] -= 1
    message["reactions"] = [r for r in message["reactions"] if r["count"]]
    if not message["reactions"]:
        del message["reactions"]
    messages.changed(context.state, channel, message)
    return {}


METHODS = (
    Method("files.getUploadURLExternal", get_upload_url, "t4", ("files:write",)),
    Method("files.completeUploadExternal", complete_upload, "t4", ("files:write",)),
    Method("files.info", file_info, "t4", ("files:read",)),
    Method("reactions.add", add_reaction, "t3", ("reactions:write",)),
    Method("reactions.remove", remove_reaction, "t2", ("reactions:write",)),
)
