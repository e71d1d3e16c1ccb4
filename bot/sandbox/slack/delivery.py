"""How payloads reach the app, whichever transport carries them; faults strike here."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from bot.sandbox.faults import FaultBoard, Switch
from bot.sandbox.slack.model import JSON

DEADLINE_SECONDS = 3.0
EVENT_RETRY_SECONDS = (0.0, 60.0, 300.0)

CLOCKS = ("right", "3 minutes behind", "3 minutes ahead")
_SKEW_SECONDS = dict(zip(CLOCKS, (0.0, -180.0, 180.0), strict=True))
SWITCHES = (
    Switch(
        "rate_limits",
        "Rate limits",
        "toggle",
        False,
        help="Web API methods answer 429 above the rate of their tier",
    ),
    Switch(
        "burst_429",
        "Bursts of 429",
        "toggle",
        False,
        help="Three of every ten Web API calls are refused with Retry-After: 1",
    ),
    Switch(
        "ephemeral_retry_after",
        "Messages for one person: Retry-After (s)",
        "number",
        0.0,
        help="chat.postEphemeral is refused with 429 and this Retry-After",
    ),
    Switch(
        "api_error",
        "Web API error",
        "choice",
        "none",
        ("none", "500", "503", "invalid_auth"),
        help="Every Web API call fails with this HTTP status, or as with a revoked token",
    ),
    Switch(
        "api_latency_ms",
        "Web API latency (ms)",
        "number",
        0.0,
        help="Added to every Web API call; 80 to 400 is usual for Slack",
    ),
    Switch(
        "clock",
        "Slack's clock",
        "choice",
        "right",
        CLOCKS,
        help="By which messages, events and signatures are dated; Slack refuses nothing for it",
    ),
    Switch(
        "drop_sockets",
        "Drop Socket Mode connections",
        "choice",
        "none",
        ("none", "refresh", "disconnect_warning", "tcp_abort", "black_hole"),
        help="Strikes once; a black hole swallows everything until it is set to none, and leaves "
        "ghosts behind",
    ),
    Switch(
        "network_down",
        "No network to Slack",
        "toggle",
        False,
        help="Web API calls fail, Socket Mode connections swallow everything and become ghosts",
    ),
    Switch(
        "ghost_connections",
        "Ghost connections",
        "number",
        0.0,
        help="How many connections count and get their share of everything, and nobody hears them; "
        "each is gone after five hours",
    ),
    Switch(
        "too_many_websockets",
        "Refuse new Socket Mode connections",
        "toggle",
        False,
        help="New connections are told too_many_websockets",
    ),
    Switch(
        "socket_mode_off",
        "Socket Mode switched off",
        "toggle",
        False,
        help="Every connection is told link_disabled and closed; new ones are too",
    ),
    Switch(
        "duplicate_deliveries",
        "Deliver twice",
        "toggle",
        False,
        help="Everything is delivered a second time, marked as retry 1",
    ),
    Switch(
        "delay_delivery_ms",
        "Delay deliveries (ms)",
        "number",
        0.0,
        help="Held back before sending, while trigger ids grow old",
    ),
    Switch(
        "lose_acks",
        "Lose acknowledgements",
        "toggle",
        False,
        help="What the app answers does not arrive",
    ),
    Switch(
        "socket_latency_ms",
        "Socket Mode latency (ms)",
        "number",
        0.0,
        help="What the app sends over Socket Mode arrives that much later",
    ),
)


def skew(faults: FaultBoard) -> float:
    """The seconds by which Slack's clock is ahead of the right one, or behind it."""
    return _SKEW_SECONDS[faults.get("clock")]


Kind = Literal["slash_commands", "interactive", "events_api"]


@dataclass(frozen=True)
class Delivery:
    """One payload on its way to the app."""

    kind: Kind
    payload: JSON
    accepts_response: bool = False
    retry_attempt: int = 0
    retry_reason: str = ""


@dataclass(frozen=True)
class Answer:
    """What came back: the acknowledgement's payload, or the name of the failure."""

    error: str | None = None
    payload: JSON | None = None
    reason: str = ""
    no_retry: bool = False


class Transport(Protocol):
    """Socket Mode or HTTP."""

    @property
    def connections(self) -> int:
        """How many open connections there are (0 for HTTP)."""

    async def send(self, delivery: Delivery) -> Answer:
        """Send and wait for the answer, at most three seconds."""


class Courier:
    """Sends deliveries through the transport, with the faults that are switched on."""

    def __init__(
        self,
        transport: Transport,
        faults: FaultBoard,
        retry_seconds: Sequence[float] = EVENT_RETRY_SECONDS,
    ) -> None:
        self._transport = transport
        self._faults = faults
        self._retry_seconds = retry_seconds
        self._tasks: set[asyncio.Task[None]] = set()

    async def deliver(self, delivery: Delivery) -> Answer:
        """Deliver a command or an interaction: once, within the deadline."""
        if delay := self._faults.get("delay_delivery_ms"):
            await asyncio.sleep(delay / 1000)
        if self._faults.get("duplicate_deliveries"):
            again = replace(
                delivery,
                retry_attempt=delivery.retry_attempt + 1,
                retry_reason="timeout",
            )
            first, _ = await asyncio.gather(
                self._transport.send(delivery), self._transport.send(again)
            )
            return first
        return await self._transport.send(delivery)

    def deliver_event(self, payload: JSON) -> None:
        """Deliver an event in the background, with Slack's three retries."""
        task = asyncio.create_task(self._deliver_event(payload))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Give up what is still being retried."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _deliver_event(self, payload: JSON) -> None:
        answer = await self.deliver(Delivery("events_api", payload))
        for attempt, pause in enumerate(self._retry_seconds, start=1):
            if answer.error is None or answer.no_retry:
                return
            await asyncio.sleep(pause)
            answer = await self.deliver(
                Delivery("events_api", payload, False, attempt, answer.reason or "http_error")
            )
