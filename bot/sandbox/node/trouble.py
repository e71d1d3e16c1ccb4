"""The node's fault switches, and a way to wait until one of them moves."""

import asyncio

from bot.sandbox.faults import FaultBoard, Switch


class Trouble:
    """The fault board of one node part, awaitable."""

    def __init__(self, context: str) -> None:
        self.board = FaultBoard(f"node {context}", SWITCHES)
        self._waiters: set[asyncio.Future[None]] = set()
        self.board.on_change(self._wake)

    def on(self, name: str) -> bool:
        """Whether a toggle is on."""
        return bool(self.board.get(name))

    def number(self, name: str) -> float:
        """The value of a number switch."""
        return float(self.board.get(name))

    def crashing(self, *, init: bool) -> bool:
        """Whether containers crash, or init containers."""
        return self.board.get("crash_loop") in ("all", "init" if init else "all")

    @property
    def joined_records(self) -> str:
        """How two log records come to stand on one line: not, glued or interleaved."""
        return str(self.board.get("joined_records"))

    async def changed(self) -> None:
        """Return when any switch has been moved."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)

    async def while_on(self, name: str) -> None:
        """Return when the toggle is off."""
        while self.on(name):
            await self.changed()

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)


SWITCHES = (
    Switch(
        "link_lost",
        "Lost link to Azure",
        "toggle",
        False,
        help="Polls of the configuration endpoint time out.",
    ),
    Switch(
        "dns_broken",
        "DNS broken",
        "toggle",
        False,
        help="The configuration endpoint's name does not resolve.",
    ),
    Switch(
        "crash_loop",
        "Containers crash",
        "choice",
        "none",
        choices=("none", "all", "init"),
        help="Each container, or each init container, ends with exit code 134 soon after its start.",
    ),
    Switch(
        "oom",
        "Out of memory",
        "toggle",
        False,
        help="Each container is OOMKilled soon after its start.",
    ),
    Switch(
        "frozen",
        "Gateways frozen",
        "toggle",
        False,
        help="Gateways neither answer HTTP, nor log, nor poll; probes time out.",
    ),
    Switch(
        "image_pull_fails",
        "Image pulls fail",
        "toggle",
        False,
        help="The registry answers the node with 503.",
    ),
    Switch(
        "slow_start_seconds",
        "Slow start (seconds)",
        "number",
        0.0,
        help="How much longer a gateway takes until it listens.",
    ),
    Switch(
        "not_ready",
        "Gateways not ready",
        "toggle",
        False,
        help="The status path answers 503 although configuration is loaded.",
    ),
    Switch(
        "joined_records",
        "Two log records on a line",
        "choice",
        "none",
        choices=("none", "glued", "interleaved"),
        help="Gateways write two records on one line, as issues 384 and 278 of the gateway have it.",
    ),
    Switch(
        "chatter",
        "Extra log lines a second",
        "number",
        0.0,
        help="Each gateway logs this many request lines a second.",
    ),
)
