"""The server for requests from outside: its bounds hold, and it loses nothing that it has taken."""

import dataclasses
import gc
import http.client
import logging
import socket
import struct
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from http import HTTPStatus

import pytest

from bot.http_server import Answer, Bounds, Head, HttpServer, refusal
from deploy.deadline import Deadline
from tests.support.waiting import until

HEAD = b"POST / HTTP/1.1\r\nHost: bot\r\n"
SMALL = Bounds(connections=10, body=1000, held=5000, head_seconds=600, body_seconds=600)
HASTY = Bounds(connections=10, body=1000, held=5000, head_seconds=0.3, body_seconds=0.3)


class App:
    """An application that answers what is asked under `/slow` only once it is let `go`, and lets
    nobody in at `/closed`."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.go = threading.Event()
        self.bodies: list[int] = []

    def admit(self, head: Head) -> Answer | None:
        if head.path == "/closed":
            return refusal(HTTPStatus.UNAUTHORIZED, "a stranger")
        return None

    def respond(self, head: Head, body: bytes) -> Answer:
        self.bodies.append(len(body))
        if head.path == "/slow":
            self.asked.set()
            self.go.wait(30)
        return Answer(200, b"done")


@pytest.fixture
def app() -> Iterator[App]:
    made = App()
    yield made
    made.go.set()


@contextmanager
def serving(app: App, bounds: Bounds | None = None) -> Iterator[HttpServer]:
    made = HttpServer("test", "127.0.0.1", 0, app.admit, app.respond, threads=4, bounds=bounds)
    made.start()
    yield made
    made.stop(Deadline.after(0))
    until(lambda: not made.live, "its end")


@pytest.fixture
def server(app: App) -> Iterator[HttpServer]:
    with serving(app) as made:
        yield made


@pytest.fixture
def hasty(app: App) -> Iterator[HttpServer]:
    with serving(app, HASTY) as made:
        yield made


@pytest.fixture
def small(app: App) -> Iterator[HttpServer]:
    with serving(app, SMALL) as made:
        yield made


def kept(server: HttpServer) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)


def asks(connection: http.client.HTTPConnection, path: str = "/") -> tuple[bytes, bool]:
    """The answer, and whether the server closes the connection after it."""
    connection.request("POST", path, b"{}")
    answer = connection.getresponse()
    return answer.read(), answer.getheader("Connection") == "close"


def sends(server: HttpServer, *pieces: bytes) -> bytes:
    """What comes back until the server closes; what it resets counts as nothing."""
    with socket.create_connection(("127.0.0.1", server.port), 20) as made:
        try:
            for piece in pieces:
                made.sendall(piece)
            return made.makefile("rb").read()
        except (ConnectionResetError, BrokenPipeError):
            return b""


def refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 30).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        return False
    return False


def closed(made: socket.socket) -> Callable[[], bool]:
    """Whether the other side has closed it."""

    def look() -> bool:
        made.setblocking(False)
        try:
            return made.recv(100) == b""
        except BlockingIOError:
            return False
        except ConnectionResetError:
            return True

    return look


def test_a_body_that_is_too_large_is_refused_though_none_of_it_was_sent(
    server: HttpServer, app: App
) -> None:
    answer = sends(server, HEAD + b"Content-Length: 1048577\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert app.bodies == []


def test_a_body_in_pieces_is_refused_once_they_are_too_large(small: HttpServer, app: App) -> None:
    piece = b"64\r\n" + b"x" * 100 + b"\r\n"
    answer = sends(small, HEAD + b"Transfer-Encoding: chunked\r\n\r\n", piece * 11)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert app.bodies == []


def test_the_largest_body_is_taken(small: HttpServer, app: App) -> None:
    connection = kept(small)
    connection.request("POST", "/", b"x" * 1000)
    assert connection.getresponse().status == 200
    assert app.bodies == [1000]


def test_a_body_is_not_waited_for_where_its_sender_is_not_let_in(server: HttpServer) -> None:
    head = b"POST /closed HTTP/1.1\r\nHost: bot\r\nContent-Length: 500\r\n\r\n"
    assert sends(server, head).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize("path", ["/", "/closed"])
def test_a_sender_that_ends_in_the_middle_of_a_body_is_no_fault(
    server: HttpServer, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: bot\r\nContent-Length: 900000\r\n\r\n".encode()
    for count in (0, 10, 500_000):
        for abruptly in (False, True):
            with socket.create_connection(("127.0.0.1", server.port), 20) as made:
                if abruptly:
                    made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                try:
                    made.sendall(head + b"x" * count)
                except OSError:
                    continue
    assert asks(kept(server)) == (b"done", False)
    server.stop(Deadline.after(5))
    assert not any(record.exc_info for record in caplog.records), caplog.text


@pytest.mark.parametrize(
    "sent",
    [
        b"Content-Length: 1000000\r\n\r\n" + b"x" * 900_000,
        b"Transfer-Encoding: chunked\r\n\r\nDBBA0\r\n" + b"x" * 900_000 + b"\r\nno chunk\r\n",
    ],
    ids=["cut off", "malformed"],
)
def test_nothing_is_kept_of_a_body_that_never_came_whole(server: HttpServer, sent: bytes) -> None:
    # Senders that end hold more memory than what the garbage collector counts, which is objects.
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        for _ in range(20):
            with (
                socket.create_connection(("127.0.0.1", server.port), 20) as made,
                suppress(OSError),
            ):
                made.sendall(HEAD + sent)
                made.shutdown(socket.SHUT_WR)
                while made.recv(65536):
                    continue
        until(lambda: tracemalloc.get_traced_memory()[0] < 5_000_000, "the memory given back")
    finally:
        tracemalloc.stop()
        gc.enable()


def test_a_sender_that_asks_first_is_told_to_continue(server: HttpServer, app: App) -> None:
    with socket.create_connection(("127.0.0.1", server.port), 20) as made:
        made.sendall(HEAD + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        answer = made.makefile("rb")
        assert answer.readline() == b"HTTP/1.1 100 Continue\r\n"
        made.sendall(b"{}")
        assert answer.readline() == b"\r\n"
        assert answer.readline() == b"HTTP/1.1 200 OK\r\n"


@contextmanager
def trickling(server: HttpServer, start: bytes, each: bytes) -> Iterator[socket.socket]:
    """A connection on which a little comes again and again, until it is closed."""
    with socket.create_connection(("127.0.0.1", server.port), 20) as made:
        made.sendall(start)
        stop = threading.Event()

        def trickle() -> None:
            try:
                while not stop.wait(0.02):
                    made.sendall(each)
            except OSError:
                return

        thread = threading.Thread(target=trickle)
        thread.start()
        try:
            yield made
        finally:
            stop.set()
            thread.join()


@pytest.mark.parametrize(
    ("start", "each"),
    [
        (HEAD, b"A: b\r\n"),
        (b"P", b""),
        (b"", b"\r\n"),
        (HEAD + b"Content-Length: 999\r\n\r\n", b"x"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    ],
)
def test_a_request_that_trickles_ends_in_time(
    hasty: HttpServer, app: App, start: bytes, each: bytes
) -> None:
    with trickling(hasty, start, each) as made:
        until(closed(made), "the end of the connection")
    assert app.bodies == []


def test_a_sender_that_was_let_in_may_be_silent_for_longer(app: App) -> None:
    # A request whose sender is held up between its pieces is not what ends here.
    with serving(app, dataclasses.replace(HASTY, head_seconds=5, body_seconds=600)) as server:
        connection = kept(server)
        assert asks(connection) == (b"done", False)
        with trickling(server, HEAD, b"A: b\r\n") as another:
            until(closed(another), "the end of the other connection")
        assert asks(connection) == (b"done", False)


def test_of_too_many_connections_the_oldest_stranger_is_closed_and_everybody_else_answered(
    app: App,
) -> None:
    patient = Bounds(connections=10, head_seconds=600, body_seconds=600)
    with serving(app, patient) as server, ExitStack() as stack:
        known = kept(server)
        assert asks(known) == (b"done", False)
        strangers = [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 20))
            for _ in range(30)
        ]
        until(closed(strangers[0]), "the end of the first")
        assert asks(kept(server)) == (b"done", False)
        assert asks(known) == (b"done", False)
        assert not closed(strangers[-1])()


def test_of_too_much_that_is_half_sent_the_oldest_is_closed_and_everybody_else_answered(
    app: App,
) -> None:
    patient = Bounds(held=5000, body=1000, head_seconds=600, body_seconds=600)
    with serving(app, patient) as server, ExitStack() as stack:
        half = []
        for _ in range(20):
            made = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 20))
            made.sendall(HEAD + b"Content-Length: 1000\r\n\r\n" + b"x" * 900)
            half.append(made)
            assert asks(kept(server)) == (b"done", False)
        until(closed(half[0]), "the end of the first")
        assert not closed(half[-1])()


def test_refusals_are_said_in_one_line_however_many(
    server: HttpServer, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(20):
        assert asks(kept(server), "/closed") == (b"", True)
    (line,) = [record for record in caplog.records if "refused requests" in record.getMessage()]
    assert (line.levelno, line.getMessage()) == (
        logging.WARNING,
        "test refused requests (a stranger: 1)",
    )


def test_connections_are_kept_until_the_server_is_about_to_leave(server: HttpServer) -> None:
    connection = kept(server)
    assert asks(connection) == (b"done", False)
    assert asks(connection) == (b"done", False)
    server.leave()
    assert asks(connection) == (b"done", True)
    # It still takes new ones.
    assert asks(kept(server)) == (b"done", True)


def test_a_request_in_hand_is_answered_and_a_new_connection_refused(
    server: HttpServer, app: App
) -> None:
    with ThreadPoolExecutor(2) as pool:
        answer = pool.submit(asks, kept(server), "/slow")
        assert app.asked.wait(20)
        stopping = pool.submit(server.stop, Deadline.after(30))
        until(lambda: refused(server.port), "a refused connection")
        app.go.set()
        assert answer.result(20) == (b"done", True)
        stopping.result(20)
    assert not server.live


def test_a_request_that_is_half_sent_at_the_stop_is_answered(server: HttpServer) -> None:
    request = HEAD + b"Content-Length: 2\r\n\r\n{}"
    with socket.create_connection(("127.0.0.1", server.port), 20) as made:
        made.sendall(request[:10])
        stopping = threading.Thread(target=server.stop, args=(Deadline.after(30),))
        stopping.start()
        until(lambda: refused(server.port), "a refused connection")
        made.sendall(request[10:])
        answer = made.makefile("rb").read()
        stopping.join(20)
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"Connection: close" in answer


def test_silent_connections_do_not_hold_the_stop_and_an_unanswered_one_only_until_the_deadline(
    server: HttpServer, app: App
) -> None:
    silent = [kept(server) for _ in range(3)]
    for each in silent:
        asks(each)
    hanging = kept(server)
    hanging.request("POST", "/slow", b"{}")
    assert app.asked.wait(20)
    began = time.monotonic()
    server.stop(Deadline.after(2))
    assert 1.9 <= time.monotonic() - began < 30
    until(lambda: not server.live, "its end")
    for each in silent:
        assert each.sock is not None
        assert each.sock.recv(1) == b""
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        hanging.getresponse()


def test_a_server_that_was_never_started_gives_its_port_back(app: App) -> None:
    made = HttpServer("test", "127.0.0.1", 0, app.admit, app.respond, threads=1)
    port = made.port
    made.stop(Deadline.after(1))
    assert refused(port)
