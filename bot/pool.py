"""A pool of threads that is a part of the bot."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from deploy.background import reported
from deploy.deadline import Deadline
from deploy.log_context import carried

P = ParamSpec("P")
T = TypeVar("T")


class Pool(ThreadPoolExecutor):
    """Its threads start with what they are given to do."""

    def __init__(self, workers: int, name: str) -> None:
        super().__init__(workers, thread_name_prefix=name)
        self._open = True

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """As an executor does; an error that nobody expects is logged, whoever waits for it."""
        return reported(super().submit(carried(fn), *args, **kwargs))

    def start(self) -> None:
        """Nothing: see above."""

    def stop(self, deadline: Deadline) -> None:
        """Take nothing more, drop what has not started, and wait for the rest."""
        self._open = False
        deadline.wait_for(partial(self.shutdown, cancel_futures=True))

    @property
    def live(self) -> bool:
        """Whether it takes work."""
        return self._open
