"""What else Slack documents: small methods, and the refusals of all that the workspace does not have.

No app need work with these here. One that calls them is to meet what it would meet on Slack, and not
that there were no such method.
"""

from collections.abc import Callable
from pathlib import Path

import yaml

from bot.sandbox.slack import messages
from bot.sandbox.slack.api.call import Args, Context, Method, page
from bot.sandbox.slack.api.chat import content
from bot.sandbox.slack.blocks import check_message_blocks, check_view
from bot.sandbox.slack.model import JSON, SlackError, refused_arguments
from bot.sandbox.slack.state import File

_TOKENLESS = ("oauth.", "openid.", "tooling.")
_MANAGED = {
    "archive": "",
    "invite": ".invites",
    "leave": "",
    "rename": "",
    "setPurpose": ".topic",
    "setTopic": ".topic",
    "unarchive": "",
}
"""Methods of conversations that change a channel, and how the narrowest scope for it ends."""


def teams(context: Context, args: Args) -> JSON:
    """auth.teams.list: the one workspace."""
    team = context.state.team
    found, more = page([{"id": team["id"], "name": team["name"]}], args)
    return {"teams": found, "response_metadata": more}


def revoke(context: Context, args: Args) -> JSON:
    """auth.revoke: as a test of it only, for the workspace lives with its one token."""
    if not args.flag("test"):
        raise _not_simulated("auth.revoke")
    return {"revoked": False}


def validate(context: Context, args: Args) -> JSON:
    """blocks.validate: blocks, or a message, or a view."""
    given = [name for name in ("blocks", "message", "view") if name in args]
    if len(given) != 1:
        raise refused_arguments("provide exactly one of blocks, message and view")
    (name,) = given
    value = args.json(name)
    if name == "message":
        value = value.get("blocks", []) if isinstance(value, dict) else value
    problems = check_view(value) if name == "view" else check_message_blocks(value)
    if problems:
        raise SlackError(f"invalid_{name}", errors=list(problems))
    return {}


def me_message(context: Context, args: Args) -> JSON:
    """chat.meMessage."""
    channel = context.postable(args.required("channel"))
    text = content(args)["text"]
    if not text:
        raise SlackError("no_text")
    message = messages.bot_message(context.state, text, [], subtype="me_message")
    messages.post(context.state, channel.id, message)
    return {"channel": channel.id, "ts": message["ts"]}


def set_status(context: Context, args: Args) -> JSON:
    """assistant.threads.setStatus: it is not shown."""
    channel = context.channel(args.required("channel_id"))
    if context.state.message(channel.id, args.required("thread_ts")) is None:
        raise SlackError("invalid_thread_ts")
    return {}


def close(context: Context, args: Args) -> JSON:
    """conversations.close."""
    if not context.channel(args.required("channel")).is_im:
        raise SlackError("method_not_supported_for_channel_type")
    return {}


def mark(context: Context, args: Args) -> JSON:
    """conversations.mark: nobody sees what a bot has read."""
    channel = context.channel(args.required("channel"))
    if not channel.is_im:
        _managed(context, channel.is_private, "")
    if context.state.message(channel.id, args.required("ts")) is None:
        raise SlackError("invalid_timestamp")
    return {}


def create(context: Context, args: Args) -> JSON:
    """conversations.create."""
    _managed(context, args.flag("is_private"), "")
    raise _not_simulated("conversations.create")


def list_files(context: Context, args: Args) -> JSON:
    """files.list."""
    whole = [file.meta for file in context.state.files.values() if file.complete]
    count = max(1, args.number("count", 100))
    number = max(1, args.number("page", 1))
    paging = {
        "count": count,
        "total": len(whole),
        "page": number,
        "pages": max(1, -(-len(whole) // count)),
    }
    return {"files": whole[(number - 1) * count : number * count], "paging": paging}


def delete_file(context: Context, args: Args) -> JSON:
    """files.delete."""
    file: File | None = context.state.files.get(args.required("file"))
    if file is None or not file.complete:
        raise SlackError("file_not_found")
    if file.meta["user"] != context.app.bot_user_id:
        raise SlackError("cant_delete_file")
    del context.state.files[file.meta["id"]]
    return {}


def presence(context: Context, args: Args) -> JSON:
    """users.getPresence."""
    user = context.user(args.text("user", context.app.bot_user_id))
    return {"presence": "away" if user.deleted else "active"}


def _managed(context: Context, private: bool, ending: str) -> None:
    """Raise SlackError missing_scope unless the app may change such channels."""
    kind = "groups" if private else "channels"
    broad = "groups:write" if private else "channels:manage"
    context.need_scope(broad, *([f"{kind}:write{ending}"] if ending else []))


def _managing(name: str, ending: str) -> Method:
    def run(context: Context, args: Args) -> JSON:
        channel = context.channel(args.required("channel"))
        if channel.is_im:
            raise SlackError("method_not_supported_for_channel_type")
        _managed(context, channel.is_private, ending)
        raise _not_simulated(name)

    return Method(name, run)


def _refusing(name: str, error: str) -> Method:
    return Method(
        name,
        _raising(lambda: SlackError(error)),
        token="none" if name.startswith(_TOKENLESS) else "bot",
    )


def _unscoped(name: str, scope: str) -> Method:
    return Method(name, _raising(lambda: _not_simulated(name)), scopes=(scope,))


def _raising(error: Callable[[], SlackError]) -> Callable[[Context, Args], JSON]:
    def run(context: Context, args: Args) -> JSON:
        raise error()

    return run


def _not_simulated(name: str) -> SlackError:
    """What Slack says where it fails; nothing that an app would take for an answer."""
    said = f"[ERROR] the sandbox does not simulate {name}"
    return SlackError("internal_error", response_metadata={"messages": [said]})


def _documented() -> list[Method]:
    known = yaml.safe_load(Path(__file__).with_name("documented.yaml").read_text())
    refused = [
        _refusing(name, error) for error, names in known["refused"].items() for name in names
    ]
    scoped = [_unscoped(name, scope) for scope, names in known["scopes"].items() for name in names]
    return refused + scoped


METHODS = (
    Method("assistant.threads.setStatus", set_status, "special", ("chat:write",)),
    Method("auth.revoke", revoke),
    Method("auth.teams.list", teams, "t2"),
    Method("blocks.validate", validate, token="none"),
    Method("chat.meMessage", me_message, "t3", ("chat:write",)),
    Method("conversations.close", close, "t2", ("im:write",)),
    Method("conversations.create", create, "t2"),
    Method("conversations.mark", mark, "t3"),
    Method("files.delete", delete_file, "t3", ("files:write",)),
    Method("files.list", list_files, "t3", ("files:read",)),
    Method("users.getPresence", presence, "t3", ("users:read",)),
    *(_managing(f"conversations.{name}", ending) for name, ending in _MANAGED.items()),
    *_documented(),
)
