"""Requests in the inbox, on a real Valkey."""

from pathlib import Path

from bot.sandbox.valkey import Valkey
from deploy.actions.connection import connect
from deploy.actions.inbox import Inbox
from tests.support.redis_servers import LosingProxy, redis_cluster


def test_a_request_is_accepted_once_and_answered_once(server: Valkey) -> None:
    inbox = Inbox(connect(server.url))
    assert inbox.accept("k1", {"verb": "status"}) == "new"
    assert inbox.accept("k1", {"verb": "status"}) == "known"
    assert inbox.claim("k1", "bot-1", 30) == '{"verb": "status"}'
    assert inbox.claim("k1", "bot-2", 30) is None
    inbox.done("k1", "here it is")
    assert inbox.claim("k1", "bot-1", 30) is None
    assert inbox.accept("k1", {"verb": "status"}) == "known"


def test_an_accepted_request_whose_reply_was_lost_is_still_new(
    server: Valkey, tmp_path: Path
) -> None:
    proxy = LosingProxy(server.url, tmp_path)
    inbox = Inbox(connect(proxy.url))
    proxy.match, proxy.lose = b"EVALSHA", 1
    assert inbox.accept("k1", {"verb": "status"}) == "new"
    proxy.close()


def test_a_request_is_accepted_in_one_round_trip(server: Valkey, tmp_path: Path) -> None:
    proxy = LosingProxy(server.url, tmp_path)
    inbox = Inbox(connect(proxy.url))
    inbox.accept("k1", {"verb": "status"})
    before = proxy.trips
    assert inbox.accept("k2", {"verb": "status"}) == "new"
    assert proxy.trips == before + 1
    proxy.close()


def test_eighty_claims_are_kept_in_as_many_round_trips_as_one(
    server: Valkey, tmp_path: Path
) -> None:
    proxy = LosingProxy(server.url, tmp_path)
    client = connect(proxy.url)
    inbox, keys = Inbox(client), [f"k{number}" for number in range(80)]
    for key in keys:
        inbox.accept(key, {"verb": "status"})
        inbox.claim(key, "bot-1", 30)
    inbox.renew(["k0"], "bot-1", 30)
    inbox.claim("k1", "bot-1", 0)
    inbox.claim("k1", "bot-2", 30)
    inbox.done("k2", "here it is")
    client.delete("gateway-bot:{i:k3}")
    before = proxy.trips
    assert inbox.renew(keys, "bot-1", 30) == set(keys) - {"k1", "k2"}
    # What is longer than a buffer is counted more than once.
    assert proxy.trips <= before + 4
    assert inbox.due(100) == []
    proxy.close()


def test_a_request_that_only_the_index_does_not_know_is_in_it_after_its_next_delivery(
    server: Valkey,
) -> None:
    client = connect(server.url)
    inbox = Inbox(client)
    inbox.accept("k1", {"verb": "status"})
    # As where a server of a Redis Cluster ended before it had the index; Slack got no ack.
    client.delete("gateway-bot:{inbox}:open")
    assert inbox.accept("k1", {"verb": "status"}) == "known"
    client.zadd("gateway-bot:{inbox}:open", {"k1": 0}, xx=True)
    assert inbox.due(10) == [("k1", '{"verb": "status"}')]


def test_what_only_the_index_knows_is_dropped(server: Valkey) -> None:
    client = connect(server.url)
    inbox = Inbox(client)
    inbox.accept("k1", {"verb": "status"})
    client.delete("gateway-bot:{i:k1}")
    client.zadd("gateway-bot:{inbox}:open", {"k1": 0})
    assert inbox.due(10) == []
    assert client.zcard("gateway-bot:{inbox}:open") == 0


def test_a_request_is_accepted_though_the_server_has_forgotten_the_scripts(server: Valkey) -> None:
    client = connect(server.url)
    inbox = Inbox(client)
    inbox.accept("k1", {"verb": "status"})
    client.script_flush()
    assert inbox.accept("k2", {"verb": "status"}) == "new"
    client.zadd("gateway-bot:{inbox}:open", {"k2": 0})
    assert [key for key, _ in inbox.due(10)] == ["k2"]


def test_requests_are_accepted_in_a_redis_cluster_whose_servers_share_them(tmp_path: Path) -> None:
    with redis_cluster(tmp_path) as url:
        client = connect(url)
        inbox = Inbox(client)
        keys = {f"k{number}" for number in range(20)}
        for key in keys:
            assert inbox.accept(key, {"verb": "status"}) == "new"
            assert inbox.accept(key, {"verb": "status"}) == "known"
        client.zadd("gateway-bot:{inbox}:open", dict.fromkeys(keys, 0))
        assert {key for key, _ in inbox.due(100)} == keys
        client.close()
