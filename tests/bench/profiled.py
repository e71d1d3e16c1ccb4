"""The bot with a profile of each of its threads, by the time of a processor that each took.

SIGUSR1 writes what was added since the last one, summed over all threads, to the next file of the folder that
GATEWAY_BOT_PROFILES names.
"""

import cProfile
import itertools
import os
import pstats
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any, cast

from bot.run import run


class Profiles:
    """One for each thread that ever ran."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._numbers = itertools.count()
        self._all: list[cProfile.Profile] = []

    def follow(self) -> None:
        """Profile this thread and each that starts from now on."""
        profiles, work = self, threading.Thread.run

        def profiled(thread: threading.Thread) -> None:
            profile = profiles.begun()
            try:
                work(thread)
            finally:
                profile.disable()

        threading.Thread.run = profiled  # type: ignore[assignment, method-assign]
        signal.signal(signal.SIGUSR1, self._write)

    def begun(self) -> cProfile.Profile:
        """That of the thread that calls it."""
        profile = cProfile.Profile(time.thread_time)
        self._all.append(profile)
        profile.enable()
        return profile

    def _write(self, *_: Any) -> None:
        merged = pstats.Stats()
        for profile in list(self._all):
            snapshot = _Snapshot(profile)
            if snapshot.stats:  # pstats refuses one without
                merged.add(pstats.Stats(cast(Any, snapshot)))
            profile.clear()
        path = self._directory / f"{next(self._numbers)}.prof"
        merged.dump_stats(path.with_suffix(".part"))
        path.with_suffix(".part").rename(path)


class _Snapshot:
    """A profile as pstats reads it, without an end to it: its thread goes on."""

    def __init__(self, profile: cProfile.Profile) -> None:
        profile.snapshot_stats()
        self.stats: Any = profile.stats  # set by snapshot_stats

    def create_stats(self) -> None:
        """It has them."""


def main() -> None:
    """`run --config PATH …`."""
    profiles = Profiles(Path(os.environ["GATEWAY_BOT_PROFILES"]))
    profiles.follow()
    options = sys.argv[1:]
    sys.exit(run(Path(options[options.index("--config") + 1]), "error"))


if __name__ == "__main__":
    main()
