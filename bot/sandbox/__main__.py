"""`python -m bot.sandbox`: run a world, and print one JSON line when it is ready."""

import argparse
import asyncio
import errno
import json
import logging
import os
import signal
import sys
import threading
from pathlib import Path

from bot.sandbox.assembly import Plan, Running
from bot.sandbox.locks import InUseError
from bot.sandbox.node.api import ApiError, ApiUnreachableError
from bot.sandbox.snapshots import SnapshotError
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
    parser.add_argument("--bot-options-url", help="where HTTP mode asks for a select's options")
    parser.add_argument("--event-grid-url", help="where Azure tells of tokens that expire")
    parser.add_argument(
        "--with-parent", action="store_true", help="stop when standard input closes"
    )
    given = parser.parse_args()
    if given.slack_mode == "http" and not given.bot_url:
        parser.error("--slack-mode http needs --bot-url")
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        world = World.load(given.world)
    except WorldError as error:
        print(f"the world file is wrong: {error}", file=sys.stderr)
        return 1
    plan = Plan(
        world=world,
        data=given.data.absolute(),
        port=given.port,
        mode=given.slack_mode,
        bot_url=given.bot_url,
        bot_options_url=given.bot_options_url,
        event_grid_url=given.event_grid_url,
        foreign_kubeconfig=given.kubeconfig and given.kubeconfig.absolute(),
    )
    try:
        asyncio.run(_run(plan, with_parent=given.with_parent))
    except InUseError:
        print(f"the demo cannot start: {given.data} is in use by another demo", file=sys.stderr)
        return 1
    except (SnapshotError, OSError, ValueError, ApiError, ApiUnreachableError) as error:
        print(f"the demo cannot start: {error}", file=sys.stderr)
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            print("choose another port: make demo DEMO_ARGS='--port 3001'", file=sys.stderr)
        return 1
    return 0


async def _run(plan: Plan, *, with_parent: bool) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    if with_parent:
        threading.Thread(target=_end_with_input, args=(loop, ended), daemon=True).start()
    running = Running(plan)
    try:
        # In one piece, as others may write to the same place.
        sys.stdout.write(f"{json.dumps(await running.start())}\n")
        sys.stdout.flush()
        await ended.wait()
    finally:
        await running.stop()


def _end_with_input(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    # Not sys.stdin: its lock, held by a daemon thread, would stop the interpreter from ending.
    while os.read(0, 1024):
        pass
    loop.call_soon_threadsafe(ended.set)


if __name__ == "__main__":
    sys.exit(main())
