"""`gateway-bot run`: the bot as it runs in production."""

import gc
import logging
import os
import signal
import threading
from pathlib import Path

from bot.settings import load_secrets, load_settings

_COLLECTIONS = (100_000, 20, 10)
"""Reading a cluster's list makes millions of objects of which none is garbage; looking for some
after every 700 of them trebles the time that takes."""


def collect_less() -> None:
    """Let Python look for garbage less often."""
    gc.set_threshold(*_COLLECTIONS)


def run(config: Path, log_level: str) -> int:
    """Run until SIGTERM or SIGINT, then stop in good order."""
    logging.basicConfig(
        level=log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    collect_less()
    settings = load_settings(config)
    secrets = load_secrets(settings)
    # Bolt reads this one by itself and then warns that it was given a client as well.
    os.environ.pop("SLACK_BOT_TOKEN", None)

    from bot.app import Bot  # after the settings: a mistake in them is told without the wait

    bot = Bot(settings, secrets)
    # All that was imported stays, so it need not be looked through while a cluster is read.
    gc.freeze()
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    bot.start()
    print(f"ready, health at port {bot.health.port}", flush=True)
    ended.wait()
    bot.stop()
    return 0
