"""The user of Redis may do what the bot's code names, and nothing else."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from bot.install.redis_acl import ADMIN, CLUSTER, COMMANDS, REPLICAS, USER, acl
from deploy.actions import connection
from deploy.actions.connection import Durability
from tests.support.processes import ROOT
from tests.support.redis_servers import ENGINES, redis_cluster, started

_CALLED = re.compile(r"redis\.p?call\('([A-Z]+)'")
_SENT = re.compile(r"\b(?:_?client|_?redis|pipe)\.([a-z_]+)\(")
_NAMES = {"register_script": "script|load", "scan_iter": "scan"}
_OURS = ("pipeline", "execute", "execute_command", "close")
"""Of the clients' methods, those that are not a command."""
_NOT_REDIS = ("conversations_info", "apps_connections_open", "api_call")


def sources() -> Iterator[str]:
    for package in ("deploy", "handlers", "bot"):
        for path in (ROOT / package).rglob("*.py"):
            if "sandbox" not in path.parts:
                yield path.read_text(encoding="utf-8")


def named() -> set[str]:
    found: set[str] = set()
    for text in sources():
        found |= {name.lower() for name in _CALLED.findall(text)}
        found |= set(_SENT.findall(text)) & ({*dir(redis.Redis)} - {*_OURS, *_NOT_REDIS})
    return {_NAMES.get(name, name) for name in found} | {"evalsha"}


def test_every_command_that_the_code_names_is_allowed_and_no_other() -> None:
    connecting = {"auth", "hello", "select"}
    assert {*COMMANDS, *ADMIN} == named() | connecting | {"ping"}
    assert "+scan" not in acl().split()
    assert "+scan" in acl(admin=True).split()


def test_no_command_reaches_beyond_the_bots_own_keys() -> None:
    broad = {
        "keys",
        "scan",
        "flushall",
        "flushdb",
        "config|get",
        "config|set",
        "acl",
        "debug",
        "shutdown",
        "monitor",
    }
    allowed = {*COMMANDS, *REPLICAS, *CLUSTER}
    assert not broad & allowed
    assert "~gateway-bot:*" in acl()
    assert not re.search(r"\+@|allkeys|allchannels|nopass", acl())


@pytest.mark.parametrize("engine", ENGINES)
def test_a_server_reads_the_line_and_refuses_all_else(engine: str, tmp_path: Path) -> None:
    for server in started(engine, tmp_path):
        admin = redis.Redis.from_url(server.url)
        line = acl(replicas=True, cluster=True, password=">secret")
        admin.execute_command("ACL", "SETUSER", *line.split()[1:])
        path = server.url.removeprefix("unix://")
        user = redis.Redis.from_url(f"unix://{USER}:secret@{path}")
        assert user.set("gateway-bot:x", 1)
        refused = (
            ("SET", "other", "1"),
            ("GET", "other"),
            ("KEYS", "*"),
            ("SCAN", "0"),
            ("FLUSHALL",),
            ("CONFIG", "SET", "appendonly", "no"),
            ("CONFIG", "GET", "requirepass"),
            ("CONFIG", "GET", "appendonly"),
            ("ACL", "LIST"),
            ("MONITOR",),
            ("SHUTDOWN",),
            ("PUBLISH", "channel", "x"),
            ("CLIENT", "LIST"),
            ("SCRIPT", "FLUSH"),
            ("REPLICAOF", "NO", "ONE"),
        )
        for command in refused:
            with pytest.raises(redis.exceptions.NoPermissionError):
                user.execute_command(*command)
        assert connection.now_of(connection.connect(f"unix://{USER}:secret@{path}")) > 0
        with pytest.raises(redis.exceptions.RedisError):
            user.eval("return redis.call('GET', KEYS[1])", 1, "other")


def test_the_servers_of_a_cluster_refuse_that_user_nothing(tmp_path: Path) -> None:
    everyone = redis.RedisCluster.ALL_NODES
    with redis_cluster(tmp_path) as url:
        plain = url.replace("redis+cluster", "redis", 1)
        admin = redis.RedisCluster.from_url(plain, decode_responses=True)
        line = acl(cluster=True, password=">secret").split()[1:]
        admin.execute_command("ACL SETUSER", *line, target_nodes=everyone)
        mine = connection.connect(url.replace("//", f"//{USER}:secret@", 1))
        assert connection.now_of(mine) > 0
        script = connection.Script(mine, "return redis.call('SET', KEYS[1], ARGV[1])")
        calls = [connection.Call(script, [f"gateway-bot:{{{n}}}"], ["1"]) for n in range(8)]
        assert connection.in_one_trip(mine, calls) == ["OK"] * 8
        with mine.pipeline(transaction=False) as pipe:
            pipe.zadd("gateway-bot:{due}", {"a": 1})
            pipe.hget("gateway-bot:{x}", "y")
            assert pipe.execute() == [1, None]
        assert Durability(mine, "gateway-bot").confirmed()
        for node in admin.get_nodes():
            assert node.redis_connection.acl_log() == []
        mine.close()
        admin.close()
