"""What is wrong with the way to a service, by real sockets and through the libraries that clients use."""

import contextlib
import errno
import http.client
import socket
import ssl
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
import urllib3

from deploy.link_faults import Kind, LinkFault, Place, fault_of
from tests.support.certificates import Authority

PLACE = Place("the settings", "the CA setting")
SECONDS = 0.5


def by_requests(url: str, trusted: Path, proxy: str) -> object:
    session = requests.Session()
    session.trust_env = False
    proxies = {"https": proxy, "http": proxy} if proxy else {}
    return session.get(url, verify=str(trusted), timeout=SECONDS, proxies=proxies)


def by_urllib3(url: str, trusted: Path, proxy: str) -> object:
    options = {"ca_certs": str(trusted), "timeout": SECONDS, "retries": False}
    pool = (
        urllib3.ProxyManager(proxy, **options) if proxy else urllib3.PoolManager(**options)  # type: ignore[arg-type]
    )
    return pool.request("GET", url)


def by_urllib(url: str, trusted: Path, proxy: str) -> object:
    """As slack_sdk does."""
    context = ssl.create_default_context(cafile=str(trusted))
    proxies = {"https": proxy, "http": proxy} if proxy else {}
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler(proxies), urllib.request.HTTPSHandler(context=context)
    )
    return opener.open(url, timeout=SECONDS)


_RAISED = (OSError, urllib3.exceptions.HTTPError, http.client.HTTPException)
CLIENTS = (by_requests, by_urllib3, by_urllib)
Ask = Callable[[str, Path, str], object]


@pytest.fixture(params=CLIENTS, ids=lambda client: client.__name__)
def ask(request: pytest.FixtureRequest) -> Ask:
    found: Ask = request.param
    return found


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


@contextlib.contextmanager
def serving(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that does this with each connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    taken, _ = listener.accept()
                    with contextlib.suppress(OSError):
                        answer(taken)
                    taken.close()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield int(listener.getsockname()[1])
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def by_tls(authority: Authority, *names: str, days: int = 1) -> Iterator[int]:
    signed = authority.signs(*names, days=days)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(signed.certificate, signed.key)

    def answer(taken: socket.socket) -> None:
        with context.wrap_socket(taken, server_side=True) as spoken:
            spoken.recv(4096)
            spoken.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    with serving(answer) as port:
        yield port


def fault(ask: Ask, url: str, trusted: Path, proxy: str = "") -> LinkFault:
    with pytest.raises(_RAISED) as failed:
        ask(url, trusted, proxy)
    return fault_of(failed.value, PLACE, url)


def dead() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_a_good_certificate_is_no_fault(ask: Ask, authority: Authority) -> None:
    with by_tls(authority, "localhost") as port:
        assert ask(f"https://localhost:{port}/", authority.file, "")


def test_a_certificate_of_another_authority_names_the_setting_for_it(
    ask: Ask, authority: Authority, tmp_path: Path
) -> None:
    other = Authority(tmp_path / "other")
    with by_tls(authority, "localhost") as port:
        found = fault(ask, f"https://localhost:{port}/", other.file)
    assert found.kind is Kind.UNTRUSTED
    assert found.what.startswith("its TLS certificate is not accepted: ")
    assert "Name the file of its certificate authority in the CA setting." in found.remedy
    assert "minute" not in found.remedy


def test_an_expired_certificate_is_to_be_renewed(ask: Ask, authority: Authority) -> None:
    with by_tls(authority, "localhost", days=-1) as port:
        found = fault(ask, f"https://localhost:{port}/", authority.file)
    assert found.kind is Kind.EXPIRED
    assert "certificate has expired" in found.what
    assert "Renew the certificate" in found.remedy
    assert found.lasts


def test_a_certificate_for_another_name_names_the_name(ask: Ask, authority: Authority) -> None:
    with by_tls(authority, "other.example") as port:
        found = fault(ask, f"https://localhost:{port}/", authority.file)
    assert found.kind is Kind.OTHER_NAME
    assert "localhost" in found.what
    assert "In the settings, use a name that the certificate lists" in found.remedy
    assert found.lasts


def test_tls_to_a_port_without_it(ask: Ask, authority: Authority) -> None:
    def plain(taken: socket.socket) -> None:
        taken.recv(4096)
        taken.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    with serving(plain) as port:
        found = fault(ask, f"https://localhost:{port}/", authority.file)
    assert found.kind is Kind.NOT_TLS
    assert found.what == "it does not speak TLS at this port"
    assert found.lasts


def test_plain_http_to_a_tls_port(ask: Ask, authority: Authority) -> None:
    with by_tls(authority, "localhost") as port:
        found = fault(ask, f"http://localhost:{port}/", authority.file)
    assert found.kind in (Kind.NOT_PLAIN, Kind.CLOSED)
    assert "https://" in found.remedy


def test_plain_http_that_is_answered_with_a_tls_alert(ask: Ask, authority: Authority) -> None:
    def alert(taken: socket.socket) -> None:
        taken.recv(4096)
        taken.sendall(b"\x15\x03\x01\x00\x02\x02\x46")

    with serving(alert) as port:
        found = fault(ask, f"http://localhost:{port}/", authority.file)
    assert found.kind is Kind.NOT_PLAIN
    assert found.remedy == "For the operator of the bot: Use https:// in the settings."


def resolves_nothing(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(code, "in the resolver's words")

    monkeypatch.setattr(socket, "getaddrinfo", fail)


@pytest.mark.parametrize("code", [socket.EAI_NONAME, socket.EAI_NODATA])
def test_a_name_that_does_not_exist_is_not_waited_for(
    ask: Ask, authority: Authority, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    resolves_nothing(monkeypatch, code)
    found = fault(ask, "http://nowhere.invalid/", authority.file)
    assert found.kind is Kind.UNKNOWN_HOST
    assert found.what == "its host name cannot be resolved"
    assert found.lasts
    assert "minute" not in found.remedy


@pytest.mark.parametrize("code", [socket.EAI_AGAIN, socket.EAI_FAIL])
def test_dns_that_does_not_answer_is_waited_for(
    ask: Ask, authority: Authority, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    resolves_nothing(monkeypatch, code)
    found = fault(ask, "http://service.example/", authority.file)
    assert found.what == "its host name cannot be resolved"
    assert not found.lasts
    assert found.remedy.startswith("Try again in a minute. For the operator of the bot: Check DNS")


def test_a_closed_port(ask: Ask, authority: Authority) -> None:
    found = fault(ask, f"http://127.0.0.1:{dead()}/", authority.file)
    assert (found.kind, found.what) == (Kind.REFUSED, "it refuses connections")
    assert found.remedy.startswith("Try again in a minute. For the operator of the bot: Check the")


def test_a_server_that_accepts_and_never_answers(ask: Ask, authority: Authority) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        found = fault(ask, f"http://127.0.0.1:{silent.getsockname()[1]}/", authority.file)
    assert found.kind is Kind.SILENT
    assert found.what == "it takes too long to answer"
    assert found.remedy == "Try again in a minute."


def test_a_handshake_that_never_ends_is_time_and_not_a_certificate(
    ask: Ask, authority: Authority
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        found = fault(ask, f"https://127.0.0.1:{silent.getsockname()[1]}/", authority.file)
    assert found.kind in (Kind.SILENT, Kind.NOT_CONNECTED)


def test_a_server_to_which_no_connection_is_made(ask: Ask, authority: Authority) -> None:
    # A queue of one that is full: the kernel drops what else wants to connect.
    with socket.socket() as full, contextlib.ExitStack() as stack:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            assert waiting.connect_ex(("127.0.0.1", port)) in (0, errno.EINPROGRESS)
        found = fault(ask, f"http://127.0.0.1:{port}/", authority.file)
    assert found.kind is Kind.NOT_CONNECTED
    assert found.what == "no connection to it is made in time"
    assert "network policies" in found.remedy


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_connection_that_is_closed(ask: Ask, authority: Authority, scheme: str) -> None:
    with serving(lambda taken: taken.close()) as port:
        found = fault(ask, f"{scheme}://127.0.0.1:{port}/", authority.file)
    assert (found.kind, found.what) == (Kind.CLOSED, "it closed the connection")


def test_a_proxy_that_refuses(ask: Ask, authority: Authority) -> None:
    def refuse(taken: socket.socket) -> None:
        taken.recv(4096)
        taken.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")

    with serving(refuse) as port:
        proxy = f"http://127.0.0.1:{port}"
        found = fault(ask, "https://service.example/", authority.file, proxy)
    assert found.kind is Kind.PROXY_REFUSED
    assert "407" in found.what
    assert "HTTPS_PROXY" in found.remedy
    assert found.lasts


@pytest.mark.parametrize("ask", [by_requests, by_urllib3], indirect=True)
def test_a_proxy_that_is_not_there(ask: Ask, authority: Authority) -> None:
    proxy = f"http://127.0.0.1:{dead()}"
    found = fault(ask, "https://service.example/", authority.file, proxy)
    assert found.kind is Kind.PROXY_AWAY
    assert found.what == "the proxy on the way to it cannot be used: it refuses connections"


def test_what_nothing_is_known_of_may_be_over_in_a_minute() -> None:
    found = fault_of(ValueError("of no known kind"), PLACE)
    assert (found.kind, found.remedy) == (Kind.UNKNOWN, "Try again in a minute.")


def test_no_route_is_told_apart() -> None:
    found = fault_of(OSError(errno.EHOSTUNREACH, "No route to host"), PLACE)
    assert (found.kind, found.what) == (Kind.NO_ROUTE, "there is no route to it")
