"""A guard is asked before every attempt of a write, over real sockets."""

import contextlib
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.errors import GatewayBotError, Unavailable
from deploy.kube.cluster import Cluster, connect
from deploy.kube.connection import Timeouts
from deploy.kube.unconfirmed import LAND_SECONDS, Unconfirmed
from deploy.retry import RunLost

Manifest = dict[str, Any]
Write = Callable[[Cluster], object]

LIVE: Manifest = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "settings", "namespace": "dev", "resourceVersion": "7"},
    "data": {"a": "1"},
}
WRITES: dict[str, Write] = {
    "apply": lambda cluster: cluster.apply(LIVE),
    "apply_all": lambda cluster: cluster.apply_all([LIVE]),
    "create": lambda cluster: cluster.create(LIVE),
    "replace": lambda cluster: cluster.replace(LIVE),
    "replace_fields": lambda cluster: cluster.replace_fields(LIVE, {"/data/a": "2"}),
    "delete": lambda cluster: cluster.delete("ConfigMap", "dev", "settings"),
}
REPEATED = ("apply", "delete")
CUT = 0
"""No answer at all: the connection ends."""


class Scripted:
    """An API server with one answer after the other, and then the object for ever.

    `answered` is called after each request and before its answer.
    """

    def __init__(self) -> None:
        self.script: list[int] = []
        self.asked: list[str] = []
        self.answered: Callable[[], None] = lambda: None
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            """One request at a time."""

            def handle_one_request(self) -> None:
                """Any method is answered alike."""
                self.raw_requestline = self.rfile.readline(65537)
                if not self.raw_requestline or not self.parse_request():
                    self.close_connection = True
                    return
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                outer.asked.append(self.command)
                status = outer.script.pop(0) if outer.script else 200
                outer.answered()
                if status == CUT:
                    self.close_connection = True
                    return
                failed = {"kind": "Status", "code": status, "message": "not now"}
                body = json.dumps(LIVE if status == 200 else failed).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                """Nothing."""

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True


@pytest.fixture
def server() -> Iterator[Scripted]:
    scripted = Scripted()
    serving = threading.Thread(target=scripted.http.serve_forever, args=(0.01,), daemon=True)
    serving.start()
    yield scripted
    scripted.http.shutdown()
    scripted.http.server_close()
    serving.join()


@pytest.fixture
def west(server: Scripted, tmp_path: Path) -> Iterator[Cluster]:
    path = tmp_path / "kubeconfig"
    path.write_text(
        "{current-context: west, clusters: [{name: c, cluster: {server: 'http://127.0.0.1:"
        f"{server.http.server_port}'" + "}}], users: [{name: u, user: {token: t}}],"
        "contexts: [{name: west, context: {cluster: c, user: u}}]}"
    )
    found = connect("west", kubeconfig=path, timeouts=Timeouts(connect=30, read=30, repeat=60))
    yield found
    found.close()


class Guard:
    """What a run looks at before it writes."""

    def __init__(self) -> None:
        self.asked = 0
        self.stopped = False

    def __call__(self) -> None:
        self.asked += 1
        if self.stopped:
            raise RunLost

    def stop(self) -> None:
        """Somebody presses Stop."""
        self.stopped = True


@pytest.mark.parametrize("status", [429, 503, 504, CUT])
@pytest.mark.parametrize("write", WRITES)
def test_nothing_is_written_after_a_stop_that_comes_between_two_attempts(
    server: Scripted, west: Cluster, write: str, status: int
) -> None:
    guard = Guard()
    server.script = [status]
    server.answered = guard.stop
    with pytest.raises((RunLost, Unavailable)):
        WRITES[write](west.guarded(guard))
    assert len(server.asked) == 1


@pytest.mark.parametrize("write", REPEATED)
def test_the_guard_is_asked_as_often_as_a_write_is_sent(
    server: Scripted, west: Cluster, write: str
) -> None:
    guard = Guard()
    server.script = [503, 429, CUT]
    WRITES[write](west.guarded(guard))
    assert (len(server.asked), guard.asked) == (4, 4)


def test_what_changes_nothing_asks_no_guard(server: Scripted, west: Cluster) -> None:
    guard = Guard()
    guard.stop()
    server.script = [503, 200, 503, 200]
    guarded = west.guarded(guard)
    assert guarded.get("ConfigMap", "dev", "settings") == LIVE
    assert guarded.apply(LIVE, dry_run=True) == LIVE
    assert (len(server.asked), guard.asked) == (4, 0)


def test_a_write_without_a_guard_outlasts_errors_of_a_moment(
    server: Scripted, west: Cluster
) -> None:
    server.script = [503, CUT]
    assert west.apply(LIVE) == LIVE
    assert server.asked == ["PATCH"] * 3


def attempt(west: Cluster, write: str, guard: Guard, unconfirmed: Unconfirmed) -> None:
    with contextlib.suppress(RunLost, GatewayBotError):
        WRITES[write](west.guarded(guard, unconfirmed))


@pytest.mark.parametrize("status", [503, 504, CUT])
@pytest.mark.parametrize("write", WRITES)
def test_a_write_that_may_have_been_carried_out_when_it_failed_is_noted(
    server: Scripted, west: Cluster, write: str, status: int
) -> None:
    guard, unconfirmed = Guard(), Unconfirmed()
    server.script = [status]
    server.answered = guard.stop
    attempt(west, write, guard, unconfirmed)
    assert unconfirmed.names() == ("ConfigMap settings",)


@pytest.mark.parametrize("status", [200, 403, 404, 409, 429])
@pytest.mark.parametrize("write", WRITES)
def test_a_write_whose_end_is_known_is_not_noted(
    server: Scripted, west: Cluster, write: str, status: int
) -> None:
    guard, unconfirmed = Guard(), Unconfirmed()
    server.script = [status]
    server.answered = guard.stop
    attempt(west, write, guard, unconfirmed)
    assert unconfirmed.names() == ()


@pytest.mark.parametrize("write", REPEATED)
@pytest.mark.parametrize("status", [200, 404])
def test_a_write_that_a_repetition_settles_is_noted_no_longer(
    server: Scripted, west: Cluster, write: str, status: int
) -> None:
    unconfirmed = Unconfirmed()
    server.script = [CUT, status]
    attempt(west, write, Guard(), unconfirmed)
    assert len(server.asked) == 2
    assert unconfirmed.names() == ()


def test_a_write_that_was_never_sent_is_not_noted(server: Scripted, west: Cluster) -> None:
    unconfirmed = Unconfirmed()
    server.http.shutdown()
    server.http.server_close()
    with pytest.raises(Unavailable, match="refuses connections"):
        west.guarded(Guard(), unconfirmed).create(LIVE)
    assert unconfirmed.names() == ()


def test_what_an_api_server_no_longer_works_on_is_not_named() -> None:
    now = 0.0
    unconfirmed = Unconfirmed(lambda: now)
    unconfirmed.add("Secret token")
    now = LAND_SECONDS - 1
    assert unconfirmed.names() == ("Secret token",)
    now = LAND_SECONDS
    assert unconfirmed.names() == ()
