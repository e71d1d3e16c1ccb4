"""What is measured must not depend on the measuring."""

import functools
import logging
from collections.abc import Callable
from typing import ParamSpec

P = ParamSpec("P")

log = logging.getLogger(__name__)


def guarded(observe: Callable[P, object]) -> Callable[P, None]:
    """The observer, for whoever does the work that it observes: whatever it raises is logged, once, and
    the work continues."""
    failed = False

    @functools.wraps(observe)
    def observed(*args: P.args, **named: P.kwargs) -> None:
        nonlocal failed
        try:
            observe(*args, **named)
        except Exception:  # a label that Prometheus does not accept, for one
            if not failed:
                log.exception("metrics are incomplete: %s failed", observe)
            failed = True

    return observed
