"""A whole bot in HTTP mode under attack: commands are answered throughout, and its memory stays."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.support.demo import Demo
from tests.support.waiting import until

MB = 1024 * 1024
GROWTH = 20 * MB
_SETTLING = 1.0
FORGED = (
    "Host: bot\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    f"X-Slack-Request-Timestamp: {{now}}\r\nX-Slack-Signature: v0={'0' * 64}\r\n"
)
"""What passes for signed until the body has been read."""

pytestmark = pytest.mark.timeout(600)


@dataclass(frozen=True)
class Target:
    """A bot, and one of the ports that it listens on."""

    demo: Demo
    port: int
    path: str

    def head(self, more: str = "") -> bytes:
        """A request but for its body."""
        forged = FORGED.format(now=int(time.time()))
        return f"POST {self.path} HTTP/1.1\r\n{forged}{more}\r\n".encode()

    def connects(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), 20)

    def answers(self) -> bool:
        """Whether a command is answered."""
        return bool(self.demo.person("ana").types("help")["ok"])


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    demo = Demo(tmp_path_factory.mktemp("attacked"), "--slack-mode", "http")
    for _ in range(20):
        assert demo.person("ana").types("help")["ok"]
    yield demo
    demo.stop()


@pytest.fixture(params=["slack", "event grid"])
def target(request: pytest.FixtureRequest, demo: Demo) -> Target:
    settings = yaml.safe_load((demo.data / "gateway-bot.yaml").read_text())
    listening = settings["slack"]["http"] if request.param == "slack" else settings["event_grid"]
    return Target(demo, listening["port"], listening["path"])


@contextmanager
def growing_little(demo: Demo) -> Iterator[None]:
    """The bot's memory at its highest is hardly more than before, and it is the same process."""
    process = Path("/proc") / str(demo.bot_pid())

    def field(name: str) -> int:
        found = next(
            line for line in (process / "status").read_text().splitlines() if line.startswith(name)
        )
        return int(found.split()[1]) * 1024

    def settled() -> bool:
        begun = field("VmRSS")
        time.sleep(_SETTLING)
        return abs(field("VmRSS") - begun) < MB / 4

    # A bot that has just started still grows by itself.
    until(settled, "a bot that does not grow", 90)
    (process / "clear_refs").write_text("5")  # the highest begins anew: proc(5)
    before = field("VmRSS")
    yield
    grown = field("VmHWM") - before
    assert grown < GROWTH, f"{grown / MB:.1f} MB more"
    assert demo.bot_pid() == int(process.name)


@contextmanager
def meanwhile(attack: Callable[[], None], attackers: int) -> Iterator[None]:
    """So many go on with the attack for the length of the block."""
    over = threading.Event()

    def again() -> None:
        while not over.is_set():
            try:
                attack()
            except OSError:
                continue

    threads = [threading.Thread(target=again) for _ in range(attackers)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def pours(target: Target, head: bytes, piece: bytes, total: int) -> int:
    """Send that much, as far as it is taken; how much that was."""
    sent = 0
    with target.connects() as made:
        try:
            made.sendall(head)
            while sent < total:
                made.sendall(piece)
                sent += len(piece)
        except OSError:
            return sent
    return sent


@pytest.mark.parametrize(
    ("framing", "piece"),
    [
        (f"Content-Length: {300 * MB}\r\n", b"x" * 65536),
        ("Transfer-Encoding: chunked\r\n", b"10000\r\n" + b"x" * 65536 + b"\r\n"),
    ],
)
def test_three_hundred_megabytes_that_nobody_signed(
    target: Target, framing: str, piece: bytes
) -> None:
    log = len(target.demo.lines)
    with growing_little(target.demo):
        with meanwhile(lambda: None, 0):
            pours(target, target.head(framing), piece, 300 * MB)
        assert target.answers()
    assert sum(len(line) for line in target.demo.lines[log:]) < 10_000


def test_three_hundred_bodies_of_a_megabyte_that_nobody_signed(target: Target) -> None:
    head = target.head(f"Content-Length: {MB}\r\n")
    with growing_little(target.demo):
        for _ in range(300):
            pours(target, head, b"x" * MB, MB)
        assert target.answers()


def test_many_bodies_at_once_of_which_the_last_byte_never_comes(target: Target) -> None:
    head = target.head(f"Content-Length: {MB}\r\n")
    with growing_little(target.demo), ExitStack() as stack:
        for number in range(100):
            made = stack.enter_context(target.connects())
            try:
                made.sendall(head)
                made.sendall(b"x" * (MB - 1))
            except OSError:
                continue
            assert number % 10 or target.answers()


@pytest.mark.parametrize(
    ("more", "drop"),
    [("", b"A: b\r\n"), ("Content-Length: 1000000\r\n", b"x"), (None, b"")],
)
def test_two_hundred_connections_that_trickle(
    target: Target, more: str | None, drop: bytes
) -> None:
    start = b"" if more is None else target.head(more) if more else target.head()[:-2]
    with growing_little(target.demo), ExitStack() as stack:
        slow = [stack.enter_context(target.connects()) for _ in range(200)]
        for made in slow:
            made.sendall(start)

        def trickle() -> None:
            for made in slow:
                try:
                    made.sendall(drop)
                except OSError:
                    continue
            time.sleep(0.05)

        with meanwhile(trickle, 1):
            for _ in range(30):
                assert target.answers()


def test_a_thousand_idle_connections(target: Target) -> None:
    with growing_little(target.demo), ExitStack() as stack:
        for number in range(1000):
            stack.enter_context(target.connects())
            assert number % 100 or target.answers()
        assert target.answers()


def test_connections_that_come_and_go_as_fast_as_they_can(target: Target) -> None:
    def attack() -> None:
        with target.connects() as made:
            made.sendall(os.urandom(200))

    with growing_little(target.demo), meanwhile(attack, 2):
        for _ in range(20):
            assert target.answers()
