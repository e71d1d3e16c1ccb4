"""Reading a registry over real sockets: its tags, its pages, its digests, and its silence."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping

import pytest
import requests
from aiohttp import web

from bot.sandbox.registry import Registry as RegistryServer
from deploy.errors import NotFound, Unavailable
from deploy.images import registry as registry_module
from deploy.images.registry import Registry
from tests.support.loops import running
from tests.support.recorder import Recorder, Sent
from tests.support.waiting import until

PATH = "azure-api-management/gateway"
TAGS = ("2.9.2", "2.10.1", "2.11.0", "2.11.1", "2.12.1", "v2", "latest")


@pytest.fixture
def server() -> Iterator[RegistryServer]:
    registry = RegistryServer(repository=PATH, tags=TAGS, several=["2.12.1"], page=2)
    with running(registry):
        yield registry


def client(
    url: str,
    *,
    path: str = PATH,
    patience: float = 60,
    clock: Callable[[], float] = time.monotonic,
) -> Registry:
    session = requests.Session()
    return Registry(session, base_url=url, repository=path, patience=patience, clock=clock)


@contextlib.contextmanager
def answering(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that reads one request for each connection and lets `serve` answer."""

    def accept(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, contextlib.suppress(OSError):
                    connection.recv(65536)
                    serve(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept, args=(listener,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
    thread.join(60)


@contextlib.contextmanager
def dripping() -> Iterator[str]:
    """A server whose answer comes byte by byte without an end."""
    over = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        while not over.wait(0.02):
            connection.sendall(b" ")

    with answering(drip) as url:
        try:
            yield url
        finally:
            over.set()


def breaking_off(headers: Mapping[str, str]) -> contextlib.AbstractContextManager[str]:
    """A server whose answer is not what its headers say."""
    said = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    answer = f'HTTP/1.1 200 OK\r\n{said}Connection: close\r\n\r\n{{"tags": ["2.11.1"]}}'
    return answering(lambda connection: connection.sendall(answer.encode()))


def test_tags_of_every_page_are_read_and_kept_for_a_minute(server: RegistryServer) -> None:
    now = [0.0]
    registry = client(server.url, clock=lambda: now[0])
    assert sorted(registry.tags()) == sorted(TAGS)
    server.faults.set("down", True)
    assert sorted(registry.tags()) == sorted(TAGS)
    now[0] = 61.0
    with pytest.raises(Unavailable, match="does not answer"):
        registry.tags()


def test_a_repository_that_is_not_there_is_named(server: RegistryServer) -> None:
    registry = client(server.url, path="nobody/nothing")
    with pytest.raises(NotFound, match="nobody/nothing"):
        registry.tags()


def test_a_tag_names_its_own_digest_and_those_of_its_platforms(server: RegistryServer) -> None:
    registry = client(server.url)
    assert registry.digests("2.11.1") == {server.digest("2.11.1")}
    several = registry.digests("2.12.1")
    assert several == {server.digest("2.12.1"), *server.platforms("2.12.1")}
    assert len(several) == 3
    assert registry.digests("9.9.9") == frozenset()
    assert all(registry.has(each) for each in several)
    assert not registry.has(f"sha256:{'0' * 64}")


def test_a_registry_that_is_slow_says_so_soon_and_its_answer_is_there_later(
    server: RegistryServer,
) -> None:
    server.faults.set("slow_ms", 700)
    registry = client(server.url, patience=0.2)
    with pytest.raises(Unavailable, match=r"has not answered within 0 s"):
        registry.tags()

    def read() -> list[str]:
        try:
            return sorted(registry.tags())
        except Unavailable:
            return []

    assert until(read, "what was begun") == sorted(TAGS)


def test_a_link_to_another_host_is_asked_of_the_registry_itself() -> None:
    elsewhere = Recorder(lambda sent: web.json_response({"tags": ["stolen"]}))

    def pages(sent: Sent) -> web.Response:
        if "last=" in sent.path:
            return web.json_response({"tags": ["2.12.1"]})
        link = f'<{elsewhere.url}/v2/{PATH}/tags/list?n=1&last=2.11.1>; rel="next"'
        return web.json_response({"tags": ["2.11.1"]}, headers={"Link": link})

    here = Recorder(pages)
    with running(elsewhere), running(here):
        assert client(here.url).tags() == ("2.11.1", "2.12.1")
    assert elsewhere.sent == []


def test_more_pages_than_are_read_are_not_taken_for_all() -> None:
    link = f'</v2/{PATH}/tags/list?n=1&last=x>; rel="next"'
    here = Recorder(lambda sent: web.json_response({"tags": ["x"]}, headers={"Link": link}))
    with running(here), pytest.raises(Unavailable, match="more than 50 pages"):
        client(here.url).tags()
    assert len(here.sent) == 50


@pytest.mark.parametrize(
    "link", ["x:@{host}/v2/tags/list", "x:@{host}", "mailto:{host}", "http://[::1/tags", "?n=1"]
)
def test_a_link_without_a_path_leads_nowhere(link: str) -> None:
    elsewhere = Recorder(lambda sent: web.json_response({"tags": ["stolen"]}))

    def pages(sent: Sent) -> web.Response:
        if "n=1" in sent.path:
            return web.json_response({"tags": ["2.12.1"]})
        header = f'<{link.format(host=elsewhere.host)}>; rel="next"'
        return web.json_response({"tags": ["2.11.1"]}, headers={"Link": header})

    here = Recorder(pages)
    with running(elsewhere), running(here):
        found = client(here.url).tags()
    # A query alone is one of the same path.
    assert found == (("2.11.1", "2.12.1") if link == "?n=1" else ("2.11.1",))
    assert elsewhere.sent == []


def test_a_redirect_is_not_followed() -> None:
    elsewhere = Recorder(lambda sent: web.json_response({"tags": ["stolen"]}))

    def moved(sent: Sent) -> web.Response:
        return web.Response(status=307, headers={"Location": f"{elsewhere.url}{sent.path}"})

    here = Recorder(moved)
    with (
        running(elsewhere),
        running(here),
        pytest.raises(Unavailable, match="307 and redirects to"),
    ):
        client(here.url).tags()
    assert elsewhere.sent == []


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, "<html>"), (200, "[]"), (200, '{"tags": 3}'), (200, "[" * 100_000), (502, "")],
)
def test_what_is_no_tag_list_is_said_to_be_none(status: int, body: str) -> None:
    here = Recorder(lambda sent: web.Response(status=status, text=body))
    with running(here), pytest.raises(Unavailable, match="image registry"):
        client(here.url).tags()


def test_a_registry_that_wants_to_be_left_alone_says_for_how_long() -> None:
    here = Recorder(lambda sent: web.Response(status=429, headers={"Retry-After": "30"}))
    with running(here), pytest.raises(Unavailable) as refused:
        client(here.url).tags()
    assert refused.value.retry_after == 30


def test_an_answer_that_drips_is_read_no_longer_than_its_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registry_module, "_READING_SECONDS", 0.5)
    with dripping() as url, pytest.raises(Unavailable, match="does not answer"):
        client(url).tags()


@pytest.mark.parametrize("chunked", [True, False])
@pytest.mark.parametrize("packed", [True, False])
def test_an_answer_is_read_whole_however_it_is_sent(chunked: bool, packed: bool) -> None:
    tags = [f"2.11.1-{number:05}" for number in range(20_000)]

    def long(sent: Sent) -> web.Response:
        answer = web.json_response({"tags": tags})
        if packed:
            answer.enable_compression(web.ContentCoding.gzip)
        if chunked:
            answer.enable_chunked_encoding()
        return answer

    with running(here := Recorder(long)):
        assert client(here.url).tags() == tuple(tags)


@pytest.mark.parametrize("headers", [{"Content-Encoding": "gzip"}, {"Content-Length": "4000"}])
def test_an_answer_that_breaks_off_is_none(headers: dict[str, str]) -> None:
    with breaking_off(headers) as url, pytest.raises(Unavailable, match="does not answer"):
        client(url).tags()


@pytest.mark.parametrize(
    "ask",
    [
        lambda registry: registry.digest("2.11.1"),
        lambda registry: registry.digests("2.11.1"),
        lambda registry: registry.has(f"sha256:{'0' * 64}"),
    ],
)
def test_nobody_waits_long_for_a_digest(
    server: RegistryServer, ask: Callable[[Registry], object]
) -> None:
    server.faults.set("slow_ms", 600_000)
    with pytest.raises(Unavailable, match="has not answered within 0 s"):
        ask(client(server.url, patience=0.2))
