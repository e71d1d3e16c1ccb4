"""conversations.*, pins.add and bookmarks.add."""

from bot.sandbox.slack import messages
from bot.sandbox.slack.api.call import Args, Context, Method, page
from bot.sandbox.slack.model import JSON, Channel, SlackError, refused_arguments

_OPEN = ("im:write", "mpim:write", "channels:manage", "groups:write")
_READ = ("channels:read", "groups:read", "im:read", "mpim:read")
_HISTORY = ("channels:history", "groups:history", "im:history", "mpim:history")
_TYPES = {"public_channel": "channels", "private_channel": "groups", "im": "im", "mpim": "mpim"}


def _shape(context: Context, channel: Channel) -> JSON:
    common: JSON = {
        "id": channel.id,
        "created": 1_700_000_000,
        "is_archived": False,
        "is_im": channel.is_im,
        "is_mpim": False,
        "is_org_shared": False,
        "context_team_id": context.state.team["id"],
        "updated": 1_700_000_000_000,
    }
    if channel.is_im:
        others = [m for m in channel.members if m != context.app.bot_user_id]
        return {**common, "user": others[0] if others else context.app.bot_user_id}
    text = {"value": channel.topic, "creator": "", "last_set": 0}
    return {
        **common,
        "name": channel.name,
        "name_normalized": channel.name,
        "is_channel": not channel.is_private,
        "is_group": channel.is_private,
        "is_private": channel.is_private,
        "is_general": False,
        "is_shared": context.state.is_shared(channel),
        "is_ext_shared": context.state.is_shared(channel),
        "is_pending_ext_shared": bool(channel.pending),
        "pending_shared": list(channel.pending),
        "pending_connected_team_ids": list(channel.pending),
        "shared_team_ids": context.state.teams_of(channel),
        "context_team_id": context.state.team["id"],
        "is_member": context.is_member(channel),
        "topic": text,
        "purpose": {**text, "value": ""},
        "num_members": len(context.state.present(channel)),
    }


def _readable(context: Context, args: Args, what: str) -> Channel:
    channel = context.channel(args.required("channel"))
    context.need_scope(f"{channel.kind}:{what}")
    return channel


def open_conversation(context: Context, args: Args) -> JSON:
    """conversations.open."""
    if "channel" in args:
        return {"channel": {"id": context.channel(args.text("channel")).id}, "already_open": True}
    users = args.words("users")
    if not users:
        raise SlackError("users_list_not_supplied")
    if len(users) > 1:
        raise SlackError("too_many_users")
    user = context.user(users[0])
    if user.deleted:
        raise SlackError("user_disabled")
    channel, made = context.state.open_im(user)
    shape = _shape(context, channel) if args.flag("return_im") else {"id": channel.id}
    return {"channel": shape, **({} if made else {"no_op": True, "already_open": True})}


def info(context: Context, args: Args) -> JSON:
    """conversations.info."""
    channel = _readable(context, args, "read")
    shape = _shape(context, channel)
    if not args.flag("include_num_members"):
        shape.pop("num_members", None)
    return {"channel": shape}


def _wanted(context: Context, args: Args) -> list[Channel]:
    types = args.words("types") or ["public_channel"]
    if unknown := [name for name in types if name not in _TYPES]:
        raise refused_arguments(f"unknown type: {unknown[0]} [json-pointer:/types]")
    kinds = {_TYPES[name] for name in types}
    for kind in sorted(kinds):
        context.need_scope(f"{kind}:read")
    return [
        channel
        for channel in context.state.channels.values()
        if channel.kind in kinds and (not channel.is_private or context.is_member(channel))
    ]


def list_conversations(context: Context, args: Args) -> JSON:
    """conversations.list."""
    items, more = page([_shape(context, c) for c in _wanted(context, args)], args)
    return {"channels": items, "response_metadata": more}


def users_conversations(context: Context, args: Args) -> JSON:
    """users.conversations."""
    user = args.text("user", context.app.bot_user_id)
    context.user(user)
    mine = [c for c in _wanted(context, args) if user in context.state.present(c)]
    items, more = page([_shape(context, c) for c in mine], args)
    return {"channels": items, "response_metadata": more}


def members(context: Context, args: Args) -> JSON:
    """conversations.members."""
    channel = _readable(context, args, "read")
    found, more = page([{"id": m} for m in context.state.present(channel)], args)
    return {"members": [m["id"] for m in found], "response_metadata": more}


def _between(found: list[JSON], args: Args) -> list[JSON]:
    oldest, latest = args.text("oldest", "0"), args.text("latest", "9" * 10)
    try:
        low, high = float(oldest or 0), float(latest or "inf")
    except ValueError:
        raise SlackError("invalid_ts_oldest") from None
    closed = args.flag("inclusive")
    return [
        m
        for m in found
        if low < float(m["ts"]) < high or (closed and float(m["ts"]) in (low, high))
    ]


def _shown(found: list[JSON], args: Args) -> list[JSON]:
    if args.flag("include_all_metadata"):
        return found
    return [messages.without_metadata(m) for m in found]


def history(context: Context, args: Args) -> JSON:
    """conversations.history: newest first, replies left out unless they were broadcast."""
    channel = _readable(context, args, "history")
    if not context.is_member(channel):
        raise SlackError("not_in_channel")
    top = [
        m
        for m in context.state.in_channel(channel.id)
        if m.get("thread_ts", m["ts"]) == m["ts"] or m.get("subtype") == "thread_broadcast"
    ]
    found = _shown(_between(top, args), args)[::-1]
    items, more = page(found, args)
    pins = context.state.pins.get(channel.id, [])
    reply: JSON = {"messages": items, "has_more": bool(more["next_cursor"]), "pin_count": len(pins)}
    return {**reply, "response_metadata": more} if more["next_cursor"] else reply


def replies(context: Context, args: Args) -> JSON:
    """conversations.replies: the parent, then its replies, oldest first."""
    channel = _readable(context, args, "history")
    if not context.is_member(channel):
        raise SlackError("not_in_channel")
    ts = args.required("ts")
    parent = context.state.message(channel.id, ts)
    if parent is None:
        raise SlackError("thread_not_found")
    root = parent.get("thread_ts", ts)
    found = [
        m for m in context.state.in_channel(channel.id) if root in (m["ts"], m.get("thread_ts"))
    ]
    items, more = page(_shown(_between(found, args), args), args, 1000)
    return {"messages": items, "has_more": bool(more["next_cursor"]), "response_metadata": more}


def join(context: Context, args: Args) -> JSON:
    """conversations.join."""
    channel = context.channel(args.required("channel"))
    if channel.is_im or channel.is_private:
        raise SlackError("method_not_supported_for_channel_type")
    already = context.is_member(channel)
    if not already:
        channel = context.state.set_member(channel, context.app.bot_user_id, True)
    shape = {"channel": _shape(context, channel)}
    return {**shape, "warning": "already_in_channel"} if already else shape


def add_pin(context: Context, args: Args) -> JSON:
    """pins.add."""
    channel = context.channel(args.required("channel"))
    message = context.state.message(channel.id, args.required("timestamp"))
    if message is None:
        raise SlackError("message_not_found")
    pins = context.state.pins.setdefault(channel.id, [])
    if message["ts"] in pins:
        raise SlackError("already_pinned")
    pins.append(message["ts"])
    message["pinned_to"] = [channel.id]
    messages.changed(context.state, channel.id, message)
    return {}


def add_bookmark(context: Context, args: Args) -> JSON:
    """bookmarks.add."""
    channel = context.channel(args.required("channel_id"))
    bookmark: JSON = {
        "id": context.state.ids.make("Bk"),
        "channel_id": channel.id,
        "title": args.required("title"),
        "type": args.required("type"),
        "link": args.text("link"),
        "emoji": args.text("emoji"),
        "date_created": int(context.state.clock()),
        "app_id": context.app.app_id,
    }
    context.state.bookmarks.setdefault(channel.id, []).append(bookmark)
    context.state.announce({"type": "state"})
    return {"bookmark": bookmark}


METHODS = (
    Method("conversations.open", open_conversation, "t3", _OPEN),
    Method("conversations.info", info, "t3", _READ),
    Method("conversations.list", list_conversations, "t2", _READ),
    Method("conversations.members", members, "t4", _READ),
    Method("conversations.history", history, "t3", _HISTORY),
    Method("conversations.replies", replies, "t3", _HISTORY),
    Method("conversations.join", join, "t3", ("channels:join",)),
    Method("users.conversations", users_conversations, "t3", _READ),
    Method("pins.add", add_pin, "t2", ("pins:write",)),
    Method("bookmarks.add", add_bookmark, "t2", ("bookmarks:write",)),
)
