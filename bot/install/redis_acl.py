"""`gateway-bot redis-acl`: the user of Redis that may do what the bot does, and nothing else. Pure."""

from collections.abc import Sequence

USER = "gateway-bot"
KEYS = "gateway-bot:*"
"""Every key of the bot begins so, and it uses no channel."""

_KEYS = ("del", "exists", "persist", "pexpire", "pttl")
_STRINGS = ("get", "set")
_HASHES = (
    *("hdel", "hexists", "hget", "hgetall", "hincrby", "hkeys", "hlen", "hmget", "hset"),
    *("hsetnx", "hvals"),
)
_LISTS = ("lindex", "lpop", "lrange", "ltrim", "rpush")
_SETS = ("sadd", "smembers", "srem")
_SORTED = (
    *("zadd", "zcard", "zrange", "zrangebyscore", "zrem", "zremrangebyscore"),
    *("zrevrange", "zscore"),
)
_STREAMS = ("xadd", "xdel", "xrange", "xrevrange")
_SCRIPTS = ("eval", "evalsha", "script|load")
_SERVER = ("info", "time")
"""`check` reads how Redis keeps what it is given, and the runner whether there are replicas."""
_CONNECTION = ("auth", "hello", "ping", "select")
"""What redis-py sends when it connects, and while a connection is idle."""

COMMANDS = (
    *(*_KEYS, *_STRINGS, *_HASHES, *_LISTS, *_SETS, *_SORTED, *_STREAMS),
    *(*_SCRIPTS, *_SERVER, *_CONNECTION),
)
"""What the bot sends to a single server, and what its scripts call there."""
REPLICAS = ("wait",)
"""Whether a decision has reached a replica."""
CLUSTER = ("asking", "cluster|slots", "command")
"""Which server has which keys."""
ADMIN = ("scan",)
"""`admin messages` looks through all records. Redis limits SCAN to no keys: it names those of others
too, so the bot itself may not."""


def acl(
    *,
    replicas: bool = False,
    cluster: bool = False,
    admin: bool = False,
    password: str = ">PASSWORD",
) -> str:
    """The user as a line of Redis' ACL file; without its first word, what follows ACL SETUSER."""
    allowed: Sequence[str] = (
        *COMMANDS,
        *(REPLICAS if replicas else ()),
        *(CLUSTER if cluster else ()),
        *(ADMIN if admin else ()),
    )
    commands = " ".join(f"+{each}" for each in sorted(allowed))
    user = f"{USER}-admin" if admin else USER
    return f"user {user} reset on {password} ~{KEYS} resetchannels -@all {commands}"
