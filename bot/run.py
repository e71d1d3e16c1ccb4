"""`gateway-bot run`: the bot as it runs in production."""

import gc
import logging
import os
import signal
import sys
import threading
from pathlib import Path

from bot.settings import load_secrets, load_settings
from deploy.deadline import Deadline

log = logging.getLogger(__name__)

_STOP_SECONDS = 25.0
"""Kubernetes kills what has not ended after 30, unless it is told otherwise."""
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
    bot.stop(Deadline.after(_STOP_SECONDS))
    _leave_what_hangs()
    return 0


def _leave_what_hangs() -> None:
    """End at once where a thread has not: Python would wait for it for ever. What it was at is
    durable, and another bot's."""
    main = threading.main_thread()
    hanging = [t.name for t in threading.enumerate() if t is not main and not t.daemon]
    if hanging:
        log.warning("not waited for: %s", ", ".join(sorted(hanging)))
        logging.shutdown()
        sys.stdout.flush()
        os._exit(0)
