"""What a proof finds: a line for a person, and the same for a program."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as StillRunning
from dataclasses import dataclass
from enum import StrEnum

from bot.doubt import Doubtful
from deploy.errors import GatewayBotError

log = logging.getLogger(__name__)

_SECONDS = 60.0
"""For so long a proof is waited for; its clients give up sooner, each within its own bound."""


class Status(StrEnum):
    """Whether something works, works but not as it should, or does not work."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Result:
    """One thing that was proved: what was found, or what is wrong, what that means and what to do."""

    name: str
    status: Status
    detail: str
    remedy: str = ""


Prove = Callable[[], Sequence[Result]]
"""Proves one service. What it raises is the one result; of several faults it returns each."""
Find = Callable[[], str]
"""What is found where it works. Raises Doubtful, or another error of deploy.errors."""


def ok(name: str, detail: str) -> Result:
    """It works."""
    return Result(name, Status.OK, detail)


def warn(name: str, detail: str, remedy: str) -> Result:
    """It works, but not as it should."""
    return Result(name, Status.WARN, detail, remedy)


def fail(name: str, detail: str, remedy: str) -> Result:
    """It does not work."""
    return Result(name, Status.FAIL, detail, remedy)


def wrong(name: str, error: GatewayBotError) -> Result:
    """The same from an error."""
    status = Status.WARN if isinstance(error, Doubtful) else Status.FAIL
    return Result(name, status, _joined(error.happened, error.meaning), error.remedy)


def found(name: str, find: Find) -> Result:
    """One thing, whatever comes of it."""
    try:
        return ok(name, find())
    except GatewayBotError as error:
        return wrong(name, error)
    except Exception as error:  # one that nobody foresaw must not hide what else is wrong
        log.debug("%s could not be proved", name, exc_info=True)
        return _unforeseen(name, error)


def one(name: str, find: Find) -> Prove:
    """A proof of one thing."""
    return lambda: [found(name, find)]


def all_of(proofs: Mapping[str, Prove], seconds: float = _SECONDS) -> list[Result]:
    """Every result in the order of the proofs, which all run at once. One that takes longer than
    `seconds` counts as failed: daemon threads, so that it does not keep the process either."""
    end = time.monotonic() + seconds
    running = {name: _begun(name, prove) for name, prove in proofs.items()}
    results: list[Result] = []
    for name, future in running.items():
        try:
            results += future.result(max(0.0, end - time.monotonic()))
        except StillRunning:
            results.append(
                fail(
                    name,
                    f"This was not proved within {seconds:.0f} s.",
                    "Check that it can be reached from here: DNS, proxies, firewalls and network "
                    "policies.",
                )
            )
    return results


def _begun(name: str, prove: Prove) -> "Future[Sequence[Result]]":
    future: Future[Sequence[Result]] = Future()

    def run() -> None:
        try:
            future.set_result(prove())
        except GatewayBotError as error:
            future.set_result([wrong(name, error)])
        except Exception as error:  # as in `found`
            log.debug("%s could not be proved", name, exc_info=True)
            future.set_result([_unforeseen(name, error)])

    threading.Thread(target=run, name=f"check {name}", daemon=True).start()
    return future


def _unforeseen(name: str, error: Exception) -> Result:
    # Not its text, which may quote what was sent.
    return fail(
        name,
        f"This could not be proved ({type(error).__name__}).",
        "Report it with the output of `gateway-bot --version`.",
    )


def _joined(*parts: str) -> str:
    return " ".join(part for part in parts if part)
