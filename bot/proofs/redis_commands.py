"""One harmless use of each command that `gateway-bot redis-acl` allows, on keys of the bot's own. Pure.

They are sent as they stand: `ACL DRYRUN` would need a right that the bot must not have.
"""

import hashlib
from collections.abc import Sequence

CONNECTING = ("auth", "hello", "select")
"""What a connection begins with, and so is proved by one."""
_ASKED = "return redis.call('EXISTS', KEYS[1])"
_MS = "60000"
"""For so long a key is left at most, should the deletion be refused or the connection be cut before it."""

Sent = tuple[str, tuple[str, ...]]
"""A command as the ACL calls it, and its words."""


def sent(tag: str, *, cluster: bool, replicas: bool) -> list[Sent]:
    """Each command of the ACL in an order in which it is answered; nothing of it is left. The keys have
    the `tag` in common, and so one slot."""
    text, fields, items, members, ranks, entries = (
        f"gateway-bot:{{{tag}}}:{kind}"
        for kind in ("text", "hash", "list", "set", "zset", "stream")
    )
    made = (text, fields, items, members, ranks, entries)
    digest = hashlib.sha1(_ASKED.encode(), usedforsecurity=False).hexdigest()
    words: list[Sequence[str]] = [
        ("PING",),
        ("TIME",),
        ("INFO", "server"),
        ("SET", text, "1", "PX", _MS),
        ("GET", text),
        ("EXISTS", text),
        ("PTTL", text),
        ("PERSIST", text),
        ("PEXPIRE", text, _MS),
        ("HSET", fields, "a", "1"),
        ("PEXPIRE", fields, _MS),
        ("HSETNX", fields, "b", "1"),
        ("HINCRBY", fields, "b", "1"),
        ("HGET", fields, "a"),
        ("HMGET", fields, "a", "b"),
        ("HGETALL", fields),
        ("HKEYS", fields),
        ("HVALS", fields),
        ("HLEN", fields),
        ("HEXISTS", fields, "a"),
        ("HDEL", fields, "b"),
        ("RPUSH", items, "a", "b"),
        ("PEXPIRE", items, _MS),
        ("LINDEX", items, "0"),
        ("LRANGE", items, "0", "-1"),
        ("LTRIM", items, "0", "-1"),
        ("LPOP", items),
        ("SADD", members, "a", "b"),
        ("PEXPIRE", members, _MS),
        ("SMEMBERS", members),
        ("SREM", members, "b"),
        ("ZADD", ranks, "1", "a"),
        ("PEXPIRE", ranks, _MS),
        ("ZCARD", ranks),
        ("ZSCORE", ranks, "a"),
        ("ZRANGE", ranks, "0", "-1"),
        ("ZREVRANGE", ranks, "0", "-1"),
        ("ZRANGEBYSCORE", ranks, "0", "1"),
        ("ZREM", ranks, "b"),
        ("ZREMRANGEBYSCORE", ranks, "2", "3"),
        ("XADD", entries, "*", "a", "1"),
        ("PEXPIRE", entries, _MS),
        ("XRANGE", entries, "-", "+"),
        ("XREVRANGE", entries, "+", "-"),
        ("XDEL", entries, "0-1"),
        ("EVAL", _ASKED, "1", text),
        ("SCRIPT LOAD", _ASKED),
        ("EVALSHA", digest, "1", text),
    ]
    if cluster:
        words += [("CLUSTER SLOTS",), ("COMMAND",), ("ASKING",)]
    if replicas:
        # Of none it waits for nothing.
        words.append(("WAIT", "0", "1"))
    words.append(("DEL", *made))
    return [(each[0].lower().replace(" ", "|"), tuple(each)) for each in words]
