"""`python -m bot.sandbox`: run a world, and print one JSON line when it is ready."""

import argparse
import asyncio
import json
import logging
import signal
import sys
from pathlib import Path

from bot.sandbox.assembly import Plan, Running
from bot.sandbox.node.api import ApiError, ApiUnreachableError
from bot.sandbox.world import DEFAULT, World, WorldError


def main() -> int:
    """Run until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m bot.sandbox")
    parser.add_argument("--data", type=Path, required=True, help="where everything is kept")
    parser.add_argument("--port", type=int, default=0, help="of the page; 0 takes any free one")
    parser.add_argument("--world", type=Path, default=DEFAULT, help="the world file")
    parser.add_argument("--kubeconfig", type=Path, help="use these clusters")
    parser.add_argument("--slack-mode", choices=("socket", "http"), default="socket")
    parser.add_argument("--bot-url", help="where HTTP mode delivers")
    given = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        world = World.load(given.world)
    except WorldError as error:
        print(f"the world file is wrong: {error}", file=sys.stderr)
        return 1
    plan = Plan(world, given.data, given.port, given.slack_mode, given.bot_url, given.kubeconfig)
    try:
        asyncio.run(_run(plan))
    except (OSError, ValueError, ApiError, ApiUnreachableError) as error:
        print(f"the demo cannot start: {error}", file=sys.stderr)
        return 1
    return 0


async def _run(plan: Plan) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    running = Running(plan)
    try:
        print(json.dumps(await running.start()), flush=True)
        await ended.wait()
    finally:
        await running.stop()


if __name__ == "__main__":
    sys.exit(main())
