"""Work on other threads of which nobody may read how it ended."""

import logging
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, ParamSpec, TypeVar

from deploy.errors import GatewayBotError
from deploy.log_context import carried

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger(__name__)


def begin(pool: Executor, work: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
    """Have it done. What it raises, which nobody else sees, goes to the log, about what this is about."""
    pool.submit(carried(work), *args, **kwargs).add_done_callback(carried(_report))


def reported(future: Future[T]) -> Future[T]:
    """The same, for whoever may not wait until it is done: an error that nobody expects goes to the
    log all the same."""
    future.add_done_callback(carried(_report_unexpected))
    return future


def _report(future: Future[Any]) -> None:
    if not future.cancelled() and (error := future.exception()) is not None:
        log.error("work in the background failed", exc_info=error)


def _report_unexpected(future: Future[T]) -> None:
    if not future.cancelled() and not isinstance(future.exception(), GatewayBotError):
        _report(future)
