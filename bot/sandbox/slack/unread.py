"""Unread marks: what somebody has not seen yet, and how often it names them. Pure."""

import json

from bot.sandbox.slack.model import JSON, User
from bot.sandbox.slack.state import State


def unread(state: State, user: User) -> JSON:
    """Per channel the person is in: new messages outside threads, and mentions anywhere.

    In a direct conversation every message counts as a mention, as Slack's badge does.
    """
    groups = [f"<!subteam^{group.id}" for group in state.groups_of(user.id)]
    names = (f"<@{user.id}", "<!here", "<!channel", "<!everyone", *groups)
    counts: JSON = {}
    for channel in state.channels.values():
        if user.id not in channel.members:
            continue
        mark = state.read_marks.get(user.id, {}).get(channel.id, "0")
        fresh = [m for m in state.in_channel(channel.id) if m["ts"] > mark and m["user"] != user.id]
        top = [
            m
            for m in fresh
            if m.get("thread_ts", m["ts"]) == m["ts"] or m.get("subtype") == "thread_broadcast"
        ]
        mentions = len(top) if channel.is_im else sum(_mentions(m, names) for m in fresh)
        counts[channel.id] = {"unread": len(top), "mentions": mentions}
    return counts


def _mentions(message: JSON, names: tuple[str, ...]) -> bool:
    said = message["text"] + json.dumps(message.get("blocks", []), ensure_ascii=False)
    return any(name in said for name in names)
