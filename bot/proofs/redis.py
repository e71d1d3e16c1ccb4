"""Whether Redis answers, allows each command that the bot sends, has room, and keeps what it is given."""

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import redis
from redis.exceptions import (
    AuthenticationError,
    NoPermissionError,
    RedisClusterException,
    RedisError,
    ResponseError,
)

from bot.clients import redis_of, redis_url
from bot.doubt import Doubtful
from bot.proofs.commands import command
from bot.proofs.redis_commands import sent
from bot.proofs.results import Prove, Result, Status, found, ok, wrong
from bot.settings import Secrets, Settings
from deploy.actions.redis_address import Topology, address_of
from deploy.actions.redis_faults import cause_of
from deploy.errors import Refused, Unavailable

_OLDEST = 7
_OF_KEYS = re.compile("access (a key|(at least )?one of the keys)")
"""What NOPERM says of keys, from Redis 7.0 on, before it, and of a script's; the user is named beside."""
_LITTLE, _NONE = 0.80, 0.95
"""Of maxmemory in use: from the first on there is little room, from the second on writes soon fail."""
_MEGABYTE = 1024 * 1024
_ADDRESSES = "docs/redis.md#addresses."
_DURABILITY = "docs/redis.md#durability."
_SIZING = "docs/redis.md#sizing."
Facts = Mapping[str, Any]
"""What INFO says; nothing where the bot may not ask."""


@dataclass(frozen=True)
class _Node:
    """One server that takes writes; keys with the `tag` are its own."""

    name: str
    client: Any
    tag: str


@dataclass(frozen=True)
class _Answers:
    """The commands that the ACL forbids, whether it forbids keys, and the first other refusal."""

    denied: tuple[str, ...]
    no_keys: bool
    refusal: RedisError | None


def proofs(settings: Settings, given: Secrets) -> dict[str, Prove]:
    """One proof, with a line for each thing."""

    def prove() -> list[Result]:
        topology = address_of(redis_url(settings, given)).topology
        client = _client(settings, given)
        try:
            production = any(each.production for each in settings.environments)
            nodes = _nodes(client)
            return _merged({n.name: _results(n, topology, production) for n in nodes})
        finally:
            client.close()

    return {"redis": prove}


def _client(settings: Settings, given: Secrets) -> Any:
    """One whose commands take no longer than a timeout each."""
    try:
        return redis_of(settings, given)(retries=1, retry_timeouts=False)
    except Unavailable as error:
        raise _unusable(error.__cause__ or error) from error


def _unusable(error: BaseException) -> Unavailable:
    """Why Redis cannot be used, for whoever can mend it."""
    cause = cause_of(error)
    return Unavailable(
        f"Redis cannot be used now ({cause.what}).",
        remedy=cause.remedy or f"Check that it runs and can be reached from here: {_ADDRESSES}",
    )


def _nodes(client: Any) -> list[_Node]:
    """The one server, or each primary of a cluster: each has an ACL of its own."""
    tag = f"check-{secrets.token_hex(8)}"
    if not isinstance(client, redis.RedisCluster):
        return [_Node("", client, tag)]
    nodes: dict[str, _Node] = {}
    primaries = client.get_primaries()
    for number in range(1000):
        own = f"{tag}-{number}"
        node: Any = client.get_node_from_key(f"{{{own}}}")
        if node is not None and node.name not in nodes:
            nodes[node.name] = _Node(node.name, client.get_redis_connection(node), own)
        if len(nodes) == len(primaries):
            break
    return list(nodes.values())


def _results(node: _Node, topology: Topology, production: bool) -> list[Result]:
    try:
        facts = _facts(node.client)
        replicas = int(facts.get("connected_slaves") or 0)
        clustered = topology == "cluster"
        answers = _answers(node, clustered, bool(replicas) and not clustered)
    except (RedisError, RedisClusterException) as error:
        return [wrong("redis", _unusable(error))]
    about = [found("redis", lambda: _server(facts, answers))]
    about.append(found("redis rights", lambda: _rights(answers, clustered, bool(replicas))))
    if facts:
        fsync = _fsync(node.client)
        about += [
            found("redis memory", lambda: _memory(facts)),
            found("redis durability", lambda: _durability(facts, fsync, production)),
            found(
                "redis replicas",
                lambda: _replicas(facts, topology, _strange_at(node.client, facts)),
            ),
        ]
    return about


def _facts(client: Any) -> Facts:
    try:
        told: Facts = client.info()
    except NoPermissionError:
        return {}
    return told


def _answers(node: _Node, cluster: bool, replicas: bool) -> _Answers:
    """Send everything that the bot ever sends, once."""
    commands = sent(node.tag, cluster=cluster, replicas=replicas)
    pipe = node.client.pipeline(transaction=False)
    for _, words in commands:
        pipe.execute_command(*words)
    denied: list[str] = []
    no_keys = False
    refusal: RedisError | None = None
    for (name, _), answer in zip(commands, pipe.execute(raise_on_error=False), strict=True):
        if isinstance(answer, NoPermissionError):
            # Redis has one code for both.
            if _OF_KEYS.search(str(answer)):
                no_keys = True
            else:
                denied.append(name)
        elif isinstance(answer, RedisError):
            refusal = refusal or answer
    return _Answers(tuple(dict.fromkeys(denied)), no_keys, refusal)


def _fsync(client: Any) -> str:
    """How often the file is written to disk, where the bot can know: INFO does not have it. A user of
    its own has no CONFIG, which would show passwords; only the default user is asked for it."""
    given = client.connection_pool.connection_kwargs
    if given.get("username") or given.get("credential_provider"):
        return ""
    try:
        told: Any = client.execute_command("CONFIG GET", "appendfsync")
    except RedisError:
        # Managed offers have no CONFIG.
        return ""
    return str(told.get("appendfsync", "")) if isinstance(told, Mapping) else ""


def _server(facts: Facts, answers: _Answers) -> str:
    engine = "Valkey" if "valkey_version" in facts else "Redis"
    version = str(facts.get("valkey_version") or facts.get("redis_version") or "")
    major = version.partition(".")[0]
    if major.isdecimal() and int(major) < _OLDEST:
        raise Unavailable(
            f"It is {engine} {version}.",
            meaning="The bot needs commands of Redis 7.0.",
            remedy="Upgrade it to Redis 7.0 or later, or to Valkey.",
        )
    # A script fails for what it may not call; that is named with the rights.
    if answers.refusal is not None and not answers.denied and not answers.no_keys:
        cause = cause_of(answers.refusal)
        # Such as NOREPLICAS and MISCONF, which redis-py has no class for.
        own_words = type(answers.refusal) is ResponseError
        raise Unavailable(
            f"Redis refuses to write ({answers.refusal if own_words else cause.what}).",
            meaning="The bot can accept no commands.",
            remedy=cause.remedy or "Compare its settings with docs/redis.md.",
        )
    return f"{engine} {version}".strip() if facts else "it answers"


def _rights(answers: _Answers, cluster: bool, replicas: bool) -> str:
    if not answers.denied and not answers.no_keys:
        return "every command that the bot sends is allowed, on its keys"
    lacks = [f"call {', '.join(name.upper().replace('|', ' ') for name in answers.denied)}"]
    if not answers.denied:
        lacks = []
    if answers.no_keys:
        lacks.append("use the keys gateway-bot:*")
    options = ["--cluster"] * cluster + ["--replicas"] * (replicas and not cluster)
    raise Refused(
        f"The ACL of its user does not let the bot {' or '.join(lacks)}.",
        meaning="Commands and actions fail where they need that.",
        remedy=f"Apply the user that {command('redis-acl', None, *options)} prints: "
        "docs/install.md#6-redis-and-the-secret.",
    )


def _memory(facts: Facts) -> str:
    policy = facts.get("maxmemory_policy")
    most, used = int(facts.get("maxmemory") or 0), int(facts.get("used_memory") or 0)
    if policy is None:
        raise Doubtful(
            "Redis does not say its maxmemory-policy.",
            remedy=f"Make sure that it is `noeviction`: {_DURABILITY}",
        )
    if policy != "noeviction":
        kind = Unavailable if most else Doubtful
        # Requests that are open have no expiry; volatile policies delete only what has one.
        lost = "leases and answers" if policy.startswith("volatile") else "requests and votes"
        when = "When its memory is full" if most else "Once it has a maxmemory, and that is full"
        raise kind(
            f"maxmemory-policy is {policy}.",
            meaning=f"{when}, Redis deletes {lost}.",
            remedy=f"Set `maxmemory-policy noeviction`: {_DURABILITY}",
        )
    if not most:
        return "maxmemory-policy noeviction, no maxmemory"
    share = f"{used / _MEGABYTE:.0f} of {most / _MEGABYTE:.0f} MB in use"
    if used >= _NONE * most:
        raise Unavailable(
            f"Its memory is nearly full: {share}.",
            meaning="Redis soon refuses writes, and then the bot accepts no commands.",
            remedy=f"Raise maxmemory: {_SIZING}",
        )
    if used >= _LITTLE * most:
        raise Doubtful(f"Little memory is left: {share}.", remedy=f"Raise maxmemory: {_SIZING}")
    return f"maxmemory-policy noeviction, {share}"


def _durability(facts: Facts, fsync: str, production: bool) -> str:
    kind = Unavailable if production else Doubtful
    kept = facts.get("aof_enabled")
    if kept is None:
        raise Doubtful(
            "Redis does not say whether it keeps an append-only file.",
            meaning="Without one a restart loses every pending request and approval.",
            remedy=f"Make sure that its data outlasts a restart: {_DURABILITY}",
        )
    if not int(kept) and not fsync and not _is_plain(facts):
        raise Doubtful(
            "Redis keeps no append-only file, and does not say what it runs on.",
            meaning="A managed service may keep writes in another way. Where yours does not, a restart "
            "loses every pending request and approval.",
            remedy=f"Ask your provider how it keeps writes: {_DURABILITY}",
        )
    if not int(kept):
        raise kind(
            "appendonly is no.",
            meaning="A restart of Redis loses every pending request and approval.",
            remedy=f"Set `appendonly yes` and `appendfsync everysec`: {_DURABILITY}",
        )
    if fsync == "no":
        raise kind(
            "appendfsync is no.",
            meaning="A power cut loses what was written in the last half minute, approvals included.",
            remedy=f"Set `appendfsync everysec`: {_DURABILITY}",
        )
    if str(facts.get("aof_last_write_status", "ok")) != "ok":
        raise Unavailable(
            "The last write to the append-only file failed.",
            meaning="Redis refuses further writes until one succeeds.",
            remedy="Look at the log of Redis and at the disk that the file is on.",
        )
    if str(facts.get("aof_last_bgrewrite_status", "ok")) != "ok":
        raise Doubtful(
            "The append-only file could not be rewritten.",
            meaning="It grows until its disk is full.",
            remedy="Look at the log of Redis: it needs memory and disk for a second copy.",
        )
    return "appendonly yes" + (f", appendfsync {fsync}" if fsync else "")


def _is_plain(facts: Facts) -> bool:
    """Whether this is a server that somebody runs as it is: INFO has the path of its executable (redis.io,
    INFO), which managed services that do not keep an append-only file hide: “-” in Amazon ElastiCache."""
    return str(facts.get("executable", "")).startswith("/")


def _strange_at(client: Any, facts: Facts) -> list[str]:
    """The replicas that refuse the bot's user: Redis does not replicate users, and one of them may be the
    next primary. One that cannot be reached from here is left out: it may announce an inner address."""
    pool = client.connection_pool
    tls = issubclass(pool.connection_class, redis.SSLConnection)
    given = {
        key: value
        for key, value in pool.connection_kwargs.items()
        if key not in ("connection_pool", "path", "host", "port")
    }
    strange = []
    for number in range(int(facts.get("connected_slaves") or 0)):
        replica = facts.get(f"slave{number}")
        if not isinstance(replica, Mapping):
            continue
        place = {"host": str(replica.get("ip", "")), "port": int(replica.get("port", 0))}
        connection = (redis.SSLConnection if tls else redis.Connection)(**given | place)
        try:
            connection.connect()
        except (AuthenticationError, NoPermissionError):
            strange.append("{host}:{port}".format(**place))
        except (RedisError, OSError):
            continue
        finally:
            connection.disconnect()
    return strange


def _replicas(facts: Facts, topology: Topology, strange: Sequence[str]) -> str:
    count = int(facts.get("connected_slaves") or 0)
    if strange:
        raise Refused(
            f"The replica {' and '.join(strange)} refuses the bot's user.",
            meaning="When it becomes the primary, no bot can sign in.",
            remedy="Redis does not replicate users. Create the same one on each server: "
            "docs/install.md#several-redis-servers.",
        )
    if not count and topology == "sentinel":
        raise Doubtful(
            "The primary that the Sentinels name has no replica.",
            meaning="When it fails, there is nothing that they could make the primary.",
            remedy="Check the replicas of Redis: `INFO replication` on the primary lists them.",
        )
    if not count:
        return "no replica"
    several = f"{count} replica{'s' if count > 1 else ''}"
    # INFO has this where min-replicas-to-write is set, and nowhere the number itself.
    if "min_slaves_good_slaves" not in facts:
        raise Doubtful(
            f"It has {several}, and min-replicas-to-write is not set.",
            meaning="A primary that is cut off takes approvals that a failover then loses.",
            remedy=f"Set `min-replicas-to-write 1` and `min-replicas-max-lag 10`: {_DURABILITY}",
        )
    return f"{several}, min-replicas-to-write is set"


def _merged(by_node: Mapping[str, Sequence[Result]]) -> list[Result]:
    """One line where all nodes of a cluster agree that it works, else one for each that does not."""
    if len(by_node) == 1:
        return list(next(iter(by_node.values())))
    merged: list[Result] = []
    for name in dict.fromkeys(r.name for results in by_node.values() for r in results):
        here = {node: r for node, results in by_node.items() for r in results if r.name == name}
        bad = {node: r for node, r in here.items() if r.status is not Status.OK}
        if not bad:
            said = dict.fromkeys(result.detail for result in here.values())
            merged.append(ok(name, f"{' / '.join(said)} ({len(here)} nodes)"))
        merged += [Result(f"{name} at {n}", r.status, r.detail, r.remedy) for n, r in bad.items()]
    return merged
