"""One server, a cluster and a primary named by Sentinels are reached by TLS with passwords; what is
wrong with one is told apart. On real servers, with a certificate authority of the test's own."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.actions.connection import Call as ScriptCall
from deploy.actions.connection import Script, connect, in_one_trip, now_of
from deploy.errors import InvalidInput, Unavailable
from tests.support.certificates import Authority
from tests.support.ports import free_ports
from tests.support.tls_redis import (
    PASSWORD,
    QUOTED,
    SENTINEL_PASSWORD,
    SERVICE,
    TlsServer,
    tls_cluster,
    tls_sentinel,
    tls_servers,
)

NAME = "redis.contoso.example"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def authority(directory: Path) -> Authority:
    return Authority(directory / "ca")


@pytest.fixture(scope="module")
def server(directory: Path, authority: Authority) -> Iterator[TlsServer]:
    with tls_servers(directory / "one", authority, authority.signs("localhost", NAME)) as (one,):
        yield one


@pytest.fixture(scope="module")
def nodes(directory: Path, authority: Authority) -> Iterator[list[TlsServer]]:
    """Of a cluster whose certificates are for a name, and which are announced by an address, as
    those of Azure Managed Redis are."""
    with tls_cluster(directory / "nodes", authority, authority.signs(NAME)) as found:
        yield found


@pytest.fixture(scope="module")
def sentinel(directory: Path, authority: Authority) -> Iterator[int]:
    with tls_sentinel(directory / "sentinel", authority, authority.signs("127.0.0.1")) as port:
        yield port


def dead() -> int:
    """A port where nobody listens."""
    (port,) = free_ports(1)
    return port


def client(url: str) -> Any:
    return connect(url, timeout=10, retries=1)


def is_told(url: str, **options: Any) -> Unavailable:
    """What a person is told of that Redis."""
    with pytest.raises(Unavailable) as caught:
        now_of(connect(url, **{"timeout": 10, "retries": 0} | options))
    assert PASSWORD not in str(caught.value)
    return caught.value


def test_one_server_is_reached_by_tls_with_a_password(
    server: TlsServer, authority: Authority
) -> None:
    found = client(f"rediss://:{QUOTED}@localhost:{server.port}/0?ssl_ca_certs={authority.file}")
    assert found.set("a", "b")
    assert found.get("a") == "b"


def test_a_cluster_is_reached_by_tls_though_seeds_are_dead(
    nodes: list[TlsServer], authority: Authority
) -> None:
    seeds = f"127.0.0.1:{dead()},localhost:{nodes[1].port},127.0.0.1:{dead()}"
    url = f"rediss+cluster://:{QUOTED}@{seeds}?ssl_ca_certs={authority.file}&tls_name={NAME}"
    found = client(url)
    script = Script(found, "redis.call('SET', KEYS[1], ARGV[1]) return redis.call('GET', KEYS[1])")
    keys = [f"{{{number}}}" for number in range(20)]
    calls = [ScriptCall(script, [key], [key]) for key in keys]
    assert in_one_trip(found, calls) == keys
    assert len({found.get_node_from_key(key).port for key in keys}) == 2


def test_a_cluster_none_of_whose_seeds_answers_is_told_of_as_any_redis() -> None:
    told = is_told(f"redis+cluster://127.0.0.1:{dead()},127.0.0.1:{dead()}")
    assert "it refuses connections" in told.happened


def test_a_certificate_of_a_node_that_is_for_another_name_is_not_accepted(
    nodes: list[TlsServer], authority: Authority
) -> None:
    url = f"rediss+cluster://:{QUOTED}@127.0.0.1:{nodes[0].port}?ssl_ca_certs={authority.file}"
    told = is_told(url)
    assert "its TLS certificate is not accepted" in told.happened
    assert "127.0.0.1" in told.happened
    assert "?tls_name=NAME" in told.remedy
    assert "not accepted" in is_told(f"{url}&tls_name=other.example").happened


def test_a_primary_named_by_a_sentinel_is_reached_by_tls_and_each_has_its_password(
    sentinel: int, authority: Authority
) -> None:
    hosts = f"127.0.0.1:{dead()},127.0.0.1:{sentinel}"
    found = client(
        f"rediss+sentinel://:{QUOTED}@{hosts}/{SERVICE}?ssl_ca_certs={authority.file}"
        f"&sentinel_password={SENTINEL_PASSWORD}"
    )
    assert found.set("a", "b")
    assert found.get("a") == "b"


def test_what_a_sentinel_refuses_is_told_apart(sentinel: int, authority: Authority) -> None:
    secret = f"&sentinel_password={SENTINEL_PASSWORD}"
    base = f"rediss+sentinel://:{QUOTED}@127.0.0.1:{sentinel}"
    trust = f"ssl_ca_certs={authority.file}"
    assert "user name or password" in is_told(f"{base}/{SERVICE}?{trust}").happened
    assert (
        "user name or password"
        in is_told(f"rediss+sentinel://:no@127.0.0.1:{sentinel}/{SERVICE}?{trust}{secret}").happened
    )
    assert "name no primary" in is_told(f"{base}/other?{trust}{secret}").happened
    assert "TLS certificate" in is_told(f"{base}/{SERVICE}?{secret[1:]}").happened
    nobody = is_told(f"rediss+sentinel://127.0.0.1:{dead()}/{SERVICE}?{trust}")
    assert "refuses connections" in nobody.happened


def test_tls_names_refusals_sign_in_and_silence_are_told_apart(
    server: TlsServer, authority: Authority
) -> None:
    trust = f"ssl_ca_certs={authority.file}"
    here = f"localhost:{server.port}"
    assert "not accepted: self-signed certificate" in is_told(f"rediss://:x@{here}").happened
    assert "user name or password" in is_told(f"rediss://:no@{here}?{trust}").happened
    assert "user name or password" in is_told(f"rediss://{here}?{trust}").happened
    assert "it refuses connections" in is_told(f"redis://127.0.0.1:{dead()}").happened
    assert "name cannot be resolved" in is_told("redis://nowhere.invalid:6379").happened
    assert "socket does not exist" in is_told("unix:///nowhere/redis.sock").happened
    plain = is_told(f"redis://{here}")
    assert "it closed the connection" in plain.happened
    assert plain.remedy.startswith("For the operator of the bot: ")
    assert "rediss://" in plain.remedy
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        told = is_told(f"redis://127.0.0.1:{port}", timeout=0.2, retry_timeouts=False)
        assert "it does not answer" in told.happened


def test_a_port_that_speaks_no_tls_is_told_of(authority: Authority) -> None:
    with socket.create_server(("127.0.0.1", 0)) as plain:

        def answer() -> None:
            taken, _ = plain.accept()
            with taken:
                taken.recv(1024)
                taken.sendall(b"-ERR unknown command\r\n" * 3)

        threading.Thread(target=answer, daemon=True).start()
        port = plain.getsockname()[1]
        told = is_told(f"rediss://localhost:{port}?ssl_ca_certs={authority.file}")
    assert "does not speak TLS at this port" in told.happened


def test_what_the_acl_of_a_user_forbids_is_told_of(server: TlsServer, authority: Authority) -> None:
    server.client().acl_setuser("few", enabled=True, passwords=["+p"], commands=["+ping", "+hello"])
    told = is_told(f"rediss://few:p@localhost:{server.port}?ssl_ca_certs={authority.file}")
    assert "the ACL of its user forbids this" in told.happened
    assert "time" in told.happened


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://localhost", "of no known kind"),
        ("rediss://localhost?ssl_ca_certs=/nowhere/ca.pem", "ssl_ca_certs"),
        ("redis+cluster://localhost:6379/3", "one database"),
        ("redis+cluster://localhost:6379?pa:ss=true", "An option of the Redis URL is unknown"),
        (
            "redis+cluster://localhost:6379?max_connections=pa:ss",
            "“max_connections” in the Redis URL",
        ),
        ("redis+sentinel://:pa:ss/word@localhost:26379/gateways", "an @ behind its hosts"),
        ("redis+cluster://localhost:99999", "A host in the Redis URL"),
        ("redis+sentinel://localhost/gateways/two", "not a number"),
        ("redis+cluster://localhost?db=two", "not a number"),
        ("redis+sentinel://,/gateways", "A host in the Redis URL"),
    ],
)
def test_a_url_that_is_wrong_says_what_of_it_and_never_quotes_a_password(
    url: str, said: str
) -> None:
    with pytest.raises(InvalidInput, match=said) as caught:
        connect(url)
    assert "pa:ss" not in str(caught.value)
    assert caught.value.field == "redis.url"
