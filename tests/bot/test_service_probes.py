"""What is known of a service that is asked from time to time is what is so now, whatever it does."""

import contextlib
import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import redis
import requests
from slack_sdk import WebClient

from bot.dependencies import Shared
from bot.sandbox.valkey import Valkey
from bot.service_probes import Limits, Outcome, ServiceProbe, judged
from bot.wiring.probing import ask_cluster, ask_slack
from deploy.actions.connection import connect
from deploy.actions.replicas import Replicas
from deploy.azure import ApimInstance, ArmClient
from deploy.deadline import Deadline
from deploy.errors import GatewayBotError, Refused, Unavailable
from deploy.kube.cluster import Cluster
from deploy.kube.cluster import connect as connect_cluster
from deploy.kube.connection import Timeouts
from deploy.waits import Service
from tests.support.ports import free_port
from tests.support.silent_proxy import silent_peer
from tests.support.waiting import until

SLACK = Service("slack")
INSTANCE = ApimInstance("contoso", "s", "g", "contoso", "contoso.example")
REFUSED, GONE = Refused("Go away."), Unavailable("It is away.")


class Clock:
    """Moves when it is told to."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


class Asked:
    """A service that answers or fails as it is told, after so many seconds of the clock."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.takes = 0.0
        self.fails: Exception | None = None

    def __call__(self) -> None:
        self.clock.at += self.takes
        if self.fails is not None:
            raise self.fails


@pytest.mark.parametrize(
    ("seconds", "error", "outcome"),
    [
        (2.0, None, Outcome.OK),
        (2.1, None, Outcome.SLOW),
        (60.0, None, Outcome.SLOW),
        (0.1, REFUSED, Outcome.REFUSING),
        (60.0, REFUSED, Outcome.REFUSING),
        (2.4, GONE, Outcome.UNAVAILABLE),
        (2.5, GONE, Outcome.HANGING),
    ],
)
def test_an_answer_is_judged_by_its_time_and_its_error(
    seconds: float, error: GatewayBotError | None, outcome: Outcome
) -> None:
    assert judged(Limits(), seconds, error)[0] is outcome


def test_an_outage_has_lasted_since_the_first_question_that_met_it() -> None:
    clock = Clock()
    service = Asked(clock)
    probe = ServiceProbe(SLACK, service, Limits(), clock=clock, now=clock)
    assert (probe.condition, probe.words, probe.answers) == (None, "not asked yet", False)
    probe.turn()
    assert probe.words == "ok"
    for at, takes in ((100, 1), (110, 2), (120, 1.5)):
        clock.at, service.takes, service.fails = at, takes, GONE
        probe.turn()
        assert probe.condition is not None
        assert (probe.condition.outcome, probe.condition.since) == (Outcome.UNAVAILABLE, 100)
        assert probe.condition.seconds == takes
    assert probe.words == "unavailable since 1970-01-01 00:01 UTC: It is away."
    clock.at, service.takes, service.fails = 130, 0.5, None
    probe.turn()
    assert probe.words == "ok"


def test_a_question_without_an_answer_hangs_while_it_is_under_way_and_after_it_failed() -> None:
    clock, answered = Clock(), threading.Event()

    def ask() -> None:
        answered.wait(60)
        raise GONE

    probe = ServiceProbe(SLACK, ask, Limits(), period=3600, clock=clock, now=lambda: clock.at)
    clock.at = 100
    asking = threading.Thread(target=probe.turn)
    asking.start()
    clock.at = 107
    assert probe.condition is None, "it may only be slow"
    clock.at = 112
    until(lambda: probe.condition, "the first question")
    assert probe.words == "hanging since 1970-01-01 00:01 UTC: no answer for 12 s."
    answered.set()
    asking.join(60)
    assert probe.words == "hanging since 1970-01-01 00:01 UTC: It is away."
    assert probe.condition is not None
    assert probe.condition.since == 100
    clock.at = 200
    probe.turn()
    assert probe.condition.outcome is Outcome.UNAVAILABLE, "this time it failed at once"


def test_each_change_is_logged_once_and_a_question_that_breaks_ends_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    clock = Clock()
    service = Asked(clock)
    probe = ServiceProbe(Service("azure", "contoso"), service, Limits(), clock=clock)
    for failure in (None, REFUSED, REFUSED, ValueError("odd"), None, None):
        service.fails = failure
        probe.turn()
    said = [record.message for record in caplog.records]
    assert said == [
        "azure contoso is refusing: Go away.",
        "azure contoso could not be asked",
        "azure contoso is unavailable: Asking it failed with ValueError.",
        "azure contoso answers again",
    ]


def test_one_that_hangs_delays_no_other_and_not_the_end_of_the_bot() -> None:
    free, asked = threading.Event(), threading.Event()
    left: list[str] = []
    hanging = ServiceProbe(
        SLACK, lambda: free.wait(120), Limits(), at_end=lambda: left.append("hanging")
    )
    well = ServiceProbe(
        Service("redis"), asked.set, Limits(), period=0.01, at_end=lambda: left.append("well")
    )
    for probe in (hanging, well):
        probe.start()
    until(lambda: well.answers, "the answer of the other one")
    assert all(probe.live for probe in (hanging, well))
    deadline = Deadline.after(100)
    for probe in (hanging, well):
        probe.stop(deadline)
    assert deadline.left > 30
    until(lambda: left == ["well"], "the end of the other one")
    free.set()


@contextlib.contextmanager
def http(answer: Callable[[str], tuple[int, Any]]) -> Iterator[str]:
    """A server on a real port that answers a path so; its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answer(self.path)
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(text)

        do_POST = do_GET  # noqa: N815  # as http.server looks for it

        def log_message(self, format: str, *args: Any) -> None:
            """Not on the test's output."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def outcome_of(ask: Callable[[], object], limits: Limits | None = None) -> Outcome:
    """What one question comes to."""
    probe = ServiceProbe(SLACK, ask, limits or Limits(slow=30, silent=30, hanging=30))
    probe.turn()
    assert probe.condition is not None
    return probe.condition.outcome


SOON = Limits(slow=0.0, silent=0.2, hanging=0.2)
"""For services that do not answer: every failure took longer."""


def slack(url: str) -> Callable[[], None]:
    """Asks a Slack there."""
    return lambda: ask_slack(WebClient(token="xoxb-x", base_url=f"{url}/", timeout=1))


def azure(url: str, timeout: tuple[float, float] = (1, 1)) -> Callable[[], None]:
    """Asks an Azure there, signed in already."""
    credential: Any = type(
        "Signed", (), {"get_token": lambda self, *s: type("T", (), {"token": "t"})}
    )()
    arm = ArmClient(requests.Session(), credential, endpoint=url, timeout=timeout).asking_once()
    return lambda: arm.reach(INSTANCE)


_SHORT = Timeouts(1, 1, 0.1)


def cluster(url: str, tmp_path: Path, timeouts: Timeouts = _SHORT) -> Callable[[], None]:
    """Asks a cluster there."""
    return lambda: ask_cluster(_cluster(url, tmp_path, timeouts))


def _cluster(url: str, tmp_path: Path, timeouts: Timeouts) -> Cluster:
    config = {
        "clusters": [{"name": "west", "cluster": {"server": url}}],
        "contexts": [{"name": "west", "context": {"cluster": "west", "user": "u"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "current-context": "west",
    }
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(config))
    path.chmod(0o600)
    return connect_cluster("west", kubeconfig=path, timeouts=timeouts)


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (200, {"ok": True}, Outcome.OK),
        (200, {"ok": False, "error": "invalid_auth"}, Outcome.REFUSING),
        (200, {"ok": False, "error": "missing_scope"}, Outcome.REFUSING),
        (429, {"ok": False, "error": "ratelimited"}, Outcome.REFUSING),
        (503, {"ok": False, "error": "service_unavailable"}, Outcome.UNAVAILABLE),
    ],
)
def test_slack_is_as_it_answers_auth_test(status: int, body: Any, outcome: Outcome) -> None:
    asked: list[str] = []

    def answer(path: str) -> tuple[int, Any]:
        asked.append(path)
        return status, body

    with http(answer) as url:
        assert outcome_of(slack(url)) is outcome
    assert asked == ["/auth.test"]


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Outcome.OK),
        (401, Outcome.REFUSING),
        (403, Outcome.REFUSING),
        (429, Outcome.REFUSING),
        (503, Outcome.UNAVAILABLE),
    ],
)
def test_azure_is_as_it_answers_a_list_of_one_gateway(status: int, outcome: Outcome) -> None:
    asked: list[str] = []

    def answer(path: str) -> tuple[int, Any]:
        asked.append(path)
        return status, {"value": [], "error": {"code": "x", "message": "y"}}

    with http(answer) as url:
        assert outcome_of(azure(url)) is outcome
    (path,) = asked
    assert "/gateways?" in path
    assert "top=1" in path


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Outcome.OK),
        (401, Outcome.REFUSING),
        (403, Outcome.OK),
        (429, Outcome.REFUSING),
        (503, Outcome.UNAVAILABLE),
    ],
)
def test_a_cluster_is_as_it_answers_for_its_version(
    tmp_path: Path, status: int, outcome: Outcome
) -> None:
    with http(lambda path: (status, {"gitVersion": "v1.36.0"})) as url:
        assert outcome_of(cluster(url, tmp_path)) is outcome, "403 only hides the version"


@pytest.mark.parametrize("which", ["slack", "azure", "cluster"])
def test_nobody_at_a_port_is_told_from_somebody_who_never_answers(
    tmp_path: Path, which: str
) -> None:
    def asking(port: int) -> Callable[[], object]:
        url = f"http://127.0.0.1:{port}"
        return {"slack": slack(url), "azure": azure(url), "cluster": cluster(url, tmp_path)}[which]

    assert outcome_of(asking(free_port())) is Outcome.UNAVAILABLE
    with silent_peer() as port:
        assert outcome_of(asking(port), SOON) is Outcome.HANGING


@pytest.mark.parametrize("which", ["azure", "cluster"])
def test_a_service_that_hangs_in_the_handshake_hangs_by_the_limits_of_the_bot(
    tmp_path: Path, which: str
) -> None:
    with silent_peer() as port:
        url = f"https://127.0.0.1:{port}"
        asking = {
            "azure": azure(url, timeout=(5, 20)),
            "cluster": cluster(url, tmp_path, Timeouts()),
        }[which]
        assert outcome_of(asking, Limits()) is Outcome.HANGING


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    server = Valkey(tmp_path / "redis")
    server.start()
    yield server
    server.stop()


def reporting(url: str) -> Callable[[], None]:
    """Asks a Redis there, as the bot does."""
    client = connect(url, timeout=1.0, retries=1, retry_timeouts=False)
    return Shared(Replicas(client, "bot", "aa")).report


def test_redis_that_forbids_commands_or_rejects_the_password_refuses(valkey: Valkey) -> None:
    ask = reporting(valkey.url)
    assert outcome_of(ask) is Outcome.OK
    admin = redis.Redis.from_url(valkey.url)
    admin.execute_command("ACL", "SETUSER", "admin", "on", ">secret", "~*", "+@all")
    admin.execute_command("ACL", "SETUSER", "default", "-@all")
    assert outcome_of(ask) is Outcome.REFUSING
    admin = redis.Redis.from_url(valkey.url, username="admin", password="secret")
    admin.execute_command("ACL", "SETUSER", "default", "+@all", "resetpass", ">other")
    assert outcome_of(reporting(valkey.url)) is Outcome.REFUSING
    admin.execute_command("ACL", "SETUSER", "default", "nopass")
    assert outcome_of(ask) is Outcome.OK


def test_redis_that_takes_no_writes_is_unavailable(valkey: Valkey) -> None:
    ask = reporting(valkey.url)
    admin = redis.Redis.from_url(valkey.url)
    admin.config_set("maxmemory", "1")
    assert outcome_of(ask) is Outcome.UNAVAILABLE
    admin.config_set("maxmemory", "0")
    assert outcome_of(ask) is Outcome.OK


def test_redis_that_is_away_is_unavailable_and_one_that_never_answers_hangs() -> None:
    assert outcome_of(reporting(f"redis://127.0.0.1:{free_port()}")) is Outcome.UNAVAILABLE
    with silent_peer() as port:
        assert outcome_of(reporting(f"redis://127.0.0.1:{port}"), SOON) is Outcome.HANGING


def test_a_service_that_answers_late_is_slow() -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def late() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                body = b'{"ok": true}'
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                    b"Content-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(body), body)
                )

        threading.Thread(target=late, daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        assert outcome_of(slack(url), Limits(slow=0.0)) is Outcome.SLOW
