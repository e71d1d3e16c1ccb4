"""`gateway-bot run`: the bot as it runs in production."""

import errno
import gc
import logging
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from bot.log_lines import Format, Mask, log_as
from bot.problems import UnusableSettings
from bot.settings import load_all
from bot.start_line import known_secrets, start_line
from deploy.deadline import Deadline
from deploy.errors import GatewayBotError, Unavailable

log = logging.getLogger(__name__)

_STOP_SECONDS = 24.0
"""It is gone within 25; Kubernetes kills what has not ended after 30, unless told otherwise."""
_FAILED_SECONDS = 5.0
"""A bot that cannot start has taken nothing on that would need more."""
_COLLECTIONS = (100_000, 20, 10)
"""Reading a cluster's list makes millions of objects of which none is garbage; looking for some
after every 700 of them trebles the time that takes."""
_AT_ONCE = 130
"""The exit status of what Ctrl-C has ended, by custom: 128 and the signal's number."""


_SWITCH_SECONDS = 0.0005
"""Python lets a thread compute for 5 ms before another one may; an ack has a dozen such turns."""


def collect_less() -> None:
    """Let Python look for garbage less often."""
    gc.set_threshold(*_COLLECTIONS)


def run(config: Path, log_level: str, log_format: Format = "text") -> int:
    """Run until SIGTERM or SIGINT, then stop in good order; a SIGINT after that ends it at once. The
    exit status is 2 where the settings cannot be used and 1 where the bot cannot start for another
    reason, which is the last line of the log."""
    ends: SimpleQueue[Deadline | None] = SimpleQueue()
    # First of all: as process 1 of a container it would not even end by a signal without a handler.
    _listen(ends)
    log_as(log_format, log_level, Mask())
    collect_less()
    try:
        _run(config, log_level, log_format, ends)
    except UnusableSettings as error:
        if log_format == "text":
            raise  # as every other command reports it
        log.critical("%s", error, extra={"event": "start"})
        status = 2
    except GatewayBotError as error:
        log.critical("the bot cannot start: %s", error, extra={"event": "start"})
        status = 1
    else:
        status = 0
    _leave_what_hangs(status)
    return status


def _run(
    config: Path, log_level: str, log_format: Format, ends: "SimpleQueue[Deadline | None]"
) -> None:
    sys.setswitchinterval(_SWITCH_SECONDS)
    settings, secrets = load_all(config)
    mask = Mask(known_secrets(settings, secrets))
    log_as(log_format, log_level, mask)
    log.info(start_line(settings, secrets), extra={"event": "start"})
    # No program that the bot runs for a cluster's credentials needs it.
    for name in [name for name in os.environ if name.upper() == "SLACK_BOT_TOKEN"]:
        del os.environ[name]

    from bot.app import Bot  # after the settings: a mistake in them is reported without the wait

    try:
        bot = Bot(settings, secrets, hide=mask.hide)
    except OSError as error:
        raise _in_words(error) from error
    # All that was imported stays, so it need not be looked through while a cluster is read.
    gc.freeze()
    if not ends.empty():
        # It was loaded so slowly that the time for its end may be over. Nothing was begun.
        log.info("told to end before it had started")
        bot.stop(ends.get() or Deadline.after(0))
        return
    # Starting waits for Slack, and a signal must not wait for that.
    starter = ThreadPoolExecutor(1, thread_name_prefix="start")
    started = starter.submit(bot.start)
    started.add_done_callback(lambda _: ends.put(None))
    starter.shutdown(wait=False)
    end = ends.get()
    if end is None:
        failed = started.exception()
        if failed is not None:
            bot.stop(Deadline.after(_FAILED_SECONDS))
            if isinstance(failed, OSError):
                raise _in_words(failed) from failed
            raise failed
        # In one piece: the log, which goes the same way, must not get between a line and its end.
        sys.stdout.write(f"ready, health at port {bot.health.port}\n")
        sys.stdout.flush()
        end = ends.get()
    assert end is not None
    bot.stop(end)


def _in_words(error: OSError) -> Unavailable:
    """What the operating system refused, such as a port that is in use."""
    what = error.strerror or str(error) or type(error).__name__
    remedy = ""
    if error.errno == errno.EADDRINUSE:
        remedy = "Choose another port in the settings, or end what listens there."
    return Unavailable(f"{what}.", remedy=remedy)


def _listen(ends: "SimpleQueue[Deadline | None]") -> None:
    """Put the moment by which all has to be over into `ends` at the first signal."""
    told = False

    def on_signal(number: int, _: object) -> None:
        nonlocal told
        if not told:
            told = True
            # The only kind of queue that may be filled from a signal's handler.
            ends.put(Deadline.after(_STOP_SECONDS))
        elif number == signal.SIGINT:
            # Somebody at a terminal who does not want to wait. A second SIGTERM says nothing new:
            # some supervisors send it to a process and to its group.
            os._exit(_AT_ONCE)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)


def _leave_what_hangs(status: int) -> None:
    """End at once, with that exit status, where a thread has not: Python would wait for it for ever.
    What it was at is durable, and another bot's."""
    main = threading.main_thread()
    hanging = [t.name for t in threading.enumerate() if t is not main and not t.daemon]
    if hanging:
        # After a failed start its cause stays the last line.
        level = logging.DEBUG if status else logging.WARNING
        log.log(level, "not waited for: %s", ", ".join(sorted(hanging)))
        logging.shutdown()
        sys.stdout.flush()
        os._exit(status)
