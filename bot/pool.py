"""A pool of threads that is a part of the bot."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

from deploy.deadline import Deadline


class Pool(ThreadPoolExecutor):
    """Its threads start with what they are given to do."""

    def __init__(self, workers: int, name: str) -> None:
        super().__init__(workers, thread_name_prefix=name)
        self._open = True

    def start(self) -> None:
        """Nothing: see above."""

    def stop(self, deadline: Deadline) -> None:
        """Take nothing more, drop what has not begun, and wait for the rest."""
        self._open = False
        deadline.wait_for(partial(self.shutdown, cancel_futures=True))

    @property
    def live(self) -> bool:
        """Whether it takes work."""
        return self._open
