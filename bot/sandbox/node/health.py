"""A running container's probes together: startup first, then readiness and liveness."""

import asyncio
from collections.abc import Callable

from bot.sandbox.node.api import Json
from bot.sandbox.node.probes import Prober
from bot.sandbox.node.pull import RecordEvent


async def watch_health(
    spec: Json,
    prober: Prober,
    *,
    started: bool,
    ready: bool,
    report: Callable[[bool, bool], None],
    event: RecordEvent,
) -> str:
    """Probe until the container has to be killed; returns the Killing event's message.

    `report(started, ready)` is called with each result; `started` and `ready` are where it stands.
    """
    killed: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def kill_unless(well: bool, kind: str) -> None:
        if not well and not killed.done():
            killed.set_result(f"Container {spec['name']} failed {kind} probe, will be restarted")

    async def probe(kind: str, on_result: Callable[[bool], None], *, once: bool = False) -> None:
        definition = spec.get(f"{kind}Probe")
        if definition is not None:
            await prober.run(
                definition,
                on_result=on_result,
                on_failure=lambda text: event(
                    "Unhealthy", f"{kind.capitalize()} probe failed: {text}", warning=True
                ),
                once=once,
            )

    async def watch() -> None:
        if not started:
            await probe("startup", lambda well: kill_unless(well, "startup"), once=True)
        report(True, ready or "readinessProbe" not in spec)
        async with asyncio.TaskGroup() as group:
            group.create_task(probe("readiness", lambda well: report(True, well)))
            group.create_task(probe("liveness", lambda well: kill_unless(well, "liveness")))

    watching = asyncio.create_task(watch())
    try:
        return await killed
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
