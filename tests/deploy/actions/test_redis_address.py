"""What a Redis URL names is what was written into it, whatever a password has in it."""

import contextlib
from urllib.parse import quote

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from deploy.actions.connection import connect
from deploy.actions.redis_address import address_of, passwords_in, without_login
from deploy.errors import InvalidInput

HOSTS = st.lists(
    st.tuples(
        st.from_regex(
            r"[a-z][a-z0-9-]{0,20}(\.example)?|10\.0\.0\.[0-9]|\[2001:db8::[0-9]\]", fullmatch=True
        ),
        st.integers(1, 65535),
    ),
    min_size=1,
    max_size=4,
)
SECRET = st.text(min_size=1, max_size=30).filter(lambda text: text.isprintable())


@given(HOSTS, SECRET, SECRET, st.sampled_from(["sentinel", "cluster"]), st.booleans())
def test_hosts_and_login_of_any_url_are_read_back(
    hosts: list[tuple[str, int]], user: str, password: str, topology: str, tls: bool
) -> None:
    places = ",".join(f"{host}:{port}" for host, port in hosts)
    login = f"{quote(user, safe='')}:{quote(password, safe='')}"
    name = "/gateways" if topology == "sentinel" else ""
    found = address_of(f"redis{'s' * tls}+{topology}://{login}@{places}{name}")
    assert found.hosts == tuple((host.strip("[]"), port) for host, port in hosts)
    assert (found.username, found.password) == (user, password)
    assert (found.tls, found.sentinel_tls) == (tls, tls and topology == "sentinel")


@given(SECRET)
def test_without_its_login_a_url_has_no_password(password: str) -> None:
    secret = quote(password, safe="")
    bare = without_login(address_of(f"rediss://u:{secret}@host:6380/0?ssl_check_hostname=false"))
    assert bare.url == "rediss://host:6380/0?ssl_check_hostname=false"
    assert bare.password is None


def test_ports_are_usual_where_none_is_written() -> None:
    assert address_of("redis+sentinel://one,two:1").hosts == (("one", 26379), ("two", 1))
    assert address_of("rediss+cluster://one").hosts == (("one", 6379),)
    assert address_of("redis+sentinel://one").service == "mymaster"


@given(st.text(max_size=60), st.sampled_from(["redis+sentinel", "rediss+cluster", "rediss", "x"]))
def test_whatever_a_url_is_it_is_read_or_refused_in_words(rest: str, scheme: str) -> None:
    with contextlib.suppress(InvalidInput):
        address_of(f"{scheme}://{rest}")


def test_without_its_login_a_url_has_none_in_its_query_either() -> None:
    login = "username=me&pass%77ord=s3cret"
    one = without_login(address_of(f"rediss://host:6380/0?{login}&ssl_check_hostname=false"))
    assert one.url == "rediss://host:6380/0?ssl_check_hostname=false"
    assert without_login(address_of(f"redis://host?{login}")).url == "redis://host"
    nodes = without_login(address_of(f"redis+cluster://host?{login}&protocol=3"))
    assert (nodes.url, nodes.options) == ("redis+cluster://host?protocol=3", "protocol=3")


def test_options_that_redis_py_knows_reach_it_for_a_cluster() -> None:
    options = "max_connections=9&client_name=a+b&protocol=3&read_from_replicas=true"
    assert address_of(f"redis+cluster://host:7000?{options}").options == options
    assert (
        address_of("rediss+cluster://host?ssl_cert_reqs=none&db=0").options == "ssl_cert_reqs=none"
    )
    plain = address_of("redis+cluster://host?ssl_cert_reqs=none")
    assert (plain.options, plain.ignored) == ("", ("ssl_cert_reqs",))


def test_with_sentinels_an_option_has_no_effect_as_before_and_the_database_is_in_the_path() -> None:
    found = address_of("redis+sentinel://h/mymaster?socket_timeout=5&db=1&s3cret=")
    assert (found.db, found.service) == (0, "mymaster")
    assert found.ignored == ("db", "socket_timeout")
    assert address_of("redis+sentinel://h/mymaster?s3cret=x").ignored == ("",)
    assert address_of("redis+sentinel://h/mymaster?db=0").ignored == ()
    found = address_of("redis+sentinel://h/mymaster/1?db=2")
    assert (found.db, found.service) == (1, "mymaster")


def test_an_option_of_sentinels_that_has_no_effect_is_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    connect("redis+sentinel://h/mymaster?socket_timeout=5&db=1&s3cret=x")
    assert "“socket_timeout” in the Redis URL has no effect with sentinel" in caplog.text
    assert "/NAME/1" in caplog.text
    assert "an unknown option" in caplog.text
    assert "s3cret" not in caplog.text


def test_commas_without_a_host_count_for_nothing() -> None:
    assert address_of("redis+sentinel://one,,two:1,/name").hosts == (("one", 26379), ("two", 1))


@pytest.mark.parametrize(
    "url",
    [
        "redis://",
        "redis://:6380",
        "redis:///2",
        "redis://host",
        "rediss://u:p%2Fss@host:6380/1?ssl_check_hostname=false&ssl_cert_reqs=none",
        "redis://[::1]:7000/0",
        "redis://u:p@[fd00::1]",
        "redis://host?password=a@b&client_name=bot@here&socket_timeout=3&db=2",
        "unix:///run/redis.sock?db=1",
        "unix:///run/a@b.sock",
        "unix://u:p@/run/redis.sock",
        "redis://host:6379\n",
    ],
)
def test_what_redis_py_reads_is_read_alike(url: str) -> None:
    client = connect(url)
    theirs = redis.Redis.from_url(url).connection_pool.connection_kwargs
    ours = client.connection_pool.connection_kwargs
    for name in ("host", "port", "path", "username", "password", "db", "client_name"):
        assert ours.get(name) == theirs.get(name)
    if not url.startswith("unix"):
        expected = (theirs.get("host", "localhost"), theirs.get("port", 6379))
        assert address_of(url).hosts == (expected,)


@pytest.mark.parametrize(
    "url",
    [
        "redis://u:pa7342/ss@host:6379",
        "redis://u:7342/ss@host:6379",
        "redis://u:7342#ss@host:6379",
        "redis://u:7342?ss@host:6379",
        "redis://u:7342?ss7342=1@host:6379",
        "redis://u:pa[7342@host",
        "redis://host:7342x",
        "redis://host:73420",
        "redis://host?ss7342=1",
        "redis://host?socket_timeout=7342x",
        "redis+sentinel://u:7342/ss@h1,h2/main",
        "redis+sentinel://u:7342?ss7342=x@h1,h2/main",
        "redis+cluster://u:7342?ss7342&db=x@h1",
        "unix://u:7342/ss@/run/redis.sock",
    ],
)
def test_a_wrong_url_is_refused_in_words_without_a_part_of_it(url: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        connect(url)
    error: BaseException | None = refused.value
    assert "7342" not in str(error)
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_a_password_of_several_hosts_needs_no_more_escapes_than_it_must() -> None:
    found = address_of("redis+sentinel://u:pa[#ss@h1,h2/main")
    assert (found.password, found.hosts) == ("pa[#ss", (("h1", 26379), ("h2", 26379)))


@given(SECRET)
def test_whatever_a_password_is_it_is_known_as_it_was_written(password: str) -> None:
    assert password in passwords_in(f"redis://u:{password}@host:1/0")
    assert password in passwords_in(f"redis://u:{quote(password, safe='')}@host:1/0")
    assert password in passwords_in(f"redis://host?ssl_password={quote(password, safe='')}")
    assert passwords_in("redis://host:6379/0?db=1") == ()
