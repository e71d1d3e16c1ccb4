"""A container's probes end with it."""

import asyncio
import socket
import time

import aiohttp

from bot.sandbox.node.probes import Prober, Target

_SECONDS = 0.5


def test_a_probe_whose_time_runs_out_as_it_is_cancelled_ends() -> None:
    async def ends() -> bool:
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = silent.getsockname()[1]
            async with aiohttp.ClientSession() as session:
                prober = Prober(session, Target("127.0.0.1", {}, {}), 1.0)
                probe = {"httpGet": {"port": port}, "timeoutSeconds": _SECONDS}
                probing = asyncio.create_task(
                    prober.run(probe, on_result=lambda well: None, on_failure=lambda text: None)
                )
                begun = loop.time()
                loop.call_at(begun + _SECONDS - 0.1, time.sleep, 0.2)
                # Due with the time-out, and after it.
                loop.call_at(begun + _SECONDS + 0.05, probing.cancel)
                done, _ = await asyncio.wait([probing], timeout=30)
                probing.cancel()
                return probing in done

    assert asyncio.run(ends())
