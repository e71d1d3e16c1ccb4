"""What runs in a container: the door between the node and the programs it plays."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from bot.sandbox.node.containerlog import ContainerLog
from bot.sandbox.node.images import Image


@dataclass(frozen=True)
class Launch:
    """All that a program is started with.

    `claims` maps a mount path to the `namespace/claim` mounted there; `bound` is filled by the
    program when it had to listen on another port than it wanted. `memory` is JSON-able and outlives
    a restart of the node, after which the program is started again with `resumed`, and shows no
    second start-up.
    """

    pod_name: str
    image: Image
    ip: str
    env: Mapping[str, str] = field(repr=False)
    claims: Mapping[str, str]
    log: ContainerLog
    bound: dict[int, int]
    memory: dict[str, Any] = field(repr=False)
    resumed: bool = False


class Program(Protocol):
    """A process of a container."""

    async def run(self) -> int:
        """Live until the end and return the exit code; being cancelled is being killed."""

    def stop(self) -> None:
        """Ask it to end, as SIGTERM does."""


class Pause:
    """Any image but the gateway's: says one line and waits to be stopped, or ends at once."""

    def __init__(self, launch: Launch, *, ends: bool) -> None:
        self._launch = launch
        self._stopped = asyncio.Event()
        if ends:
            self._stopped.set()

    async def run(self) -> int:
        """Wait for stop()."""
        if not self._launch.resumed:
            self._launch.log.write(f"{self._launch.image.reference} started")
        await self._stopped.wait()
        return 0

    def stop(self) -> None:
        """End."""
        self._stopped.set()
