"""Durable records as the bot wrote them before they had a version: recorded once, never changed."""

import json
from pathlib import Path
from typing import Any

from deploy.gateway import GatewayRef

REF = GatewayRef("west", "dev", "edge-1")
"""Which gateway they are of."""
_DIRECTORY = Path(__file__).parents[1] / "data" / "records"


def recorded(name: str) -> Any:
    """What was recorded of one type: by key, the kind of value in Redis and the value."""
    return json.loads((_DIRECTORY / f"{name}.json").read_text(encoding="utf-8"))


def restore(client: Any, name: str) -> None:
    """Have a Redis hold those records and nothing else."""
    client.flushall()
    for key, found in recorded(name).items():
        value = found["value"]
        match found["type"]:
            case "hash":
                client.hset(key, mapping=value)
            case "list":
                client.rpush(key, *value)
            case "set":
                client.sadd(key, *value)
            case "zset":
                client.zadd(key, value)
            case "stream":
                for entry in value:
                    # Those of indexes are found by their ids.
                    name, fields = entry if isinstance(entry, list) else ("*", entry)
                    client.xadd(key, fields, id=name)
            case "string":
                client.set(key, value)


def record(client: Any) -> dict[str, Any]:
    """All that a Redis holds, in the form that `restore` takes."""
    found: dict[str, Any] = {}
    for key in sorted(client.scan_iter("*")):
        kind = client.type(key)
        match kind:
            case "hash":
                value = client.hgetall(key)
            case "list":
                value = client.lrange(key, 0, -1)
            case "set":
                value = sorted(client.smembers(key))
            case "zset":
                value = dict(client.zrange(key, 0, -1, withscores=True))
            case "stream":
                value = [list(entry) for entry in client.xrange(key)]
            case _:
                value = client.get(key)
        found[key] = {"type": kind, "value": value}
    return found


def of_version(client: Any, key: str, version: int) -> None:
    """Have the hash at that key be one of another version."""
    client.hset(key, "format", version)


def held(client: Any, key: str) -> Any:
    """All that a key holds."""
    match client.type(key):
        case "list":
            return client.lrange(key, 0, -1)
        case "stream":
            return client.xrange(key)
    return client.hgetall(key)
